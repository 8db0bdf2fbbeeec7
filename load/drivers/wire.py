"""One TCP connection of one user, and when its bytes were sent and had arrived."""

from __future__ import annotations

import contextlib
import socket
import struct
from typing import Final
from urllib.parse import urlsplit

from load.drivers.clock import CLOCK, CONTROL_BYTES, Clock, ask_for_stamps, now_ns
from load.drivers.watchdog import WATCHDOG, Wait, Watchdog
from load.errors import UsageError

BUFFER_BYTES: Final = 65_536
PORTS: Final = {"http": 80, "ws": 80}


class Wire:
    """arrived_at, read_at: of the last `read`, monotonic ns. wait: what the current stream waits for."""

    __slots__ = ("_clock", "_watchdog", "arrived_at", "read_at", "sock", "wait")

    def __init__(self, sock: socket.socket, clock: Clock = CLOCK, watchdog: Watchdog = WATCHDOG) -> None:
        self.sock = sock
        self._clock = clock
        self._watchdog = watchdog
        self.arrived_at = self.read_at = now_ns()
        self.wait: Wait | None = None

    @classmethod
    def connect(cls, url: str, timeout_ns: int, clock: Clock = CLOCK, watchdog: Watchdog = WATCHDOG) -> Wire:
        """Raises OSError (TimeoutError when the time is over)."""
        host, port = address_of(url)
        sock = socket.create_connection((host, port), timeout=timeout_ns / 1e9)
        sock.settimeout(None)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ask_for_stamps(sock)
        return cls(sock, clock, watchdog)

    def watch(self, wait: Wait) -> None:
        """Lets the watchdog end what this wire waits for."""
        self.wait = wait
        self._watchdog.watch(self)

    def unwatch(self) -> None:
        """Nothing is waited for any more."""
        self._watchdog.unwatch(self)
        self.wait = None

    def send(self, data: bytes) -> int:
        """The time directly before the system call. Raises OSError."""
        at = now_ns()
        self.sock.sendall(data)
        return at

    def read(self, *, awaited: bool = True) -> bytes:
        """The next bytes, empty at the end of the connection. Raises OSError."""
        data, ancillary, _, _ = self.sock.recvmsg(BUFFER_BYTES, CONTROL_BYTES)
        read_at = now_ns()
        if data:
            self.arrived_at = self._clock.arrived(ancillary, self.arrived_at, read_at, awaited=awaited)
        else:
            self.arrived_at = read_at
        self.read_at = read_at
        return data

    def peek(self) -> bytes | None:
        """What has arrived already, as `read`; None when nothing has. Never waits."""
        self.sock.settimeout(0)
        try:
            return self.read(awaited=False)
        except BlockingIOError:
            return None
        finally:
            self.sock.settimeout(None)

    def shut(self) -> None:
        """Ends the connection with a FIN."""
        with contextlib.suppress(OSError):  # it may have ended already
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()

    def reset(self) -> None:
        """Ends the connection with a RST."""
        with contextlib.suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


def address_of(url: str) -> tuple[str, int]:
    """Host and port. Raises UsageError for what this instrument does not speak."""
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname:
        raise UsageError(f"{url}: only http:// and ws:// addresses can be measured")
    return parts.hostname, parts.port or PORTS[parts.scheme]
