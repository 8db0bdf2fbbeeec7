"""The run slots of the process: at most so many answers at once, a bounded wait for one."""

from __future__ import annotations

import time

import anyio

from backend.errors import ErrorCode
from backend.runs.clocks import full, ran_out


class Slots:
    def __init__(self, count: int, wait_s: float) -> None:
        self._free = anyio.Semaphore(count)
        self._wait_s = wait_s
        self._full_since_s: float | None = None

    def take_now(self) -> bool:
        """Takes a slot if one is free and nobody waits for it."""
        try:
            self._free.acquire_nowait()
        except anyio.WouldBlock:
            return False
        self._note_full()
        return True

    async def take(self) -> None:
        """Waits for a slot; raises the problem `capacity` when that takes too long."""
        since_ns = time.monotonic_ns()
        try:
            with anyio.fail_after(full(self._wait_s)):  # L4
                await self._free.acquire()
        except TimeoutError as late:  # L4
            raise ran_out(ErrorCode.CAPACITY, self._wait_s, since_ns) from late  # L4
        self._note_full()

    def give_back(self) -> None:
        self._free.release()
        if self._free.value > 0:
            self._full_since_s = None

    def full_for_s(self) -> float:
        """How long there has been no free slot; 0 while there is one."""
        return 0.0 if self._full_since_s is None else time.monotonic() - self._full_since_s

    def _note_full(self) -> None:
        if self._free.value == 0 and self._full_since_s is None:
            self._full_since_s = time.monotonic()
