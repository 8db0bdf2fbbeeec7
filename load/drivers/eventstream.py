"""Server-sent events out of bytes, after the WHATWG rules, however the bytes were split.

https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from load.errors import InstrumentError

MAX_LINE_BYTES: Final = 256 << 10
MAX_EVENT_BYTES: Final = 1 << 20
BOM: Final = b"\xef\xbb\xbf"


@dataclass(slots=True)
class ServerEvent:
    """One dispatched event. data: its lines joined by LF, undecoded. id: the last one seen, else empty."""

    type: str
    data: bytes
    id: str


@dataclass(slots=True)
class Comment:
    """A line that starts with a colon: a sign of life."""

    text: bytes


Item: TypeAlias = ServerEvent | Comment


class EventDecoder:
    """Bytes in, events out. retry_ms: as asked for by the server, None before.

    An event that is unfinished when the stream ends is dropped; `unfinished` tells.
    """

    __slots__ = ("_begun", "_data", "_id", "_rest", "_size", "_skip_lf", "_type", "retry_ms")

    def __init__(self) -> None:
        self._begun = False
        self._rest = b""
        self._skip_lf = False
        self._type = ""
        self._data: list[bytes] = []
        self._size = 0
        self._id = ""
        self.retry_ms: int | None = None

    @property
    def unfinished(self) -> bool:
        """Whether there is a line or an event that was begun and not ended."""
        return bool(self._rest or self._data)

    def feed(self, data: bytes) -> list[Item]:
        """What these bytes completed. Raises InstrumentError beyond our own limits of size."""
        if self._skip_lf and data:
            # A CR ended the former bytes; that an LF follows, and belongs to it, is known only now.
            self._skip_lf = False
            if data.startswith(b"\n"):
                data = data[1:]
        data = self._rest + data
        if not self._begun:
            if len(data) < len(BOM) and BOM.startswith(data):
                self._rest = data
                return []
            self._begun = True
            self._rest = b""
            data = data.removeprefix(BOM)
        if not data:
            return []
        lines = data.splitlines()  # of bytes: only at LF, CR and CRLF
        self._skip_lf = data.endswith(b"\r")
        self._rest = b"" if data.endswith((b"\n", b"\r")) else lines.pop()
        if len(self._rest) > MAX_LINE_BYTES:
            raise InstrumentError(f"a line of more than {MAX_LINE_BYTES} bytes in an event stream")
        items: list[Item] = []
        for line in lines:
            self._line(line, items)
        return items

    def _line(self, line: bytes, items: list[Item]) -> None:
        if not line:
            self._dispatch(items)
            return
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if not name:
            items.append(Comment(value))
        elif name == b"data":
            self._data.append(value)
            self._size += len(value) + 1
            if self._size > MAX_EVENT_BYTES:
                raise InstrumentError(f"an event of more than {MAX_EVENT_BYTES} bytes in an event stream")
        elif name == b"event":
            self._type = value.decode(errors="replace")
        elif name == b"id":
            if b"\0" not in value:
                self._id = value.decode(errors="replace")
        elif name == b"retry" and value.isdigit():
            self.retry_ms = int(value)

    def _dispatch(self, items: list[Item]) -> None:
        if self._data:
            items.append(ServerEvent(self._type or "message", b"\n".join(self._data), self._id))
        self._type = ""
        self._data.clear()
        self._size = 0
