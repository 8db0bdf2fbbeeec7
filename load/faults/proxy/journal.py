"""Each fault that was planted, so that whoever measures can be asked for it."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import asdict, dataclass
from typing import Final

MAX_ENTRIES: Final = 100_000


@dataclass(frozen=True, slots=True)
class Planted:
    """One fault as it happened.

    stream: of the connection, from 1; 0 for a handshake or a close. chunk: of the stream, 0 for none. frame:
    of all that the server sent on the connection. at_ns: monotonic, when the fault began.
    """

    at_ns: int
    connection: int
    operation: str
    stream: int = 0
    chunk: int = 0
    frame: int = 0
    execution_id: str | None = None


class Journal:
    """The newest entries; `lost` says how many older ones are gone."""

    def __init__(self) -> None:
        self._entries: deque[Planted] = deque(maxlen=MAX_ENTRIES)
        self._count = 0

    @property
    def lost(self) -> int:
        return self._count - len(self._entries)

    def write(
        self,
        connection: int,
        operation: str,
        *,
        stream: int = 0,
        chunk: int = 0,
        frame: int = 0,
        execution_id: str | None = None,
    ) -> None:
        """Of this moment."""
        self._count += 1
        now = time.monotonic_ns()
        self._entries.append(Planted(now, connection, operation, stream, chunk, frame, execution_id))

    def entries(self, connection: int | None = None) -> list[dict[str, object]]:
        """Oldest first."""
        return [
            asdict(entry) for entry in self._entries if connection is None or entry.connection == connection
        ]

    def clear(self) -> None:
        self._entries.clear()
        self._count = 0
