"""One connection whose bytes the caller writes: what no well-behaved client sends, and what it leaves out.

    with RawClient.connect("ws://127.0.0.1:8000/api/agents/agt_1/stream", limit_ns) as client:
        client.send(client.handshake({"authorization": "Bearer sg_…"}))
        if client.answer().status == 101:
            client.send(frame(BINARY, b"{}"))
            message = client.message()  # None behind a close frame, client.close_code says which

Nothing is done unasked: `frame` leaves pings unanswered; only `message` answers them, and a close frame.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit

import orjson
from websockets.frames import Frame, Opcode

from load.drivers.base import Hear, nobody
from load.drivers.clock import now_ns
from load.drivers.watchdog import Wait
from load.drivers.wire import Wire
from load.metrics.outcomes import OPENED

HEAD_END: Final = b"\r\n\r\n"
CLOSE_STATUS_BYTES: Final = 2
SWITCHED: Final = 101

TEXT, CONT, BINARY = Opcode.TEXT, Opcode.CONT, Opcode.BINARY
CLOSE, PING, PONG = Opcode.CLOSE, Opcode.PING, Opcode.PONG

End: TypeAlias = Literal["fin", "reset", "expired"]
"""Who ended the connection: the peer, in two ways, or our own limit."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer; status 0 where the connection ended too early. headers: names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON; None where it is not."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None


class RawClient:
    """began_at: before the connect, monotonic ns. ended: how the connection ended, None while it is open.
    close_at, close_code, close_reason: of the peer's close frame. pongs: whether `message` answers pings."""

    def __init__(self, url: str, wire: Wire, began_at: int, hear: Hear = nobody) -> None:
        """hear: is told of a WebSocket that it is open, and the close code that ends it."""
        self._hear = hear
        self.url = url
        self.path = urlsplit(url).path or "/"
        self.wire = wire
        self.began_at = began_at
        self.ended: End | None = None
        self.close_at: int | None = None
        self.close_code: int | None = None
        self.close_reason = ""
        self.pongs = True
        self._leaving = False
        self._rest = b""

    @classmethod
    def connect(
        cls, url: str, limit_ns: int, receive_buffer: int | None = None, *, hear: Hear = nobody
    ) -> RawClient:
        """Raises as `Wire.connect`. limit_ns: so long all may take; then reads end."""
        began = now_ns()
        wire = Wire.connect(url, limit_ns, receive_buffer=receive_buffer)
        # `total`: unlike the other clocks it also ends a wait while bytes lie there that nobody reads.
        wire.watch(Wait("total", began, limit_ns, began + limit_ns, limit_ns))
        return cls(url, wire, began, hear)

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def arrived_at(self) -> int:
        """When the last bytes, or the end, had arrived; monotonic ns."""
        return self.wire.arrived_at

    # -- bytes

    def send(self, data: bytes) -> int:
        """The time directly before the system call. That it failed is told by the next read."""
        try:
            return self.wire.send(data)
        except OSError:
            return now_ns()

    def read_until(self, mark: bytes) -> bytes:
        """What comes, `mark` included; what had come without it when the connection ended."""
        while mark not in self._rest and self._read():
            pass
        head, found, rest = self._rest.partition(mark)
        self._rest = rest
        return head + found

    def read_exactly(self, count: int) -> bytes | None:
        """None, and nothing taken, where the connection ended first."""
        while len(self._rest) < count and self._read():
            pass
        if len(self._rest) < count:
            return None
        taken, self._rest = self._rest[:count], self._rest[count:]
        return taken

    def read_to_end(self) -> bytes:
        """All that comes until the connection ends."""
        while self._read():
            pass
        taken, self._rest = self._rest, b""
        return taken

    def _read(self) -> bool:
        """One read; False at the end of the connection."""
        if self.ended is not None:
            return False
        try:
            data = self.wire.read(awaited=False)  # some read late on purpose
        except OSError:
            data = b""
            self.ended = "reset"
        if data:
            self._rest += data
            return True
        wait = self.wire.wait
        if wait is not None and wait.expired is not None:
            self.ended = "expired"
        elif self.ended is None:
            self.ended = "fin"
        return False

    # -- HTTP

    def handshake(self, headers: Mapping[str, str]) -> bytes:
        """The bytes of a WebSocket handshake, to be sent whole or not."""
        lines = [
            f"GET {self.path} HTTP/1.1",
            f"host: {urlsplit(self.url).netloc}",
            "connection: Upgrade",
            "upgrade: websocket",
            "sec-websocket-version: 13",
            f"sec-websocket-key: {base64.b64encode(secrets.token_bytes(16)).decode()}",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        return "\r\n".join(lines).encode("latin-1") + HEAD_END

    def answer(self) -> Answer:
        """The next HTTP answer; its body as far as `content-length` says, else to the end."""
        head = self.read_until(HEAD_END)
        if not head.endswith(HEAD_END):
            return Answer(0, {}, head)
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = [line.partition(":") for line in lines if line]
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        status = int(first.split(" ")[1])
        if status == SWITCHED:
            self._hear(OPENED)
        if status < 200:
            return Answer(status, headers, b"")
        if "content-length" not in headers:
            return Answer(status, headers, self.read_to_end())
        body = self.read_exactly(int(headers["content-length"]))
        return Answer(0, {}, head) if body is None else Answer(status, headers, body)

    # -- WebSocket

    def frame(self) -> tuple[int, bytes] | None:
        """Opcode and payload of the server's next frame; None where the connection ended first."""
        head = self.read_exactly(2)
        if head is None:
            return None
        length = head[1] & 0x7F
        if length >= 126:
            extended = self.read_exactly(2 if length == 126 else 8)
            if extended is None:
                return None
            length = int.from_bytes(extended, "big")
        payload = self.read_exactly(length)
        return None if payload is None else (head[0] & 0x0F, payload)

    def message(self) -> Any:
        """The object in the next text message; None behind a close frame or at the end. Answers pings, and
        the close frame."""
        while (found := self.frame()) is not None:
            opcode, payload = found
            if opcode == TEXT:
                return orjson.loads(payload)
            if opcode == PING and self.pongs:
                self.send(frame(PONG, payload))
            elif opcode == CLOSE:
                self._closed(payload)
                self.read_to_end()
        return None

    def send_close(self, code: int) -> None:
        """Our own close frame; the next messages may still be others, then comes its echo."""
        self._leaving = True
        self.send(frame(CLOSE, code.to_bytes(CLOSE_STATUS_BYTES, "big")))

    def _closed(self, payload: bytes) -> None:
        self.close_at = self.arrived_at
        if len(payload) >= CLOSE_STATUS_BYTES:
            self.close_code = int.from_bytes(payload[:CLOSE_STATUS_BYTES], "big")
            self.close_reason = payload[CLOSE_STATUS_BYTES:].decode()
        if not self._leaving:
            if self.close_code is not None:
                self._hear(str(self.close_code))
            self.send(frame(CLOSE, payload[:CLOSE_STATUS_BYTES]))

    # -- the end

    def close(self) -> None:
        """A FIN."""
        self.wire.unwatch()
        self.wire.shut()

    def reset(self) -> None:
        """A RST."""
        self.wire.unwatch()
        self.wire.reset()


def frame(opcode: int, payload: bytes, *, fin: bool = True) -> bytes:
    """A client's WebSocket frame. fin: False for a fragment that others follow, as CONT."""
    return Frame(Opcode(opcode), payload, fin=fin).serialize(mask=True)


def say(**fields: object) -> bytes:
    """A JSON object in a text frame."""
    return frame(TEXT, orjson.dumps(fields))
