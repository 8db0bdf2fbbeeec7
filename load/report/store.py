"""The folder that a run leaves, and how files get into it whole or not at all.

reports/20261125T170112Z-1a2b3c4-9f3e/     one run; made before the first user comes
reports/latest                             points at the last run that wrote its run.json
"""

from __future__ import annotations

import gzip
import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import orjson

from load.errors import UsageError
from load.metrics.row import StreamRow


def create_folder(reports: Path, started: datetime, short_sha: str) -> Path:
    """A new folder for one run.

    Raises UsageError when nothing can be written there, which is the time to learn it.
    """
    name = f"{started.astimezone(UTC):%Y%m%dT%H%M%SZ}-{short_sha}-{secrets.token_hex(2)}"
    folder = reports / name
    try:
        folder.mkdir(parents=True)
        write_atomically(folder / "run.json", b"{}")  # a full disk or quota shows only at a write
        (folder / "run.json").unlink()
    except OSError as error:
        raise UsageError(
            f"--reports {reports}: cannot be written ({error.strerror}); name another folder with --reports"
        ) from error
    return folder


def write_atomically(path: Path, content: str | bytes) -> None:
    """`path` holds the old content or the new one, never a part. Raises OSError."""
    data = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise


def point_latest(folder: Path) -> None:
    """`latest` beside `folder` points at it from one moment to the next. Raises OSError."""
    link = folder.with_name(f".latest.{secrets.token_hex(4)}")
    link.symlink_to(folder.name, target_is_directory=True)
    try:
        link.replace(folder.with_name("latest"))
    except OSError:
        link.unlink()
        raise


class StreamRows:
    """`streams.jsonl.gz`, written while the run goes on.

    A row that cannot be written is counted and never disturbs the user it came from. dropped: how many;
    reason: why the first was.
    """

    FLUSH_EVERY = 200

    def __init__(self, folder: Path) -> None:
        self.path = folder / "streams.jsonl.gz"
        self.written = self.dropped = self._flushed = 0
        self.reason: str | None = None
        self._file = gzip.open(self.path, "wb", compresslevel=5)  # noqa: SIM115  # closed by close()

    def write(self, row: StreamRow) -> None:
        """Adds one line."""
        self.write_lines(line_of(row))

    def write_lines(self, lines: bytes) -> None:
        """Adds lines as they are."""
        try:
            self._file.write(lines)
            self.written += lines.count(b"\n")
            if self.written - self._flushed >= self.FLUSH_EVERY:
                self._flushed = self.written
                self._file.flush()  # what is flushed can be read even when we are killed
        except OSError as error:
            self._failed(error)

    def close(self) -> None:
        """Writes what is left; may be called again."""
        try:
            self._file.close()
        except OSError as error:
            self._failed(error)

    def _failed(self, error: OSError) -> None:
        self.dropped += 1
        self.reason = self.reason or f"{self.path}: {error.strerror}"


def line_of(row: StreamRow) -> bytes:
    """A row as the file has it."""
    return orjson.dumps(row.to_json(), option=orjson.OPT_APPEND_NEWLINE)


def read_rows(path: Path) -> Iterator[dict[str, object]]:
    """The rows of a `streams.jsonl.gz`, as far as they were written."""
    with gzip.open(path, "rb") as file, suppress(EOFError):
        for line in file:
            yield orjson.loads(line)
