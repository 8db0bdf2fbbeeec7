"""When streams should start: a user's own schedule, drawn from the run's seed and the user's number, or, in
open load, one for all.

Independent Poisson users add up to a Poisson stream, so no user needs to know of another.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence

from load.options import Rate


class Schedule:
    """The intended starts of one user, in monotonic nanoseconds.

    kind: `poisson` draws exponential distances, `constant` even ones from a random phase; both count from
    the intended start before, so a slow target does not slow its own measurement. `closed` counts from the
    end of the stream before: waiting before the start cannot be seen then.
    """

    __slots__ = ("_kind", "_mean_ns", "_next_ns", "_random")

    def __init__(self, kind: str, mean_s: float, seed: int, user: int, start_ns: int) -> None:
        self._kind = kind
        self._mean_ns = mean_s * 1e9
        self._random = random.Random(f"{seed}/{user}/arrivals")
        self._next_ns = start_ns + int(self._random.random() * self._mean_ns)

    @property
    def next_ns(self) -> int:
        """The intended start of the next stream."""
        return self._next_ns

    def advance(self, ended_ns: int) -> None:
        """The stream intended at `next_ns` has ended at `ended_ns`; the next one is drawn."""
        if self._kind == "constant":
            self._next_ns += int(self._mean_ns)
            return
        distance_ns = int(self._random.expovariate(1.0) * self._mean_ns)
        self._next_ns = (ended_ns if self._kind == "closed" else self._next_ns) + distance_ns

    def overdue(self, until_ns: int) -> Iterator[int]:
        """The intended starts up to `until_ns` that no stream was sent for; the schedule ends with it."""
        if self._kind == "closed":
            return
        while self._next_ns <= until_ns:
            yield self._next_ns
            self.advance(self._next_ns)


def at_rate(rate: Rate, seed: int, began_ns: int) -> Iterator[int]:
    """Intended starts in ns, for ever: evenly spaced or, with Poisson arrivals, at random."""
    if rate.poisson:
        drawn, at_s = random.Random(f"{seed}/open"), 0.0
        while True:
            at_s += drawn.expovariate(rate.per_s)
            yield began_ns + int(at_s * 1e9)
    # Each from the first: distances that are rounded would add up to another rate.
    yield from (began_ns + int(k * 1e9 / rate.per_s) for k in itertools.count())


def replayed(offsets_ns: Sequence[int], began_ns: int) -> Iterator[int]:
    """The same for arrivals of a trace."""
    yield from (began_ns + offset for offset in offsets_ns)
