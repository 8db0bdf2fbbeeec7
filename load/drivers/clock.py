"""When bytes arrived: by the kernel, and by our own clock where the kernel does not tell.

Linux stamps each segment when it is queued (SO_TIMESTAMPNS, on CLOCK_REALTIME) and hands the stamp of the
last one over with the data. So true arrival <= stamp <= user clock. All times leave here as monotonic ns;
wall-clock time never enters a difference. Where there is no stamp, the user clock is used and counted.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from load.metrics.histogram import Histogram
from load.metrics.run import Health

SO_TIMESTAMPNS: Final = 35
"""Also the type of the ancillary item. Python has no name for it."""
CONTROL_BYTES: Final = 64
RENEW_NS: Final = 250_000_000
"""Slewing at 500 ppm moves an offset by 0.13 µs in this time."""
STEP_NS: Final = 1_000_000
"""A change of the offset beyond this is a step of the wall clock."""
SLACK_NS: Final = 50_000
"""Two clocks are read one after the other: a stamp this far outside its bounds is taken, at the bound."""

_TIMESPEC: Final = struct.Struct("qq")

NsClock: TypeAlias = Callable[[], int]
Ancillary: TypeAlias = Sequence[tuple[int, int, bytes]]

now_ns: Final[NsClock] = time.perf_counter_ns


class Offset:
    """CLOCK_REALTIME minus the monotonic clock, sampled again when it is old.

    steps: how often the wall clock jumped. A stamp from before the sample that showed a jump may be of either
    time, so it has no conversion.
    """

    __slots__ = ("_ns", "_real", "_sampled_at", "_trusted_from", "_user", "steps")

    def __init__(self, user: NsClock = now_ns, real: NsClock = time.time_ns) -> None:
        self._user = user
        self._real = real
        self.steps = 0
        self._ns, self._sampled_at = self._sample()
        self._trusted_from = 0

    def _sample(self) -> tuple[int, int]:
        """The tightest of three brackets around a reading of the wall clock: (offset, monotonic time)."""
        best: tuple[int, int, int] | None = None
        for _ in range(3):
            before = self._user()
            real = self._real()
            after = self._user()
            if best is None or after - before < best[0]:
                best = (after - before, real - (before + after) // 2, after)
        assert best is not None
        return best[1], best[2]

    def monotonic(self, stamp_ns: int, now: int) -> int | None:
        """A wall-clock stamp as monotonic ns; None around a step of the wall clock."""
        if now - self._sampled_at > RENEW_NS:
            former = self._ns
            self._ns, self._sampled_at = self._sample()
            if abs(self._ns - former) > STEP_NS:
                self.steps += 1
                self._trusted_from = self._sampled_at
        converted = stamp_ns - self._ns
        return converted if converted >= self._trusted_from else None


class Clock:
    """Turns what `recvmsg` gave into an arrival and counts how well that went. One for each process."""

    __slots__ = ("_offset", "_steps_told", "lateness", "reads", "rejected", "unstamped")

    def __init__(self, offset: Offset | None = None) -> None:
        self._offset = offset or Offset()
        self._steps_told = 0
        self.lateness = Histogram()
        self.reads = 0
        self.unstamped = 0
        self.rejected = 0

    def arrived(self, ancillary: Ancillary, floor: int, read_at: int, *, awaited: bool = True) -> int:
        """Arrival of the data of one read. floor: of the read before; read_at: when this one returned.
        awaited: somebody was waiting for it; what came to an idle user is not late."""
        self.reads += 1
        for level, kind, data in ancillary:
            if kind == SO_TIMESTAMPNS and level == socket.SOL_SOCKET and len(data) == _TIMESPEC.size:
                seconds, fraction = _TIMESPEC.unpack(data)
                at = self._offset.monotonic(seconds * 1_000_000_000 + fraction, read_at)
                if at is None or at < floor - SLACK_NS or at > read_at + SLACK_NS:
                    self.rejected += 1
                    break
                at = floor if at < floor else min(at, read_at)
                if awaited:
                    self.lateness.add(read_at - at)
                return at
        self.unstamped += 1
        return read_at

    def drain(self) -> Health:
        """What was counted since the last call."""
        steps = self._offset.steps
        health = Health(
            lateness=self.lateness,
            reads=self.reads,
            reads_unstamped=self.unstamped,
            stamps_rejected=self.rejected,
            clock_steps=steps - self._steps_told,
        )
        self.lateness = Histogram()
        self.reads = self.unstamped = self.rejected = 0
        self._steps_told = steps
        return health


CLOCK: Final = Clock()


def ask_for_stamps(sock: socket.socket) -> bool:
    """Whether the kernel took the wish; where it did not, every read has the user clock."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    except OSError:
        return False
    return True
