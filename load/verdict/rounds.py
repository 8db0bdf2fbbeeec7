"""What one round of a comparison says: a number for each metric, from streams that are twins by their seed.

Streams of a block share a moment of the scheduler, so no stream is an observation of its own; a round is.

    ttft, total     median over streams of log(head / base)
    ttft_p95        log ratio of the blocks' 95th percentiles
    gap, relay      median over streams of the log ratio of a stream's median gap, relay time
    backend_ttft    as ttft, without the provider's own delay
    slope           median over streams of the log ratio of late to early gaps
    stalled         streams with a stall, head minus base, as -1, 0 or 1: noise comes in bursts
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from load.metrics.timeline import TerminalState
from load.verdict.robust import quantile

TTFT: Final = "ttft"
TTFT_P95: Final = "ttft_p95"
SLOPE: Final = "slope"
STALLED: Final = "stalled"
OF_JOURNAL: Final = ("backend_ttft", "relay")
"""Metrics that need the provider's journal."""
TIMES: Final = (TTFT, TTFT_P95, "gap", "total", *OF_JOURNAL)
CONTINUOUS: Final = (*TIMES, SLOPE)
MS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class StreamFigures:
    """One stream of a block.

    seed: equal for its twin in the other arm, unique in its own. ttft_ns, total_ns: None where it has none.
    gaps_ns: between its deltas, in order. backend_ttft_ns: ttft without the provider's own delay; relay_ns:
    median from chunk written by the provider to chunk received; None without a journal. slope: None below
    eight gaps. chunks, unresolved: as in `Tally`.
    """

    seed: str
    state: TerminalState
    code: str | None
    ttft_ns: int | None
    gaps_ns: tuple[int, ...]
    total_ns: int | None
    backend_ttft_ns: int | None
    relay_ns: int | None
    slope: float | None
    stalled: bool
    chunks: int
    unresolved: int


@dataclass(frozen=True, slots=True)
class PairedRound:
    """One round; pairs of numbers are (base, head).

    lifetime, number: from 1; rounds are counted over all lifetimes. effects: metric -> log ratio head over
    base, `stalled` -> -1, 0 or 1; None where no pair of streams has it. base_ms, head_ms: of those metrics
    that are times, the median of each block (of ttft_p95 the percentile). pairs: seeds of the round;
    pairs_done: those that ended DONE in both arms, which effects, times and stalls rest on. stalls: streams
    with a stall. chunks, unresolved: of all streams. psi: share of each block in which some task had to wait
    for a processor, None where the system does not tell. took_s: load, both blocks together.
    """

    lifetime: int
    number: int
    base_first: bool
    effects: Mapping[str, float | None]
    base_ms: Mapping[str, float | None]
    head_ms: Mapping[str, float | None]
    pairs: int
    pairs_done: int
    stalls: tuple[int, int]
    chunks: tuple[int, int]
    unresolved: tuple[int, int]
    psi: tuple[float | None, float | None]
    took_s: float

    def to_json(self) -> dict[str, object]:
        """Plain values, a key for each field."""
        return {name: _plain(getattr(self, name)) for name in self.__slots__}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> PairedRound:
        """The round that `to_json` gave; raises KeyError where a field is missing."""
        values: dict[str, Any] = {name: stored[name] for name in cls.__slots__}
        values |= {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        return cls(**values)


def round_of(
    base: Sequence[StreamFigures],
    head: Sequence[StreamFigures],
    *,
    lifetime: int,
    number: int,
    base_first: bool,
    psi: tuple[float | None, float | None],
    took_s: float,
) -> PairedRound:
    """The round of these two blocks. Its numbers are rounded as they are stored, so that a decision from what
    is stored is the same."""
    of_head = {stream.seed: stream for stream in head}
    seeds = {stream.seed for stream in base} | of_head.keys()
    twins = [(stream, of_head[stream.seed]) for stream in base if stream.seed in of_head]
    done = [pair for pair in twins if all(stream.state is TerminalState.DONE for stream in pair)]
    effects: dict[str, float | None] = {}
    base_ms: dict[str, float | None] = {}
    head_ms: dict[str, float | None] = {}
    for name in CONTINUOUS:
        value = VALUE[name]
        known = [
            (ours, theirs)
            for one, other in done
            if (ours := value(one)) and (theirs := value(other)) and min(ours, theirs) > 0
        ]
        effects[name], mine, theirs_ms = _compared(name, known)
        if name in TIMES:
            base_ms[name], head_ms[name] = _ms(mine), _ms(theirs_ms)
    stalls = sum(one.stalled for one, _ in done), sum(other.stalled for _, other in done)
    effects[STALLED] = float((stalls[1] > stalls[0]) - (stalls[1] < stalls[0])) if done else None
    return PairedRound(
        lifetime=lifetime,
        number=number,
        base_first=base_first,
        effects=effects,
        base_ms=base_ms,
        head_ms=head_ms,
        pairs=len(seeds),
        pairs_done=len(done),
        stalls=stalls,
        chunks=(_sum(base, "chunks"), _sum(head, "chunks")),
        unresolved=(_sum(base, "unresolved"), _sum(head, "unresolved")),
        psi=(_rounded(psi[0], 4), _rounded(psi[1], 4)),
        took_s=round(took_s, 4),
    )


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value


def _gap(stream: StreamFigures) -> float | None:
    return statistics.median(stream.gaps_ns) if stream.gaps_ns else None


VALUE: Final[Mapping[str, Callable[[StreamFigures], float | None]]] = {
    TTFT: lambda stream: stream.ttft_ns,
    TTFT_P95: lambda stream: stream.ttft_ns,
    "gap": _gap,
    "total": lambda stream: stream.total_ns,
    "backend_ttft": lambda stream: stream.backend_ttft_ns,
    "relay": lambda stream: stream.relay_ns,
    SLOPE: lambda stream: stream.slope,
}
"""Of one stream, ns where it is a time."""


def _compared(
    name: str, known: Sequence[tuple[float, float]]
) -> tuple[float | None, float | None, float | None]:
    """Log ratio, and what stands for each block."""
    if not known:
        return None, None, None
    if name == TTFT_P95:
        base, head = (quantile([pair[arm] for pair in known], 0.95) for arm in (0, 1))
        effect = math.log(head / base)
    else:
        base, head = (statistics.median(pair[arm] for pair in known) for arm in (0, 1))
        effect = statistics.median(math.log(theirs / ours) for ours, theirs in known)
    return round(effect, 6), base, head


def _ms(value_ns: float | None) -> float | None:
    return None if value_ns is None else round(value_ns / MS, 4)


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def _sum(block: Sequence[StreamFigures], name: str) -> int:
    return sum(getattr(stream, name) for stream in block)
