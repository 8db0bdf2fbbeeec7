"""The overhead that reports quote."""

from __future__ import annotations

import json
from pathlib import Path

import coverage
import pytest

from load.target.overhead import stored_overhead

OF_311 = {
    "python": "3.11.7",
    "coverage": coverage.__version__,
    "core": "frames",
    "cpu_ratio": {"lines and probes": {"request": {"mean": 1.31}, "chunk": {"mean": 1.12}}},
}
OF_313 = {
    "python": "3.13.0",
    "coverage": coverage.__version__,
    "core": "sysmon",
    "cpu_ratio": {"lines and probes": {"request": {"mean": 1.04}, "chunk": {"mean": 1.06}}},
}


@pytest.mark.parametrize(
    ("python", "core", "expected"),
    [
        ("3.13.0", "sysmon", 1.06),
        ("3.11.7", "frames", 1.31),
        ("3.12.1", "sysmon", None),
        ("3.13.0", "ctrace", None),
        (None, None, None),
    ],
)
def test_only_the_figure_of_the_same_python_and_core_counts(
    tmp_path: Path, python: str | None, core: str | None, expected: float | None
) -> None:
    file = tmp_path / "overhead.json"
    file.write_text(json.dumps({"format": 2, "figures": [OF_311, OF_313]}))

    assert stored_overhead(python, core, file) == expected


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"figures": [1, {"python": "3.13.0"}]}'])
def test_a_file_that_says_nothing_is_no_figure(tmp_path: Path, text: str) -> None:
    file = tmp_path / "overhead.json"
    assert stored_overhead("3.13.0", "sysmon", file) is None
    file.write_text(text)
    assert stored_overhead("3.13.0", "sysmon", file) is None
