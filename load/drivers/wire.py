"""One TCP connection of one user, with TLS or without, and when its bytes were sent and had arrived."""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
import struct
from collections.abc import Callable, Mapping
from typing import Final

from load.drivers.clock import CLOCK, CONTROL_BYTES, Clock, ask_for_stamps, now_ns
from load.drivers.route import Route, route_of
from load.drivers.tls import TRUST, Tls, Trust
from load.drivers.waiting import WAITING
from load.drivers.watchdog import WATCHDOG, Wait, Watchdog, pending
from load.errors import LocalFault, UsageError

BUFFER_BYTES: Final = 65_536
MAX_HEAD_BYTES: Final = 65_536
HEAD_END: Final = b"\r\n\r\n"
OURS: Final = {
    errno.EMFILE: "out of file descriptors; raise the limit (ulimit -n), or come with fewer users (-u)",
    errno.ENFILE: "the machine is out of file descriptors; raise its limit, or come with fewer users (-u)",
    errno.EADDRNOTAVAIL: "out of local ports; come with fewer users (-u), or more slowly (--think-s)",
    errno.ENOBUFS: "out of buffers for sockets; come with fewer users (-u)",
    errno.ENOMEM: "out of memory; come with fewer users (-u)",
}
"""Why a connect can fail that says nothing about the other side."""


class Wire:
    """arrived_at, read_at: of the last `read`, monotonic ns. wait: what the current stream waits for. origin,
    proxy_headers: what requests need on it, as in `Route`."""

    __slots__ = (
        "_clock",
        "_tls",
        "_watchdog",
        "arrived_at",
        "origin",
        "proxy_headers",
        "read_at",
        "sock",
        "wait",
    )

    def __init__(self, sock: socket.socket, clock: Clock = CLOCK, watchdog: Watchdog = WATCHDOG) -> None:
        self.sock = sock
        self._clock = clock
        self._watchdog = watchdog
        self._tls: Tls | None = None
        self.arrived_at = self.read_at = now_ns()
        self.wait: Wait | None = None
        self.origin = ""
        self.proxy_headers: Mapping[str, str] = {}

    @classmethod
    def connect(
        cls,
        url: str,
        timeout_ns: int,
        clock: Clock = CLOCK,
        watchdog: Watchdog = WATCHDOG,
        trust: Trust = TRUST,
        *,
        receive_buffer: int | None = None,
    ) -> Wire:
        """Raises OSError (TimeoutError when the time is over), LocalFault where it is our own doing,
        UsageError for a certificate that is not believed.

        receive_buffer: SO_RCVBUF, for a client that takes few bytes before they are read.
        """
        ends_at, route = now_ns() + timeout_ns, route_of(url)
        try:
            if receive_buffer is None:
                sock = socket.create_connection((route.host, route.port), timeout=timeout_ns / 1e9)
            else:
                sock = _narrow(route.host, route.port, timeout_ns / 1e9, receive_buffer)
        except OSError as error:
            reason = OURS.get(_number(error))
            if reason is not None:
                raise LocalFault(reason) from error
            raise
        wire = cls(sock, clock, watchdog)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            ask_for_stamps(sock)
            if route.tunnel is not None:
                _tunnel(sock, route, ends_at)
            else:
                wire.origin, wire.proxy_headers = route.origin, route.proxy_headers
            if route.name is not None:
                wire._shake(Tls(trust.context, route.name), ends_at)
            sock.settimeout(None)
        except ssl.SSLCertVerificationError as error:
            sock.close()
            raise UsageError(
                f"{url}: its certificate is not believed ({error.verify_message});"
                " --tls-ca FILE names an authority of your own, --insecure believes anybody"
            ) from error
        except BaseException:  # also a user that Locust kills meanwhile: nobody else knows the socket
            sock.close()
            raise
        return wire

    def _shake(self, tls: Tls, ends_at: int) -> None:
        data = b""
        while not tls.shake(data):
            self.sock.sendall(tls.outgoing())
            _hurry(self.sock, ends_at)
            data = self._receive(awaited=False)
            if not data:
                raise ConnectionResetError(errno.ECONNRESET, "the connection ended within the TLS handshake")
        self.sock.sendall(tls.outgoing())
        self._tls = tls

    def watch(self, wait: Wait) -> None:
        """Lets the watchdog end what this wire waits for."""
        self.wait = wait
        self._watchdog.watch(self)

    def unwatch(self) -> None:
        """Nothing is waited for any more."""
        self._watchdog.unwatch(self)
        self.wait = None

    def pending(self) -> bool:
        """Whether something has arrived that nobody has read."""
        return (self._tls is not None and bool(self._tls.ready)) or pending(self.sock)

    def send(self, data: bytes) -> int:
        """The time directly before the system call. Raises OSError."""
        if self._tls is not None:
            data = self._tls.encrypt(data)
        at = now_ns()
        self.sock.sendall(data)
        return at

    def read(self, *, awaited: bool = True) -> bytes:
        """The next bytes, empty at the end of the connection. Raises OSError."""
        tls = self._tls
        if tls is None:
            return self._receive(awaited=awaited)
        text, tls.ready = tls.ready, b""
        while not text and not tls.ended:
            data = self._receive(awaited=awaited)
            if not data:
                break
            text = tls.decrypt(data)
        return text

    def follow(self, take: Callable[[bytes], bool]) -> None:
        """Hands over every read, the empty one of the end too, until `take`, which must not wait, wants no
        more. Raises OSError."""
        if self._tls is None:
            WAITING.follow(self.sock, lambda: take(self._receive(awaited=True)))
            return
        while take(self.read()):
            pass

    def _receive(self, *, awaited: bool) -> bytes:
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
        self._say_farewell()
        with contextlib.suppress(OSError):  # it may have ended already
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()

    def shut_writing(self) -> None:
        """A FIN, after which the peer may still send. Raises OSError."""
        self._say_farewell()
        self.sock.shutdown(socket.SHUT_WR)

    def _say_farewell(self) -> None:
        if self._tls is not None:
            with contextlib.suppress(OSError):  # it is a courtesy
                self.sock.send(self._tls.farewell(), socket.MSG_DONTWAIT)

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


def _tunnel(sock: socket.socket, route: Route, ends_at: int) -> None:
    """Has the proxy connect the socket to the target. Raises OSError."""
    headers = {"host": route.tunnel, **route.proxy_headers}
    lines = [f"CONNECT {route.tunnel} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    sock.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
    head = b""
    while HEAD_END not in head:
        _hurry(sock, ends_at)
        data = sock.recv(4096)  # nothing of the target comes with it: it waits for us to speak
        head += data
        if not data or len(head) > MAX_HEAD_BYTES:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "the proxy did not answer to CONNECT")
    status = head.split(b" ", 2)[1:2]
    if not status or not status[0].startswith(b"2"):
        raise ConnectionRefusedError(errno.ECONNREFUSED, f"the proxy answered {head[:64]!r} to CONNECT")


def _hurry(sock: socket.socket, ends_at: int) -> None:
    """Gives the next read what is left of the time; when nothing is, only what has come is read."""
    sock.settimeout(max(1e-6, (ends_at - now_ns()) / 1e9))


def _number(error: OSError) -> int:
    """Its errno; a look-up of a name that found no file descriptor does not say so, a new socket does."""
    if error.errno not in OURS:
        try:
            socket.socket().close()
        except OSError as reason:
            error = reason
    return error.errno or 0
