"""Messages out of a body, however its bytes were split: server-sent events, JSON lines, plain text."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from load.drivers.dialects.rules import Message, parse
from load.drivers.eventstream import MAX_LINE_BYTES, Comment, EventDecoder
from load.errors import InstrumentError


class Framing(Protocol):
    """Takes the bytes of one read, gives the messages that they completed; None for a comment."""

    @property
    def unfinished(self) -> bool: ...

    def feed(self, data: bytes) -> list[Message | None]: ...


class Events:
    """`text/event-stream`."""

    def __init__(self) -> None:
        self._decoder = EventDecoder()

    @property
    def unfinished(self) -> bool:
        """Whether an event was begun and not ended."""
        return self._decoder.unfinished

    def feed(self, data: bytes) -> list[Message | None]:
        """One message an event."""
        return [
            None if isinstance(item, Comment) else parse(item.data, item.type, item.id)
            for item in self._decoder.feed(data)
        ]


class JsonLines:
    """One JSON text a line; empty lines are signs of life."""

    def __init__(self) -> None:
        self._rest = b""

    @property
    def unfinished(self) -> bool:
        """Whether a line was begun and not ended."""
        return bool(self._rest)

    def feed(self, data: bytes) -> list[Message | None]:
        """One message a line."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MAX_LINE_BYTES:
            raise InstrumentError(f"a line of more than {MAX_LINE_BYTES} bytes")
        return [parse(line) if line.strip() else None for line in lines]


class Text:
    """Characters as they come; a cut character waits for its rest."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    @property
    def unfinished(self) -> bool:
        """Whether a character was begun and not ended."""
        return bool(self._decoder.getstate()[0])

    def feed(self, data: bytes) -> list[Message | None]:
        """One message, if a character is complete."""
        text = self._decoder.decode(data)
        return [Message(text.encode(), None)] if text else []


FRAMINGS: Final[Mapping[str, Callable[[], Framing]]] = {"sse": Events, "json_lines": JsonLines, "text": Text}
CONTENT_TYPES: Final = {
    "sse": ("text/event-stream",),
    "json_lines": ("application/x-ndjson", "application/jsonl", "application/json", "text/plain"),
    "text": ("text/",),
}
"""What the body must call itself; anything else is a refusal."""
