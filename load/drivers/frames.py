"""Whole text messages out of the bytes of an open WebSocket, at a fifth of what a full parser costs for each.

A frame (RFC 6455 section 5.2) that is anything but an unmasked, unfragmented text of up to 64 KiB, the frames
of a fragmented message and all that no rule allows are passed on, byte by byte, to whoever knows all rules.
"""

from __future__ import annotations

from typing import Final

WHOLE_TEXT: Final = 0x81
FIN: Final = 0x80
OPCODE: Final = 0x0F
CONTROL: Final = 0x08
"""Opcodes from here on may stand between the frames of a message."""
TWO_BYTES, EIGHT_BYTES = 126, 127
"""Instead of a length: it follows in so many bytes."""
HEAD_END: Final = b"\r\n\r\n"


class Head:
    """The answer to a handshake, behind which the first frames may come in the same read."""

    __slots__ = ("_tail",)

    def __init__(self) -> None:
        self._tail = b""

    def end(self, data: bytes) -> int:
        """How much of `data` belongs to the head."""
        seen = self._tail + data
        found = seen.find(HEAD_END)
        if found < 0:
            self._tail = seen[-len(HEAD_END) + 1 :]
            return len(data)
        return found + len(HEAD_END) - len(self._tail)


class Splitter:
    """Takes the bytes of one read after the other, wherever they were cut."""

    __slots__ = ("_fragmented", "_owed", "_rest")

    def __init__(self) -> None:
        self._rest = b""
        self._owed = 0
        self._fragmented = False

    def take(self, data: bytes, messages: list[bytes]) -> bytes:
        """Appends messages up to the first frame that is to be passed on; the bytes of that, or none when all
        is taken. Whoever was given some calls again, without data, for what stands behind them."""
        if self._rest:
            data = self._rest + data
        at, end = 0, len(data)
        if not self._owed and not self._fragmented:
            while end - at > 3 and data[at] == WHOLE_TEXT:
                size, begin = data[at + 1], at + 2
                if size == TWO_BYTES:
                    size, begin = data[at + 2] << 8 | data[at + 3], at + 4
                elif size > TWO_BYTES:
                    break
                if begin + size > end:
                    self._rest = data[at:]
                    return b""
                at = begin + size
                messages.append(data[begin:at])
            if at == end:
                self._rest = b""
                return b""
        stop = self._pass_on(data, at)
        self._rest = data[stop:]
        return data[at:stop]

    def _pass_on(self, data: bytes, at: int) -> int:
        """Where that part of the frame at `at` ends that is there; `at` itself while its head is not."""
        if not self._owed:
            left = len(data) - at
            if left < 2:
                return at
            first, size = data[at], data[at + 1] & 127
            follow = {TWO_BYTES: 2, EIGHT_BYTES: 8}.get(size, 0)
            if left < 2 + follow:
                return at
            if follow:
                size = int.from_bytes(data[at + 2 : at + 2 + follow])
            if first & OPCODE < CONTROL:
                self._fragmented = not first & FIN
            self._owed = 2 + follow + size
        stop = min(len(data), at + self._owed)
        self._owed -= stop - at
        return stop

    def rest(self) -> bytes:
        """What was not taken, and is not kept any longer."""
        rest, self._rest = self._rest, b""
        return rest
