"""When a user's streams should start: its own schedule, drawn from the run's seed and the user's number.

Independent Poisson users add up to a Poisson stream, so no user needs to know of another.
"""

from __future__ import annotations

import random


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
