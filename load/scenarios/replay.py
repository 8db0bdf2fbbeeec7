"""Arrivals of a recorded trace.

{"at_s": 0.0}                   JSON lines, in seconds from any beginning; other members are ignored
reports/…/streams.jsonl.gz      the streams of a former run, those of declared failures left out
"""

from __future__ import annotations

import gzip
from collections.abc import Collection
from pathlib import Path
from typing import Any

import orjson

from load.errors import UsageError


def read_offsets(path: Path, left_out: Collection[str] = ()) -> tuple[int, ...]:
    """Each arrival in ns from the first, in order. left_out: scenarios that do not count.

    Raises UsageError with the line that cannot be read.
    """
    starts = []
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    starts += _start(path, number, line, left_out)
    except (OSError, EOFError) as error:
        raise UsageError(f"--replay {path}: cannot be read ({error})") from error
    if not starts:
        raise UsageError(f"--replay {path}: holds no arrival")
    first = min(starts)
    return tuple(sorted(start - first for start in starts))


def _start(path: Path, number: int, line: bytes, left_out: Collection[str]) -> list[int]:
    try:
        row: Any = orjson.loads(line)
    except orjson.JSONDecodeError:
        row = None
    if isinstance(row, dict):
        if row.get("scenario") in left_out:
            return []
        for name, ns in (("at_s", 1_000_000_000), ("intended_us", 1_000)):
            if isinstance(row.get(name), int | float) and not isinstance(row[name], bool):
                return [round(row[name] * ns)]
    raise UsageError(f'--replay {path}, line {number}: must be an object with "at_s", a number of seconds')
