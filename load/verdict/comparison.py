"""One comparison, round by round: while it runs, and again from what it left.

`blocks.jsonl` has a line for each block; the second block of a round has the round, too. So the same rounds
come to the same looks, and these to the same decision.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from load.verdict.compare import Decision, confirmed, look
from load.verdict.looks import Looks
from load.verdict.rounds import PairedRound

FIRST: Final = "first"
CONFIRMATION: Final = "confirmation"
"""Names of the two comparisons of a run."""


@dataclass(slots=True)
class Comparison:
    """budget_s: of load, both arms together. decision: of the last look; None before the first."""

    budget_s: float
    rounds: list[PairedRound] = field(default_factory=list)
    decision: Decision | None = None

    @property
    def load_s(self) -> float:
        """So far."""
        return math.fsum(one.took_s for one in self.rounds)

    @property
    def over(self) -> bool:
        """Whether there is a verdict; there is one at the latest when the budget is used."""
        return self.decision is not None and self.decision.verdict is not None

    def take(self, one: PairedRound) -> bool:
        """Adds a round, and looks when a look is due; whether it did."""
        self.rounds.append(one)
        looks = Looks() if self.decision is None else self.decision.looks
        if not looks.due(self.load_s / self.budget_s):
            return False
        self.decision = look(self.rounds, budget_s=self.budget_s, previous=looks)
        return True


@dataclass(frozen=True, slots=True)
class Spread:
    """Of one figure in a block, ms; all None without a value."""

    p50: float | None
    p95: float | None
    p99: float | None
    mean: float | None


@dataclass(frozen=True, slots=True)
class BlockLine:
    """A line of `blocks.jsonl`.

    run: name of the comparison. first: whether the block came before the other arm's. seed: what the words of
    its streams are drawn from. n, done, stalls: streams. late_ms: how late the generator looked at a chunk
    (p99). canary_ms: what a fixed piece of work took. cpu_ms: of the target. paired: the round, in its second
    block only.
    """

    run: str
    budget_s: float
    lifetime: int
    round: int
    arm: str
    first: bool
    seed: str
    took_ms: float
    n: int
    done: int
    stalls: int
    ttft_ms: Spread
    gap_ms: Spread
    total_ms: Spread
    psi: float | None
    steal: float | None
    late_ms: float | None
    canary_ms: float | None
    cpu_ms: float | None
    paired: PairedRound | None

    def to_json(self) -> dict[str, object]:
        """Plain values; without `paired` where there is none."""
        values = {name: getattr(self, name) for name in self.__slots__}
        for name in ("ttft_ms", "gap_ms", "total_ms"):
            spread: Spread = values[name]
            values[name] = {part: getattr(spread, part) for part in spread.__slots__}
        values.pop("paired")
        return values if self.paired is None else values | {"paired": self.paired.to_json()}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> BlockLine:
        """The line that `to_json` gave; raises KeyError where a field is missing."""
        values = {name: stored[name] for name in cls.__slots__ if name != "paired"}
        values |= {name: Spread(**stored[name]) for name in ("ttft_ms", "gap_ms", "total_ms")}
        paired = stored.get("paired")
        return cls(**values, paired=None if paired is None else PairedRound.from_json(paired))


def decide_again(lines: Iterable[BlockLine]) -> dict[str, Comparison]:
    """Every comparison of these blocks, by name, as it stood after its last whole round."""
    found: dict[str, Comparison] = {}
    for line in lines:
        if line.paired is not None:
            found.setdefault(line.run, Comparison(line.budget_s)).take(line.paired)
    return found


def joined(found: Mapping[str, Comparison]) -> Decision | None:
    """What a run says after all of its comparisons; None where not even the first has a verdict."""
    first = found.get(FIRST)
    if first is None or first.decision is None or first.decision.verdict is None:
        return None
    second = found.get(CONFIRMATION)
    return confirmed(first.decision, None if second is None else second.decision)
