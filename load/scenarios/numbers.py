"""The numbers of users: each decides an account, a schedule and an order of messages."""

from __future__ import annotations

import heapq
import itertools
from collections import Counter


class Numbers:
    """`first`, `first + step`, … A number that was given back comes again before a new one: no two users have
    one at once, and as many accounts as users are enough, however often users go and come."""

    def __init__(self, first: int = 0, step: int = 1) -> None:
        self._new = itertools.count(first, step)
        self._free: list[int] = []
        self._given_back: Counter[int] = Counter()

    def __next__(self) -> int:
        return heapq.heappop(self._free) if self._free else next(self._new)

    def give_back(self, number: int) -> None:
        """Its user has gone."""
        heapq.heappush(self._free, number)
        self._given_back[number] += 1

    def former(self, number: int) -> int:
        """How many users had it before."""
        return self._given_back[number]
