"""What was asked, when each chunk was written, and who ended it. Times: CLOCK_MONOTONIC, ns."""

from __future__ import annotations

import hashlib
import time
from array import array
from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Final

KEPT: Final = 100_000
"""Requests; older ones are forgotten."""
CHUNKS: Final = 4096
"""Times kept of one request."""
PAGE: Final = 500
"""Entries of one answer, unless fewer are asked for."""


@dataclass(slots=True)
class Entry:
    """One request for a completion."""

    id: str
    """Of its script; of a `sim:` model the name."""
    model: str
    seed_word: str
    """The first word of the last user message."""
    key: str | None
    """The last four characters of the key that was used."""
    correlation_id: str | None
    body_sha256: str
    received_at_ns: int
    number: int = 0
    """1 for the first request."""
    bytes: int = 0
    tokens: int = 0
    written_ns: array[int] = field(default_factory=lambda: array("q"))
    """When each delta was handed to the kernel."""
    peer_closed_at_ns: int | None = None
    ended_at_ns: int | None = None
    ended: str | None = None
    """`done`, `rst`, `fin`: we; `peer`: the other side. None: still open."""
    finished: bool = False
    """Said that the answer is whole, however the stream ended then."""
    text_sha256: str | None = None
    _text: list[str] = field(default_factory=list)

    def delta(self, text: str, now_ns: int) -> None:
        self.tokens += 1
        if len(self.written_ns) < CHUNKS:
            self._text.append(text)
            self.written_ns.append(now_ns)

    def end(self, how: str, now_ns: int) -> None:
        """The first end counts. Of the text its hash is kept; of a flood that of its first CHUNKS deltas."""
        if self.ended is None:
            self.ended, self.ended_at_ns = how, now_ns
            text = "".join(self._text).encode("utf-8", "surrogatepass")
            self.text_sha256 = hashlib.sha256(text).hexdigest()
            self._text.clear()

    def told(self) -> dict[str, object]:
        names = [name for name in self.__slots__ if not name.startswith("_")]
        return {name: getattr(self, name) for name in names} | {"written_ns": self.written_ns.tolist()}


@dataclass(frozen=True, slots=True)
class Stats:
    open_streams: int
    requests: int
    ended: dict[str, int]
    cpu_s: float
    """Processor time of this process since its start."""


class Journal:
    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=KEPT)
        self._requests = 0
        self._open: set[int] = set()
        self._ended: Counter[str] = Counter()

    def begin(self, entry: Entry) -> None:
        self._entries.append(entry)
        self._requests += 1
        entry.number = self._requests
        self._open.add(id(entry))

    def finish(self, entry: Entry) -> None:
        self._open.discard(id(entry))
        self._ended[entry.ended or "peer"] += 1

    def told(self, wanted: str | None) -> list[dict[str, object]]:
        """Oldest first; of one script or model, or all."""
        return [one.told() for one in self._entries if wanted is None or wanted in (one.id, one.model)]

    def page(self, after: int, limit: int) -> list[dict[str, object]]:
        """Oldest first, at most `limit`: those whose number is above `after`."""
        if not self._entries:
            return []
        start = max(0, after + 1 - self._entries[0].number)
        return [one.told() for one in islice(self._entries, start, start + limit)]

    def stats(self) -> dict[str, object]:
        return asdict(Stats(len(self._open), self._requests, dict(self._ended), time.process_time()))
