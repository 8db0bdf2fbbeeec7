"""Stored runs: a file as a baseline, and a run as it is remembered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from integration.instrument.documents import FACTS, OPTIONS, comparing, document
from integration.instrument.test_report_compared import WORSE, lines
from load.errors import UsageError
from load.metrics.timeline import Limits
from load.report import history
from load.report.baselines import read_baseline
from load.report.fingerprint import known_before
from load.report.render import to_json


def test_a_run_is_found_by_its_file_and_by_its_folder(tmp_path: Path) -> None:
    """The same run."""
    (tmp_path / "run.json").write_bytes(to_json(document(facts=replace(FACTS, fingerprint={"cpu": "x"}))))

    assert read_baseline(tmp_path) == read_baseline(tmp_path / "run.json")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read (No such file or directory)"),
        (b"", "cannot be read (Input is a zero-length, empty document: line 1 column 1 (char 0))"),
        (b'{"format": 1, "fing', "cannot be read (unexpected end of data: line 1 column 20 (char 19))"),
    ],
)
def test_a_file_that_is_missing_empty_or_cut_off(tmp_path: Path, content: bytes | None, told: str) -> None:
    """One line with its name."""
    file = tmp_path / "run.json"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(UsageError) as refused:
        read_baseline(file)

    assert str(refused.value) == f"--baseline {file}: {told}"


def test_the_fingerprint_is_of_the_profile_and_not_of_the_seed() -> None:
    """Chance alone differs between seeds."""
    first = known_before(OPTIONS, Limits())
    other_seed = known_before(replace(OPTIONS, seed=OPTIONS.seed + 1), Limits())
    more = known_before(replace(OPTIONS, users=OPTIONS.users + 1), Limits())

    assert first["profile"] == other_seed["profile"]
    assert first["profile"] != more["profile"]


@pytest.mark.parametrize(
    ("host", "same"),
    [
        ("http://127.0.0.1:8001", True),  # wherever it happened to listen
        ("http://10.0.0.1:8000", False),
        ("https://127.0.0.1:8000", False),
        (None, False),
    ],
)
def test_the_port_of_a_server_is_never_compared(host: str | None, same: bool) -> None:
    """Its address is."""
    there, here = (
        known_before(replace(OPTIONS, host=one), Limits())["profile"]
        for one in ("http://127.0.0.1:8000", host)
    )

    assert (here == there) is same


def test_a_comparison_is_remembered_in_one_line_each(tmp_path: Path) -> None:
    """Trees, answer and effects; two runs, two lines."""
    remembered = history.line_of(comparing(lines(WORSE)))
    assert remembered is not None
    history.append(tmp_path, remembered)
    history.append(tmp_path, remembered)
    stored = [orjson.loads(line) for line in (tmp_path / "history.jsonl").read_bytes().splitlines()]

    assert len(stored) == 2
    assert stored[0]["base"] == "origin/main (1a2b3c4)"
    assert stored[0]["verdict"] == "REGRESSED"
    assert stored[0]["regressed"] == ["ttft"]
    assert stored[0]["metrics"]["ttft"]["low"] > 15


def test_no_other_run_is_remembered() -> None:
    """Its figures are absolute."""
    assert history.line_of(document()) is None
