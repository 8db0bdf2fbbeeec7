"""The frames of one run, in order, encoded once.

    open    append(frame) adds the next seq and wakes who waits
    closed  after append(frame, terminal=True): nothing is added any more

Invariants: frame n has seq n, from 1 on without a gap; a frame never changes; the terminal frame is the last.
Nothing is dropped, and a slow reader slows nobody: a log is bounded because its run is.
"""

from __future__ import annotations

import anyio


class FrameLog:
    __slots__ = ("_changed", "_frames", "closed", "size_bytes")

    def __init__(self) -> None:
        self._frames: list[bytes] = []
        self._changed: anyio.Event | None = None  # made by the first who waits: most appends wake nobody new
        self.closed = False
        self.size_bytes = 0

    @property
    def last_seq(self) -> int:
        return len(self._frames)

    @property
    def next_seq(self) -> int:
        return len(self._frames) + 1

    def append(self, frame: bytes, *, terminal: bool = False) -> None:
        if self.closed:
            raise RuntimeError("a frame after the terminal frame")
        self._frames.append(frame)
        self.size_bytes += len(frame)
        self.closed = terminal
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    def after(self, seq: int) -> list[bytes]:
        """The frames above `seq`, oldest first."""
        return self._frames[seq:]

    async def wait_beyond(self, seq: int) -> None:
        """Returns when there is a frame above `seq`, or none will come any more."""
        while len(self._frames) <= seq and not self.closed:
            if self._changed is None:
                self._changed = anyio.Event()
            await self._changed.wait()
