"""One TCP connection of one user, and when its bytes were sent and had arrived."""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
from typing import Final
from urllib.parse import urlsplit

from load.drivers.clock import CLOCK, CONTROL_BYTES, Clock, ask_for_stamps, now_ns
from load.drivers.watchdog import WATCHDOG, Wait, Watchdog
from load.errors import LocalFault, UsageError

BUFFER_BYTES: Final = 65_536
PORTS: Final = {"http": 80, "ws": 80}
OURS: Final = {
    errno.EMFILE: "out of file descriptors; raise the limit (ulimit -n), or come with fewer users (-u)",
    errno.ENFILE: "the machine is out of file descriptors; raise its limit, or come with fewer users (-u)",
    errno.EADDRNOTAVAIL: "out of local ports; come with fewer users (-u), or more slowly (--think-s)",
    errno.ENOBUFS: "out of buffers for sockets; come with fewer users (-u)",
    errno.ENOMEM: "out of memory; come with fewer users (-u)",
}
"""Why a connect can fail that says nothing about the other side."""


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
    def connect(
        cls,
        url: str,
        timeout_ns: int,
        clock: Clock = CLOCK,
        watchdog: Watchdog = WATCHDOG,
        *,
        receive_buffer: int | None = None,
    ) -> Wire:
        """Raises OSError (TimeoutError when the time is over), LocalFault where it is our own doing.

        receive_buffer: SO_RCVBUF, for a client that takes few bytes before they are read.
        """
        host, port = address_of(url)
        try:
            if receive_buffer is None:
                sock = socket.create_connection((host, port), timeout=timeout_ns / 1e9)
            else:
                sock = _narrow(host, port, timeout_ns / 1e9, receive_buffer)
        except OSError as error:
            reason = OURS.get(_number(error))
            if reason is not None:
                raise LocalFault(reason) from error
            raise
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


def _narrow(host: str, port: int, timeout_s: float, receive_buffer: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        # Before connecting, or the window that is promised is larger.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(timeout_s)
        sock.connect((host, port))
    except OSError:
        sock.close()
        raise
    return sock


def address_of(url: str) -> tuple[str, int]:
    """Host and port. Raises UsageError for what this instrument does not speak."""
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname:
        raise UsageError(f"{url}: only http:// and ws:// addresses can be measured")
    return parts.hostname, parts.port or PORTS[parts.scheme]


def _number(error: OSError) -> int:
    """Its errno; a look-up of a name that found no file descriptor does not say so, a new socket does."""
    if isinstance(error, socket.gaierror):
        try:
            socket.socket().close()
        except OSError as reason:
            error = reason
    return error.errno or 0
