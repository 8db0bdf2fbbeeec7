"""HTTP/1.1: one connection kept alive, one request at a time, each with its limits and stamps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import httptools
import orjson

from load.drivers.clock import now_ns
from load.drivers.trace import trace_headers
from load.drivers.watchdog import Wait
from load.drivers.wire import Wire
from load.errors import InstrumentError
from load.metrics.events import Closed, Expired
from load.metrics.timeline import Limits

MAX_BODY_BYTES: Final = 16 << 20
DRAIN_NS: Final = 2_000_000_000


class Reply:
    """One response as it comes in. httptools calls the `on_` methods.

    headers: names in lower case, the last of several counts. complete: the body has ended.
    """

    __slots__ = ("_body", "_closes", "_parser", "complete", "headers", "headers_done", "keep_alive", "status")

    def __init__(self) -> None:
        self._parser: Any = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self._closes = True
        self.status = 0
        self.headers: dict[str, str] = {}
        self.headers_done = False
        self.complete = False
        self.keep_alive = False

    def feed(self, data: bytes) -> None:
        """Raises httptools.HttpParserError for what is no HTTP."""
        self._parser.feed_data(data)

    def close(self) -> None:
        """Nothing is fed any more. The parser knows the reply: they would wait for a search for cycles."""
        self._parser = None

    def feed_eof(self) -> None:
        """The connection ended; this completes a body that only the end of the connection delimits."""
        if self.headers_done and self._closes:
            self.complete = True

    def take(self) -> bytes:
        """The body that came since the last call."""
        body = b"".join(self._body)
        self._body.clear()
        return body

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        if self.status >= 200:
            self.headers_done = True
            self._closes = "content-length" not in self.headers and "transfer-encoding" not in self.headers

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self.headers_done:
            self.complete = True
            self.keep_alive = self._parser.should_keep_alive()
        else:
            self.headers.clear()  # of a 1xx; the answer itself is still to come


class Exchange:
    """One request that has been sent, and its reply. handshake_ns: None on a connection that was open."""

    __slots__ = (
        "_connection",
        "correlation_id",
        "handshake_ns",
        "headers_at",
        "reply",
        "sent_at",
        "wait",
        "wire",
    )

    def __init__(
        self,
        connection: Connection,
        wire: Wire,
        wait: Wait,
        handshake_ns: int | None,
        correlation_id: str | None,
    ) -> None:
        self._connection = connection
        self.wire = wire
        self.wait = wait
        self.handshake_ns = handshake_ns
        self.correlation_id = correlation_id
        self.reply = Reply()
        self.sent_at = wait.since
        self.headers_at: int | None = None

    def send(self, data: bytes) -> None:
        """Hands the request to the kernel; that it failed is told by the first `step`."""
        try:
            self.sent_at = self.wire.send(data)
        except OSError:
            self.sent_at = now_ns()

    def step(self) -> Closed | Expired | None:
        """One read into the reply; how it ended too early, None while all is well."""
        try:
            data = self.wire.read()
        except OSError:
            return self._lost()
        return self._feed(data)

    def follow(self, take: Callable[[], bool]) -> Closed | Expired | None:
        """As `step`, again and again, with a call of `take`, which must not wait, behind each but the last:
        until it wants no more, the reply is complete, or ended too early."""
        ended: Closed | Expired | None = None

        def more(data: bytes) -> bool:
            nonlocal ended
            ended = self._feed(data)
            return ended is None and not self.reply.complete and take()

        try:
            self.wire.follow(more)
        except OSError:
            return self._lost()
        return ended

    def _lost(self) -> Closed | Expired:
        return self._expired() or Closed(now_ns(), False, None, "network", "reset")

    def _feed(self, data: bytes) -> Closed | Expired | None:
        wire, reply = self.wire, self.reply
        if data:
            try:
                reply.feed(data)
            except (httptools.HttpParserError, httptools.HttpParserUpgrade):
                return Closed(wire.arrived_at, False, None, "peer", "protocol")
            if reply.headers_done and self.headers_at is None:
                self.headers_at = wire.arrived_at
            # After the end of it all a flood must not keep us; the other clocks end the read itself.
            return self._expired() if self.wait.expired == "total" else None
        expired = self._expired()
        if expired is not None:
            return expired
        reply.feed_eof()
        return None if reply.complete else Closed(wire.arrived_at, True, None, "peer", "fin")

    def _expired(self) -> Expired | None:
        wait = self.wait
        if wait.expired is None:
            return None
        if wait.expired == "total":
            return Expired(now_ns(), "total", wait.total, wait.late)
        return Expired(now_ns(), wait.clock, wait.limit, wait.late)

    def finish(self) -> None:
        """The connection is kept for the next request if the reply allows it."""
        self._connection.release(self)

    def drain(self) -> list[bytes]:
        """Body that comes until the reply is complete, waited for at most DRAIN_NS."""
        late: list[bytes] = []
        self.wait.total_at = min(self.wait.total_at or now_ns() + DRAIN_NS, now_ns() + DRAIN_NS)
        while not self.reply.complete and self.step() is None:
            late.append(self.reply.take())
        return late


class Connection:
    """The connection to one server, made anew when it is not there."""

    def __init__(self, base_url: str, headers: Mapping[str, str], *, trace: bool = True) -> None:
        parts = urlsplit(base_url)
        self.base_url = base_url
        self.headers = {"host": parts.netloc, "accept": "application/json", **headers}
        self.trace = trace
        self._prefix = parts.path.rstrip("/")
        self.wire: Wire | None = None

    def request(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], limits: Limits
    ) -> Exchange | Closed | Expired:
        """Sends one request. `step` the exchange until its reply is complete, then `finish` it."""
        wire, handshake_ns = self._idle(), None
        if wire is None:
            began = now_ns()
            try:
                wire = Wire.connect(self.base_url, limits.connect_ns)
            except TimeoutError:
                return Expired(
                    now_ns(), "connect", limits.connect_ns, max(0, now_ns() - began - limits.connect_ns)
                )
            except OSError:
                return Closed(now_ns(), False, None, "network", "unreachable")
            handshake_ns = now_ns() - began
        self.wire = None
        correlation_id, traced = trace_headers() if self.trace else (None, {})
        sent_headers = {**self.headers, **wire.proxy_headers, **traced, **headers}
        if body is not None:
            sent_headers.setdefault("content-type", "application/json")
            sent_headers["content-length"] = str(len(body))
        lines = [f"{method} {wire.origin}{self._prefix}{path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in sent_headers.items()]
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        began = now_ns()
        wait = Wait("accept", began, limits.accept_ns, began + limits.total_ns, limits.total_ns)
        exchange = Exchange(self, wire, wait, handshake_ns, correlation_id)
        wire.watch(wait)
        exchange.send(head + (body or b""))
        return exchange

    def _idle(self) -> Wire | None:
        """The open connection; a server may have closed it since the last request."""
        wire = self.wire
        if wire is None:
            return None
        try:
            quiet = wire.peek() is None
        except OSError:
            quiet = False
        if not quiet:
            wire.shut()
            self.wire = None
            return None
        return wire

    def release(self, exchange: Exchange) -> None:
        """Takes the connection of an exchange back, or ends it."""
        exchange.wire.unwatch()
        exchange.reply.close()
        if exchange.reply.complete and exchange.reply.keep_alive:
            self.wire = exchange.wire
        else:
            exchange.wire.shut()

    def close(self) -> None:
        """Ends it."""
        if self.wire is not None:
            self.wire.shut()
            self.wire = None


def encode(body: object) -> bytes | None:
    """A request body: bytes as they are, None for none, all else as JSON."""
    if body is None or isinstance(body, bytes):
        return body
    try:
        return orjson.dumps(body)
    except TypeError as error:
        raise InstrumentError(f"no JSON: {error}") from error
