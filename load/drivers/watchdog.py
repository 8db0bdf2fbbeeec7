"""Ends waits whose limit has passed, by shutting down their socket.

One thread looks at all of them every 20 ms: a time-out for each read costs 9-14 % more CPU at 500 streams. So
a limit fires up to 20 ms late, and by how much is kept.
"""

from __future__ import annotations

import contextlib
import fcntl
import socket
import struct
import termios
import threading
import time
from dataclasses import dataclass
from typing import Final, Protocol

from load.drivers.clock import now_ns
from load.metrics.events import ClockName

TICK_S: Final = 0.02
LATE_NS: Final = 200_000_000
"""A look that comes so late gives what has arrived meanwhile the time until the next look to be read."""
IDLE_TICKS: Final = 50
"""With nothing to watch for so long the thread ends; the next wait starts it again."""


@dataclass(slots=True)
class Wait:
    """What one stream waits for.

    since and limit: of `clock`, which changes as the stream goes on; a chunk only moves `since`. total_at:
    the end of it all, None without a limit. expired: the clock that fired.
    """

    clock: ClockName
    since: int
    limit: int
    total_at: int | None = None
    total: int = 0
    expired: ClockName | None = None
    late: int = 0

    def start(self, clock: ClockName, since: int, limit: int) -> None:
        """Goes on with another clock."""
        self.clock, self.since, self.limit = clock, since, limit


class Watched(Protocol):
    """Something with a socket that may wait."""

    sock: socket.socket
    wait: Wait | None

    def pending(self) -> bool:
        """Whether something has arrived that nobody has read: then the generator is late, not the target."""


class Watchdog:
    """Looks after the waits of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watched: set[Watched] = set()
        self._thread: threading.Thread | None = None

    def watch(self, watched: Watched) -> None:
        """From now on, until `unwatch`."""
        with self._lock:
            self._watched.add(watched)
            if self._thread is None or not self._thread.is_alive():  # a fork leaves a dead one behind
                self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
                self._thread.start()

    def unwatch(self, watched: Watched) -> None:
        """The wait is over."""
        with self._lock:
            self._watched.discard(watched)

    def _run(self) -> None:
        idle = 0
        while idle < IDLE_TICKS:
            slept_at = now_ns()
            time.sleep(TICK_S)
            with self._lock:
                watched = list(self._watched)
                idle = 0 if watched else idle + 1
                if idle == IDLE_TICKS:
                    self._thread = None
            now = now_ns()
            late = now - slept_at > LATE_NS
            for one in watched:
                look(one, now, late=late)


def look(watched: Watched, now: int, *, late: bool = False) -> None:
    """Ends the wait if a limit of it has passed. late: this process has been kept from looking."""
    wait = watched.wait
    if wait is None or wait.expired is not None or (late and watched.pending()):
        return
    if wait.total_at is not None and now > wait.total_at:
        wait.expired, wait.late = "total", now - wait.total_at
    elif now - wait.since > wait.limit and not watched.pending():
        wait.expired, wait.late = wait.clock, now - wait.since - wait.limit
    else:
        return
    with contextlib.suppress(OSError):  # the peer may have ended it in this moment
        watched.sock.shutdown(socket.SHUT_RDWR)


def pending(sock: socket.socket) -> bool:
    """Whether bytes wait in the receive queue of a socket."""
    try:
        answer = fcntl.ioctl(sock.fileno(), termios.FIONREAD, bytes(4))
    except (OSError, ValueError):  # closed in this moment
        return False
    return bool(struct.unpack("i", answer)[0])


WATCHDOG: Final = Watchdog()
