"""Reads the journal of the scripted provider, page by page, and keeps it in the run folder."""

from __future__ import annotations

import gzip
import http.client
import time
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from load.errors import InvalidRun
from load.metrics.journal import Asked

PAGE: Final = 500
TIMEOUT_S: Final = 10.0
REST_S: Final = 1.0
"""So long after the target has ended the provider may take to see that nobody listens any more."""
POLL_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Journal:
    """entries: oldest first. forgotten: so many requests before them are not known any more. open_streams:
    of the moment of reading. cpu_s: processor time of the provider."""

    entries: tuple[Asked, ...]
    forgotten: int = 0
    open_streams: int = 0
    cpu_s: float = 0.0


def read_journal(url: str, path: Path, page: int = PAGE) -> Journal:
    """The journal of the provider at `url`, once it has no open stream or REST_S have passed.

    Its lines are kept in `path`, gzipped. page: entries of one request. Raises `InvalidRun`.
    """
    try:
        stats = _at_rest(url)
        with gzip.open(path, "wb", compresslevel=5) as file:
            entries = [_kept(line, file) for line in _lines(url, page)]
    except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
        raise InvalidRun(f"the provider's journal cannot be read: {error!r}") from error
    first = entries[0][0] if entries else 1
    return Journal(tuple(asked for _, asked in entries), first - 1, stats["open_streams"], stats["cpu_s"])


class Following:
    """The journal of a running provider, taken as it grows."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._after = 0

    def new(self) -> list[Asked]:
        """What was asked since the last call, oldest first. Raises `InvalidRun`."""
        found: list[Asked] = []
        try:
            for line in _lines(self._url, PAGE, self._after):
                self._after = line["number"]
                found.append(_asked(line))
        except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
            raise InvalidRun(f"the provider's journal cannot be read: {error!r}") from error
        return found


def _at_rest(url: str) -> dict[str, Any]:
    deadline = time.monotonic() + REST_S
    while True:
        stats: dict[str, Any] = _get(url, "/__admin/stats")
        if not stats["open_streams"] or time.monotonic() >= deadline:
            return stats
        time.sleep(POLL_S)


def _lines(url: str, page: int, after: int = 0) -> Iterator[dict[str, Any]]:
    while lines := _get(url, f"/__admin/journal?after={after}&limit={page}"):
        yield from lines
        after = lines[-1]["number"]


def _kept(line: dict[str, Any], file: gzip.GzipFile) -> tuple[int, Asked]:
    file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
    return line["number"], _asked(line)


def _asked(line: dict[str, Any]) -> Asked:
    return Asked(
        word=line["seed_word"],
        model=line["model"],
        received_ns=line["received_at_ns"],
        written_ns=array("q", line["written_ns"]),
        ended=line["ended"],
        ended_ns=line["ended_at_ns"],
        finished=line.get("finished", False),  # not in journals of earlier versions
    )


def _get(url: str, path: str) -> Any:
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", path)
        return orjson.loads(connection.getresponse().read())
    finally:
        connection.close()
