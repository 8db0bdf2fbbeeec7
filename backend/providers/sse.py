"""Server-sent events (WHATWG HTML, 9.2.6), read from whatever pieces the network makes of them.

    line    ends at LF, CR or CRLF; a CR that ends a read ends its line, and takes an LF that comes next
    event   the `data` lines up to an empty line, joined by LF; without any it is none
    else    comments and other fields mean nothing here, but count as lines

Only what is read is searched for line ends, never what waits: an endless line costs no more than its bytes.
"""

from __future__ import annotations

from collections.abc import Iterator


class Malformed(Exception):
    """These bytes are no event stream that is read here; the message says why and holds none of them."""


class Decoder:
    """One stream. Behind `Malformed` it is of no use any more."""

    __slots__ = ("_at_start", "_data", "_data_bytes", "_most_bytes", "_waiting", "_was_cr")

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes  # of a line, and of the data lines of an event
        self._waiting = bytearray()  # the beginning of a line
        self._was_cr = False
        self._at_start = True
        self._data: list[str] = []
        self._data_bytes = 0

    def feed(self, read: bytes) -> Iterator[str]:
        """The data of each event that ends in this read; raises `Malformed` behind the events before it."""
        if self._was_cr and read:
            read = read.removeprefix(b"\n")
            self._was_cr = False
        end = max(read.rfind(b"\n"), read.rfind(b"\r")) + 1
        if end:
            self._was_cr = read.endswith(b"\r")
            lines = (bytes(self._waiting) + read[:end]).splitlines()
            self._waiting.clear()
            for line in lines:
                if not line:
                    if self._data:
                        yield "\n".join(self._data)
                        self._data.clear()
                        self._data_bytes = 0
                else:
                    self._take(line)
        self._waiting += read[end:]
        if len(self._waiting) > self._most_bytes:
            raise Malformed("a line is too long")  # P14

    def _take(self, line: bytes) -> None:
        if len(line) > self._most_bytes:
            raise Malformed("a line is too long")  # P14
        try:
            text = line.decode()
        except UnicodeDecodeError:
            raise Malformed("not UTF-8") from None
        if self._at_start:
            text = text.removeprefix("\ufeff")
            self._at_start = False
        name, _, value = text.partition(":")
        if name == "data":
            self._data_bytes += len(line)
            if self._data_bytes > self._most_bytes:
                raise Malformed("an event is too long")  # P14
            self._data.append(value.removeprefix(" "))
