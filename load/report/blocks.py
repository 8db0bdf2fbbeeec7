"""`blocks.jsonl`: a line for each block of a comparison, written while it goes on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson


class BlockRows:
    """The file in a run's folder. failure: why a line could not be written; None while all were."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "blocks.jsonl"
        self.failure: str | None = None
        self._file = self.path.open("wb")

    def write(self, block: Mapping[str, object]) -> None:
        """Adds a line, which can be read at once."""
        try:
            self._file.write(orjson.dumps(block, option=orjson.OPT_APPEND_NEWLINE))
            self._file.flush()
        except OSError as error:
            self._failed(error)

    def close(self) -> None:
        """May be called again."""
        try:
            self._file.close()
        except OSError as error:
            self._failed(error)

    def _failed(self, error: OSError) -> None:
        self.failure = self.failure or f"{self.path}: {error.strerror}"


def read_blocks(folder: Path) -> Iterator[Mapping[str, Any]]:
    """The blocks of a run, as far as they were written whole."""
    with (folder / "blocks.jsonl").open("rb") as lines, suppress(orjson.JSONDecodeError):
        for line in lines:
            yield orjson.loads(line)
