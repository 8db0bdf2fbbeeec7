"""One WebSocket connection: messages out and in, and how it ended.

The protocol is `websockets`' Sans-I/O one; the socket, its stamps and its limits are ours.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from websockets.client import ClientProtocol
from websockets.exceptions import PayloadTooBig
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import CONNECTING, OPEN
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from load.drivers.base import Hear, Recorder, nobody
from load.drivers.clock import now_ns
from load.drivers.frames import Head, Splitter
from load.drivers.problem import refused
from load.drivers.watchdog import Wait
from load.drivers.wire import Wire
from load.errors import InstrumentError
from load.metrics.events import Closed, Expired, Refused
from load.metrics.outcomes import CUT, OPENED

MAX_MESSAGE_BYTES: Final = 4 << 20
CLOSE_NS: Final = 2_000_000_000
"""So long a close frame of ours waits for its echo."""
NO_STATUS: Final = 1005
SWITCHED: Final = 101

Unusable: TypeAlias = Refused | Closed | Expired
"""Why there is no connection."""

TEXT, CONT, CLOSE, BINARY = Opcode.TEXT, Opcode.CONT, Opcode.CLOSE, Opcode.BINARY


class Channel:
    """closed: how it ended, None while it is open. greeting: messages that came with the answer to the
    handshake. hear: is told that it is open, and how the peer ends it. recorder: where messages are kept; a
    handshake never is, it holds a credential."""

    __slots__ = (
        "_head",
        "_hear",
        "_leaving",
        "_parts",
        "_protocol",
        "_response",
        "_splitter",
        "closed",
        "correlation_id",
        "greeting",
        "recorder",
        "wire",
    )

    def __init__(
        self, wire: Wire, protocol: ClientProtocol, correlation_id: str | None, hear: Hear = nobody
    ) -> None:
        self.wire = wire
        self._hear = hear
        self._leaving = False
        self._protocol = protocol
        self._head = Head()
        self._splitter = Splitter()
        self._parts: list[bytes] = []
        self._response: Response | None = None
        self.correlation_id = correlation_id
        self.closed: Closed | None = None
        self.greeting: list[bytes] = []
        self.recorder: Recorder | None = None

    @classmethod
    def connect(
        cls,
        url: str,
        headers: Mapping[str, str],
        subprotocols: Sequence[str],
        limit_ns: int,
        correlation_id: str | None = None,
        *,
        greeted: bool = False,
        hear: Hear = nobody,
    ) -> Channel | Unusable:
        """An open connection, or why there is none. greeted: where a subprotocol was agreed upon, the first
        message is waited for."""
        began = now_ns()
        try:
            wire = Wire.connect(url, limit_ns)
        except TimeoutError:
            return Expired(now_ns(), "connect", limit_ns, max(0, now_ns() - began - limit_ns))
        except OSError:
            return Closed(now_ns(), False, None, "network", "unreachable")
        offered = [Subprotocol(name) for name in subprotocols]
        protocol = ClientProtocol(parse_uri(url), subprotocols=offered or None, max_size=MAX_MESSAGE_BYTES)
        channel = cls(wire, protocol, correlation_id, hear)
        wire.watch(Wait("connect", began, limit_ns))
        try:
            unusable = channel._handshake(headers, greeted=greeted)
        finally:
            wire.unwatch()
        if unusable is not None:
            wire.shut()
            return unusable
        return channel

    def _handshake(self, headers: Mapping[str, str], *, greeted: bool) -> Unusable | None:
        protocol = self._protocol
        request = protocol.connect()
        for name, value in headers.items():
            request.headers[name] = value
        protocol.send_request(request)
        self._flush()
        while self._response is None or (greeted and protocol.subprotocol is not None and not self.greeting):
            self.greeting += self.read()
            if self.closed is not None:
                break
            expired = self.expired()
            if expired is not None:
                return expired
        response = self._response
        if response is not None and protocol.handshake_exc is not None and response.status_code != SWITCHED:
            body = bytes(response.body or b"")
            return refused(self.wire.arrived_at, response.status_code, body, self.correlation_id)
        return self.closed

    # -- messages

    def send(self, message: bytes) -> int:
        """One text message; the time directly before the system call. Raises OSError."""
        if self.closed is not None:
            raise ConnectionError("a close frame has come")
        self._protocol.send_text(message)
        at = self.wire.send(b"".join(self._protocol.data_to_send()))
        if self.recorder is not None:
            self.recorder.keep(at, "sent", message)
        return at

    def read(self) -> list[bytes]:
        """Waits for bytes; the messages they completed. `closed` or `expired()` may then tell the end."""
        try:
            data = self.wire.read()
        except OSError:
            return self._lost()
        return self._receive(data)

    def follow(self, take: Callable[[list[bytes]], bool]) -> list[bytes]:
        """Hands over the messages of each read until `take`, which must not wait, wants no more. Anything but
        whole texts ends it too, and is dealt with as by `read`; the messages of that read are returned."""
        if self._protocol.state is not OPEN:
            return self.read()
        ended, passed_on = False, b""
        messages: list[bytes] = []

        def texts(data: bytes) -> bool:
            nonlocal ended, passed_on, messages
            if not data:
                ended = True
                return False
            messages = []
            passed_on = self._splitter.take(data, messages)
            if passed_on:
                return False
            if self.recorder is not None:
                self.recorder.keep_all(self.wire.arrived_at, "received", messages)
            return not messages or take(messages)

        try:
            self.wire.follow(texts)
        except OSError:
            return self._lost()
        if ended:
            return self._receive(b"")
        if not passed_on:
            return []
        self._pass_on(passed_on, messages)
        return self._received(messages)

    def peek(self) -> list[bytes] | None:
        """As `read`, but None when nothing has arrived; never waits."""
        try:
            data = self.wire.peek()
        except OSError:
            self._end(Closed(now_ns(), False, None, "network", "reset"))
            return []
        return None if data is None else self._receive(data)

    def _lost(self) -> list[bytes]:
        if self.expired() is None:
            self._end(Closed(now_ns(), False, None, "network", "reset"))
        return []

    def expired(self) -> Expired | None:
        """The limit of ours that has passed."""
        wait = self.wire.wait
        if wait is None or wait.expired is None:
            return None
        if wait.expired == "total":
            return Expired(now_ns(), "total", wait.total, wait.late)
        # The clock of now: a chunk that raced with the watchdog has moved it on.
        return Expired(now_ns(), wait.clock, wait.limit, wait.late)

    def _receive(self, data: bytes) -> list[bytes]:
        protocol = self._protocol
        open_before = self.closed is None
        messages: list[bytes] = []
        if data:
            self._split(data, messages)
        elif self.expired() is None:
            protocol.receive_eof()
            how = "fin" if protocol.handshake_exc is None or self._response is None else "protocol"
            self._end(Closed(self.wire.arrived_at, True, None, "peer", how))
            self._events(messages)
        return self._received(messages, open_before=open_before)

    def _received(self, messages: list[bytes], *, open_before: bool = True) -> list[bytes]:
        """Answers what wants an answer, keeps the messages of one read, and looks whether all was allowed."""
        protocol = self._protocol
        if protocol.writes:
            self._flush()  # pongs and close echoes must not wait for our bookkeeping
        if self.recorder is not None:
            self.recorder.keep_all(self.wire.arrived_at, "received", messages)
            if open_before and protocol.close_rcvd is not None:
                self.recorder.keep(self.wire.arrived_at, "received", f"close {protocol.close_rcvd}".encode())
        if protocol.parser_exc is not None or protocol.handshake_exc is not None:
            self._failed()
        return messages

    def _split(self, data: bytes, messages: list[bytes]) -> None:
        """Appends the messages that `data` completes: whole texts by themselves, all else by the protocol."""
        protocol, splitter = self._protocol, self._splitter
        if protocol.state is CONNECTING:
            end = self._head.end(data)
            protocol.receive_data(data[:end])
            self._events(messages)
            data = data[end:]
        if protocol.state is OPEN:
            self._pass_on(splitter.take(data, messages), messages)
        else:
            protocol.receive_data(splitter.rest() + data)
            self._events(messages)

    def _pass_on(self, passed_on: bytes, messages: list[bytes]) -> None:
        """Gives the protocol what the splitter does not take, and goes on with what stands behind it."""
        protocol, splitter = self._protocol, self._splitter
        while passed_on:
            protocol.receive_data(passed_on)
            self._events(messages)
            passed_on = splitter.take(b"", messages) if protocol.state is OPEN else splitter.rest()

    def _events(self, messages: list[bytes]) -> None:
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                self._frame(event, messages)
            else:
                assert isinstance(event, Response)
                self._response = event
                if event.status_code == SWITCHED:
                    self._hear(OPENED)

    def _failed(self) -> None:
        """What no protocol allows; a message beyond our own limit is not the peer's fault."""
        too_big = isinstance(self._protocol.parser_exc, PayloadTooBig) and self.closed is None
        self._end(Closed(self.wire.arrived_at, False, None, "us" if too_big else "peer", "protocol"))
        if too_big:
            raise InstrumentError(f"a message of more than {MAX_MESSAGE_BYTES} bytes on a WebSocket")

    def _frame(self, frame: Frame, messages: list[bytes]) -> None:
        """Long texts, fragments, binary messages, which the contract does not know, and the close frame."""
        data = bytes(frame.data)
        if frame.opcode is TEXT:
            self._parts = [data]
        elif frame.opcode is BINARY:
            self._parts = [b"binary message: ", data]
        elif frame.opcode is CONT:
            self._parts.append(data)
        elif frame.opcode is CLOSE:
            close = self._protocol.close_rcvd
            code = None if close is None or close.code == NO_STATUS else int(close.code)
            self._end(Closed(self.wire.arrived_at, True, code, "peer", "close"))
            return
        else:
            return
        if frame.fin:
            messages.append(b"".join(self._parts))

    def _flush(self) -> None:
        with contextlib.suppress(OSError):  # the next read tells how it ended
            for data in self._protocol.data_to_send():
                if data:
                    self.wire.send(data)
                else:
                    self.wire.shut_writing()

    def _end(self, closed: Closed) -> None:
        if self.closed is None:
            self.closed = closed
            if self._response is not None and self._response.status_code == SWITCHED and not self._leaving:
                self._hear(CUT if closed.code is None else str(closed.code))

    # -- the end

    def close(self) -> list[bytes]:
        """Close frame, its echo within CLOSE_NS, FIN; the messages that came in between."""
        late: list[bytes] = []
        if self._protocol.state is OPEN:
            self._leaving = True
            self._protocol.send_close(1000)
            self.wire.watch(Wait("total", now_ns(), CLOSE_NS))
            self._flush()
            while self.closed is None and self.expired() is None:
                late += self.read()
            self.wire.unwatch()
        self.wire.shut()
        return late
