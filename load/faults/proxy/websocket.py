"""The server's side of a WebSocket connection, RFC 6455: handshake, then frames."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Any, Final

from load.faults.proxy.refused import Refused
from load.faults.proxy.units import Unit, unit_of

TEXT, CONTINUATION, CLOSE, PING = 1, 0, 8, 9
FIN: Final = 0x80
MAX_FRAME_BYTES: Final = 16 << 20
HEAD_END: Final = b"\r\n\r\n"


def serialized(payload: bytes, opcode: int) -> bytes:
    """A frame of a server."""
    size = len(payload)
    if size < 126:
        head = struct.pack(">BB", FIN | opcode, size)
    elif size < 65_536:
        head = struct.pack(">BBH", FIN | opcode, 126, size)
    else:
        head = struct.pack(">BBQ", FIN | opcode, 127, size)
    return head + payload


def frame_size(data: bytes) -> tuple[int, int] | None:
    """(Bytes of the head, bytes of the payload) of the frame at the beginning; None before they are known."""
    if len(data) < 2:
        return None
    short = data[1] & 0x7F
    length = {126: ">H", 127: ">Q"}.get(short)
    head = 2 + (struct.calcsize(length) if length else 0)
    if len(data) < head:
        return None
    size = short if length is None else struct.unpack_from(length, data, 2)[0]
    if size > MAX_FRAME_BYTES:
        raise Refused(f"a frame of {size} bytes")
    return head, size


class WebSocketFrames:
    """Units are whole messages, however many fragments they had, and control frames. Anything but an accepted
    handshake passes as it is."""

    sign = serialized(b"planted", PING)

    def __init__(self) -> None:
        self._buffer = b""
        self._open = False
        self._plain = False
        self._fragments = b""
        self._text = b""

    def units(self, data: bytes) -> Iterable[Unit]:
        self._buffer += data
        found: list[Unit] = []
        if not self._open and not self._plain:
            self._handshake(found)
        if self._plain and self._buffer:
            found.append(Unit(self._buffer, "raw"))
            self._buffer = b""
        while self._open and (size := frame_size(self._buffer)) is not None:
            if len(self._buffer) < sum(size):
                break
            raw, self._buffer = self._buffer[: sum(size)], self._buffer[sum(size) :]
            self._frame(raw, raw[size[0] :], found)
        return found

    def rest(self) -> bytes:
        rest, self._buffer = self._fragments + self._buffer, b""
        return rest

    def frame(self, text: bytes, fields: Mapping[str, Any]) -> bytes:
        return serialized(text, TEXT)

    def wrap(self, raw: bytes) -> bytes:
        return raw

    def ending(self, code: int) -> bytes:
        return serialized(struct.pack(">H", code), CLOSE)

    def _handshake(self, found: list[Unit]) -> None:
        head, end, rest = self._buffer.partition(HEAD_END)
        if not end:
            return
        status = head.split(b" ", 2)[1:2]
        if status == [b"101"]:
            self._open = True
            self._buffer = rest
            found.append(Unit(head + end, "raw"))
        else:
            self._plain = True

    def _frame(self, raw: bytes, payload: bytes, found: list[Unit]) -> None:
        opcode, last = raw[0] & 0x0F, bool(raw[0] & FIN)
        if opcode == CLOSE:
            code = struct.unpack(">H", payload[:2])[0] if len(payload) >= 2 else 0
            found.append(Unit(raw, "close", code=code))
        elif opcode not in (TEXT, CONTINUATION):
            found.append(Unit(raw))
        else:
            self._fragments += raw
            self._text += payload
            if last:
                found.append(unit_of(self._fragments, self._text))
                self._fragments = self._text = b""
