"""Open load: arrivals that nobody's answer holds back, each taken by a free user of a pool.

`feed` hands an arrival over at its intended start to whoever has been free for longest. One that finds nobody
free is not queued, it is told to `missed`: a queue would hide from the target what it is too slow for.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator

import gevent
from gevent.event import AsyncResult


class Pool:
    """The users who are free."""

    def __init__(self) -> None:
        self._free: deque[AsyncResult[int | None]] = deque()
        self._closed = False

    def take(self) -> int | None:
        """Waits for an arrival; its intended start, None when none comes any more."""
        if self._closed:
            return None
        handed: AsyncResult[int | None] = AsyncResult()
        self._free.append(handed)
        try:
            intended_ns: int | None = handed.get()
            return intended_ns
        finally:
            if handed in self._free:  # its user was stopped while it waited
                self._free.remove(handed)

    def hand(self, intended_ns: int) -> bool:
        """Gives an arrival to whoever has been free for longest; False when nobody is."""
        if not self._free:
            return False
        self._free.popleft().set(intended_ns)
        return True

    def close(self) -> None:
        """Nobody comes any more; whoever waits is sent home."""
        self._closed = True
        while self._free:
            self._free.popleft().set(None)


def feed(pool: Pool, starts: Iterator[int], missed: Callable[[int], None]) -> None:
    """Hands out each arrival when it is due; for a greenlet of its own, which is killed at the end."""
    for intended_ns in starts:
        left_ns = intended_ns - time.perf_counter_ns()
        if left_ns > 0:
            gevent.sleep(left_ns / 1e9)
        if not pool.hand(intended_ns):
            missed(intended_ns)
        elif left_ns <= 0:
            gevent.sleep(0)  # many are overdue: users start in between
