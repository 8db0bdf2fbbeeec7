"""Comparisons that never ran: rounds drawn from a seed, as noisy as real ones.

Noise as it was measured between equal servers on two shared cores: rounds scatter by .02 on a quiet machine
and .06 on a noisy one, mostly less but now and then five times as much; two processes of the same code
differ by .4 to .9 %; stalls come in bursts, in both arms.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from load.verdict.compare import Decision
from load.verdict.comparison import FIRST, BlockLine, Comparison, Spread
from load.verdict.rounds import CONTINUOUS, OF_JOURNAL, STALLED, PairedRound

METRICS: Final = tuple(name for name in CONTINUOUS if name not in OF_JOURNAL)
BASE_MS: Final[Mapping[str, float]] = MappingProxyType(
    {"ttft": 27.0, "ttft_p95": 35.0, "gap": 5.0, "total": 85.0, "backend_ttft": 2.0, "relay": 0.6}
)
ROUND_S: Final = 2 / 3
STREAMS: Final = 48
WILD: Final = 0.1
"""Share of rounds that scatter five times as much."""
NO_EFFECT: Final[Mapping[str, float]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Machine:
    """noise: of a round of each metric, its calm nine tenths. lifetimes: scatter between processes. bursts:
    share of blocks in which something else stalls streams."""

    noise: Mapping[str, float]
    lifetimes: float = 0.006
    bursts: float = 0.005


def even(noise: float, lifetimes: float = 0.006, bursts: float = 0.0) -> Machine:
    """As noisy in each metric."""
    return Machine(dict.fromkeys(CONTINUOUS, noise), lifetimes, bursts)


def _machine(ttft: float, gap: float) -> Machine:
    return Machine({"ttft": ttft, "ttft_p95": 1.5 * ttft, "gap": gap, "total": 0.8 * gap, "slope": 1.5 * gap})


MACHINES: Final = (
    _machine(0.011, 0.018),
    _machine(0.018, 0.022),
    _machine(0.022, 0.026),
    _machine(0.026, 0.030),
    _machine(0.030, 0.040),
    _machine(0.034, 0.075),
    _machine(0.040, 0.130),
)
"""From quiet to noisy, as the machines were on which rounds of equal servers were recorded."""


@dataclass(slots=True)
class Drawn:
    """Rounds without end. effects: true log ratios. stalls: share of head's streams that stall."""

    machine: Machine
    seed: int
    effects: Mapping[str, float] = NO_EFFECT
    stalls: float = 0.0
    metrics: tuple[str, ...] = METRICS
    _draw: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._draw = random.Random(self.seed)

    def __iter__(self) -> Iterator[PairedRound]:
        number = 0
        while True:
            number += 1
            if number % 10 == 1:
                born = {name: self._draw.gauss(0, self.machine.lifetimes) for name in self.metrics}
            yield self._round(number, born)

    def _round(self, number: int, born: Mapping[str, float]) -> PairedRound:
        wild = 5 if self._draw.random() < WILD else 1
        effects: dict[str, float | None] = {
            name: self.effects.get(name, 0.0)
            + born[name]
            + wild * self._draw.gauss(0, self.machine.noise[name])
            for name in self.metrics
        }
        stalls = self._stalled(0.0), self._stalled(self.stalls)
        effects[STALLED] = float((stalls[1] > stalls[0]) - (stalls[1] < stalls[0]))
        return paired(
            number, effects, stalls=stalls, base_first=self._draw.random() < 0.5, metrics=self.metrics
        )

    def _stalled(self, share: float) -> int:
        bursts = self._draw.random() < self.machine.bursts
        burst = self._draw.randint(1, 15) if bursts else 0
        return burst + (sum(self._draw.random() < share for _ in range(STREAMS)) if share else 0)


def paired(
    number: int,
    effects: Mapping[str, float | None],
    *,
    stalls: tuple[int, int] = (0, 0),
    base_first: bool | None = None,
    metrics: tuple[str, ...] = METRICS,
    done: int = STREAMS,
    unresolved: tuple[int, int] = (0, 0),
    psi: tuple[float | None, float | None] = (0.1, 0.1),
    took_s: float = ROUND_S,
) -> PairedRound:
    """One round; ten make a lifetime, and the arms take turns in being first."""
    base_ms = {name: BASE_MS[name] for name in metrics if name in BASE_MS}
    return PairedRound(
        lifetime=(number - 1) // 10 + 1,
        number=number,
        base_first=number % 2 == 0 if base_first is None else base_first,
        effects=effects,
        base_ms=base_ms,
        head_ms=base_ms,
        pairs=STREAMS,
        pairs_done=done,
        stalls=stalls,
        chunks=(600, 600),
        unresolved=unresolved,
        psi=psi,
        took_s=took_s,
    )


def compared(rounds: Iterator[PairedRound], budget_s: float = 60.0) -> tuple[Decision, list[PairedRound]]:
    """The decision that a run comes to, and the rounds it took."""
    comparison = Comparison(budget_s)
    while not comparison.over:
        comparison.take(next(rounds))
    assert comparison.decision is not None
    return comparison.decision, comparison.rounds


NO_SPREAD: Final = Spread(None, None, None, None)


def blocks(
    rounds: Iterable[PairedRound],
    run: str = FIRST,
    budget_s: float = 60.0,
    *,
    cpu_ms: tuple[float, float] | None = None,
) -> Iterator[BlockLine]:
    """Two lines a round. cpu_ms: of a block of each arm."""
    for one in rounds:
        order = ("base", "head") if one.base_first else ("head", "base")
        for arm in order:
            yield BlockLine(
                run=run,
                budget_s=budget_s,
                lifetime=one.lifetime,
                round=one.number,
                arm=arm,
                first=arm == order[0],
                seed=f"7/{run}/{one.number}",
                took_ms=one.took_s * 500,
                n=STREAMS,
                done=STREAMS,
                stalls=0,
                ttft_ms=Spread(27.0, 35.0, 41.5, 28.1),
                gap_ms=NO_SPREAD,
                total_ms=NO_SPREAD,
                psi=0.1,
                steal=0.0,
                late_ms=0.04,
                canary_ms=1.1,
                cpu_ms=None if cpu_ms is None else cpu_ms[arm == "head"],
                paired=one if arm == order[1] else None,
            )
