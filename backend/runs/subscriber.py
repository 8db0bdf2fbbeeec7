"""One reader's view of a frame log: a cursor, and one send at a time under a deadline.

    following  frames above the cursor are sent in order
    finished   the terminal frame was sent
    dead       a send took longer than the limit: SlowConsumer; the log and its other readers go on

Invariant: what was sent is a prefix of the log from the first cursor on, without gap or repeat.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

from backend.runs.clocks import wind
from backend.runs.framelog import FrameLog

Send = Callable[[bytes], Awaitable[None]]


class SlowConsumer(Exception):
    """The reader did not take a frame within the send timeout."""


class Subscriber:
    __slots__ = ("_log", "_send", "_send_timeout_s", "cursor")

    def __init__(self, log: FrameLog, send: Send, *, send_timeout_s: float, after_seq: int = 0) -> None:
        self._log = log
        self._send = send
        self._send_timeout_s = send_timeout_s
        self.cursor = after_seq

    async def follow(self) -> None:
        """Sends each frame above the cursor up to the terminal one; may raise SlowConsumer."""
        log = self._log
        try:
            # One scope whose deadline moves: a scope for each frame would cost as much as the frame.
            with anyio.fail_after(None) as clock:  # C11
                while not (log.closed and self.cursor >= log.last_seq):
                    await log.wait_beyond(self.cursor)
                    for frame in log.after(self.cursor):
                        wind(clock, self._send_timeout_s)
                        await self._send(frame)
                        self.cursor += 1
                    wind(clock, None)
        except TimeoutError as late:  # C11
            raise SlowConsumer from late  # C11
