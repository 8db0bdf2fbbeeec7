"""The server's side of an HTTP/1.1 connection: responses, and the events of those that are event streams.

Events are sent on each in an HTTP chunk of its own. Responses to HEAD are not understood.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from load.faults.proxy.units import Unit, unit_of

HEAD_END: Final = b"\r\n\r\n"
LINE_END: Final = b"\r\n"
BLANK_LINE: Final = re.compile(rb"\r\n\r\n|\n\n|\r\r")
LAST_CHUNK: Final = b"0\r\n\r\n"
NO_BODY: Final = (204, 304)


def headers_of(head: bytes) -> tuple[bytes, dict[bytes, bytes]]:
    """First line, and the headers with their names in lower case."""
    first, *lines = head.split(LINE_END)
    pairs = [line.partition(b":") for line in lines if line]
    return first, {name.strip().lower(): value.strip() for name, _, value in pairs}


class EventStreams:
    """Units are events and comments. All other responses pass as they are."""

    sign = b": planted\n\n"

    def __init__(self) -> None:
        self._buffer = b""
        self._event = b""
        self._left = 0
        self._streaming = self._chunked = False
        self._state: Callable[[list[Unit]], bool] = self._head

    def units(self, data: bytes) -> Iterable[Unit]:
        self._buffer += data
        found: list[Unit] = []
        while self._buffer and self._state(found):
            pass
        return found

    def rest(self) -> bytes:
        rest = (self.wrap(self._event) if self._event else b"") + self._buffer
        self._event = self._buffer = b""
        return rest

    def frame(self, text: bytes, fields: Mapping[str, Any]) -> bytes:
        number = f"id: {fields['seq']}\n" if "seq" in fields else ""
        return f"{number}event: {fields.get('type', 'delta')}\ndata: ".encode() + text + b"\n\n"

    def wrap(self, raw: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(raw), raw) if self._chunked else raw

    def ending(self, code: int) -> bytes:
        """Events have no close codes: the response just ends."""
        return LAST_CHUNK if self._chunked else b""

    # Each state takes what it can from the buffer; False when it needs more.

    def _head(self, found: list[Unit]) -> bool:
        head, end, rest = self._buffer.partition(HEAD_END)
        if not end:
            return False
        self._buffer = rest
        first, headers = headers_of(head)
        status = int(first.split(b" ", 2)[1])
        found.append(Unit(head + end, "raw"))
        if status < 200:
            return True
        length = headers.get(b"content-length")
        self._chunked = headers.get(b"transfer-encoding", b"").lower() == b"chunked"
        kind = headers.get(b"content-type", b"")
        self._streaming = status < 300 and kind.startswith(b"text/event-stream") and length is None
        if self._chunked:
            self._state = self._size
        elif status in NO_BODY or length == b"0":
            self._state = self._head
        elif length is not None:
            self._left, self._state = int(length), self._counted
        else:
            self._state = self._to_the_end
        return True

    def _counted(self, found: list[Unit]) -> bool:
        self._pass(self._taken(), found)
        if self._left == 0:
            self._state = self._head
        return True

    def _to_the_end(self, found: list[Unit]) -> bool:
        data, self._buffer = self._buffer, b""
        if self._streaming:
            self._events(data, found)
        else:
            self._pass(data, found)
        return False

    def _size(self, found: list[Unit]) -> bool:
        line, end, rest = self._buffer.partition(LINE_END)
        if not end:
            return False
        self._left = int(line.split(b";")[0], 16)
        if self._left == 0:
            self._state = self._trailers
            return True  # the line stays: it is the beginning of the end
        self._buffer = rest
        self._state = self._data
        if not self._streaming:
            self._pass(line + end, found)
        return True

    def _data(self, found: list[Unit]) -> bool:
        data = self._taken()
        if self._streaming:
            self._events(data, found)
        else:
            self._pass(data, found)
        if self._left == 0:
            self._state = self._data_end
        return True

    def _data_end(self, found: list[Unit]) -> bool:
        if len(self._buffer) < len(LINE_END):
            return False
        self._buffer = self._buffer[len(LINE_END) :]
        if not self._streaming:
            self._pass(LINE_END, found)
        self._state = self._size
        return True

    def _trailers(self, found: list[Unit]) -> bool:
        end = self._buffer.find(HEAD_END)
        if end < 0:
            return False
        if self._event:
            found.append(Unit(self._event))
            self._event = b""
        end += len(HEAD_END)
        self._pass(self._buffer[:end], found)
        self._buffer = self._buffer[end:]
        self._state = self._head
        return True

    def _taken(self) -> bytes:
        data, self._buffer = self._buffer[: self._left], self._buffer[self._left :]
        self._left -= len(data)
        return data

    def _pass(self, data: bytes, found: list[Unit]) -> None:
        found.append(Unit(data, "raw"))

    def _events(self, data: bytes, found: list[Unit]) -> None:
        self._event += data
        while (blank := BLANK_LINE.search(self._event)) is not None:
            raw, self._event = self._event[: blank.end()], self._event[blank.end() :]
            lines = [line.partition(b":") for line in raw.splitlines()]
            text = b"\n".join(value.removeprefix(b" ") for name, _, value in lines if name == b"data")
            found.append(unit_of(raw, text))
