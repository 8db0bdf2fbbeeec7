"""Arrivals read from a trace."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from load.errors import UsageError
from load.scenarios.replay import read_offsets


def test_seconds(tmp_path: Path) -> None:
    """From the first, in order; what else a line holds does not matter."""
    file = tmp_path / "trace.jsonl"
    file.write_text('{"at_s": 12.5}\n\n{"at_s": 10, "user": 3}\n{"at_s": 10.000001}\n')

    assert read_offsets(file) == (0, 1_000, 2_500_000_000)


def test_the_streams_of_a_run(tmp_path: Path) -> None:
    """Without those of declared failures."""
    file = tmp_path / "streams.jsonl.gz"
    lines = (("chat_ws", 5_000_000), ("no_credential", 1), ("chat_sse", 5_000_250))
    with gzip.open(file, "wt") as out:
        out.writelines(f'{{"scenario": "{name}", "intended_us": {us}}}\n' for name, us in lines)

    assert read_offsets(file, {"no_credential"}) == (0, 250_000)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "holds no arrival"),
        ('{"at_s": 1}\n{"at": 1}\n', 'line 2: must be an object with "at_s", a number of seconds'),
        ('{"at_s": true}\n', 'line 1: must be an object with "at_s", a number of seconds'),
        ("1\n", 'line 1: must be an object with "at_s", a number of seconds'),
        ("at_s: 1\n", 'line 1: must be an object with "at_s", a number of seconds'),
    ],
)
def test_what_is_no_trace(content: str, reason: str, tmp_path: Path) -> None:
    """In one line."""
    file = tmp_path / "trace.jsonl"
    file.write_text(content)
    with pytest.raises(UsageError, match=reason):
        read_offsets(file)


def test_a_file_that_is_not_what_its_name_says(tmp_path: Path) -> None:
    """In one line, too."""
    file = tmp_path / "trace.jsonl.gz"
    file.write_text("{}")
    with pytest.raises(UsageError, match="cannot be read"):
        read_offsets(file)
