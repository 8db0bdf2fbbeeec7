"""How far what a client saw is from what the server knows. Times in ns, figures in ms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import TypeAlias

Journal: TypeAlias = Mapping[str, Sequence[int]]
"""Stream -> when its first chunk was due, then when each chunk was sent; monotonic ns."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One stream as a client saw it. arrivals: of its chunks, monotonic ns. mates: chunks that shared each
    one's stamp; empty where every chunk had its own."""

    name: str
    arrivals: tuple[int, ...]
    mates: tuple[int, ...] = ()


@dataclass(slots=True)
class Errors:
    """Absolute errors. first: of resolved first chunks, so of the time to the first text. gap: of resolved
    gaps; bound: of all gaps, those of a group by what they may be off at most."""

    first: list[int] = field(default_factory=list)
    gap: list[int] = field(default_factory=list)
    bound: list[int] = field(default_factory=list)
    chunks: int = 0
    unresolved: int = 0

    def told(self) -> dict[str, float | None]:
        share = self.unresolved / self.chunks if self.chunks else None
        return {
            "ttft_error_p50_ms": quantile_ms(self.first, 0.5),
            "ttft_error_p99_ms": quantile_ms(self.first, 0.99),
            "gap_error_p50_ms": quantile_ms(self.gap, 0.5),
            "gap_error_p99_ms": quantile_ms(self.gap, 0.99),
            "gap_bound_p99_ms": quantile_ms(self.bound, 0.99),
            "unresolved": None if share is None else round(share, 5),
        }


def errors(streams: Iterable[Seen], journal: Journal, since: int) -> Errors:
    """Of the streams whose first chunk was sent after `since`."""
    found = Errors()
    for stream in streams:
        sent = journal[stream.name][1:]
        if sent[0] < since or len(sent) != len(stream.arrivals):
            continue
        mates = stream.mates or (1,) * len(sent)
        found.chunks += len(sent)
        found.unresolved += sum(1 for count in mates if count != 1)
        if mates[0] == 1:
            found.first.append(abs(stream.arrivals[0] - sent[0]))
        silence = 0
        for k in range(1, len(sent)):
            true = sent[k] - sent[k - 1]
            gap = stream.arrivals[k] - stream.arrivals[k - 1]
            if mates[k] == 1:
                found.gap.append(abs(gap - true))
                found.bound.append(found.gap[-1])
            else:
                silence = gap or silence
                found.bound.append(max(true, abs(silence - true)))
    return found


def lateness_ms(journal: Journal, pace_ns: int, since: int) -> float | None:
    """How late the server itself sent, 99 % of its chunks."""
    late = [
        at - (row[0] + k * pace_ns)
        for row in journal.values()
        for k, at in enumerate(row[1:])
        if pace_ns and at >= since
    ]
    return quantile_ms(late, 0.99)


def quantile_ms(values: Sequence[int], q: float) -> float | None:
    """Of nearest rank; None without values."""
    if not values:
        return None
    return round(sorted(values)[max(1, ceil(q * len(values))) - 1] / 1e6, 4)


def sent_between(journal: Journal, since: int, until: int) -> int:
    """Chunks sent in that time."""
    return sum(1 for row in journal.values() for at in row[1:] if since <= at < until)
