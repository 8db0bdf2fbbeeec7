"""What is shown beside a decision and never decides: processor time, and the far tail.

A 99th percentile cannot be judged in a minute; what a stream costs the target is a hint where times are
too short to tell.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from load.verdict.compare import CONFIDENCE
from load.verdict.comparison import BlockLine
from load.verdict.robust import over_lifetimes


@dataclass(frozen=True, slots=True)
class Hint:
    """Log ratio head over base, low and high with CONFIDENCE each; base, head: ms, means over the blocks."""

    effect: float
    low: float
    high: float
    base: float
    head: float
    n: int


def _cpu(line: BlockLine) -> float | None:
    return line.cpu_ms / line.n if line.cpu_ms and line.n else None


VALUE: Final[Mapping[str, Callable[[BlockLine], float | None]]] = MappingProxyType(
    {
        "cpu_per_stream": _cpu,
        "ttft_p99": lambda line: line.ttft_ms.p99,
        "gap_p99": lambda line: line.gap_ms.p99,
    }
)
"""Of a block, ms."""


def hints(lines: Iterable[BlockLine], run: str) -> dict[str, Hint]:
    """From the whole rounds of one comparison; without those of which too few rounds have a value."""
    rounds: dict[int, dict[str, BlockLine]] = {}
    for line in lines:
        if line.run == run:
            rounds.setdefault(line.round, {})[line.arm] = line
    whole = [(arms["base"], arms["head"]) for arms in rounds.values() if arms.keys() == {"base", "head"}]
    found = {}
    for name, value in VALUE.items():
        pairs = [
            (base.lifetime, ours, theirs)
            for base, head in whole
            if (ours := value(base)) and (theirs := value(head))
        ]
        by_lifetime: dict[int, list[float]] = {}
        for lifetime, ours, theirs in pairs:
            by_lifetime.setdefault(lifetime, []).append(math.log(theirs / ours))
        estimate = over_lifetimes(by_lifetime)
        if estimate is not None:
            found[name] = Hint(
                effect=estimate.mean,
                low=estimate.bound(1 - CONFIDENCE),
                high=estimate.bound(CONFIDENCE),
                base=math.fsum(ours for _, ours, _ in pairs) / len(pairs),
                head=math.fsum(theirs for _, _, theirs in pairs) / len(pairs),
                n=estimate.n,
            )
    return found
