"""The overhead that reports quote."""

from __future__ import annotations

import json
from pathlib import Path

import coverage
import pytest

from load.target.overhead import BOTH, PROBES, Overhead, stored_overhead


def unit(mean: float) -> dict[str, float]:
    return {"mean": mean, "low": mean - 0.01, "high": mean + 0.02}


OF_311 = {
    "python": "3.11.7",
    "coverage": coverage.__version__,
    "core": "frames",
    "cpu_ratio": {
        "lines and probes": {"request": unit(1.25), "chunk": unit(1.125)},
        "probes": {"request": unit(1.0), "chunk": unit(1.03125)},
    },
}
OF_313 = {
    "python": "3.13.0",
    "coverage": coverage.__version__,
    "core": "sysmon",
    "cpu_ratio": {"lines and probes": {"request": unit(1.04), "chunk": unit(1.0625)}},
}


@pytest.mark.parametrize(
    ("python", "core", "of", "expected"),
    [
        ("3.13.0", "sysmon", BOTH, 1.0625),
        ("3.11.7", "frames", BOTH, 1.25),
        ("3.12.1", "sysmon", BOTH, None),
        ("3.13.0", "ctrace", BOTH, None),
        (None, None, BOTH, None),
        ("3.11.7", None, PROBES, 1.03125),
        ("3.13.0", None, PROBES, None),
    ],
)
def test_only_the_figure_of_the_same_python_and_core_counts(
    tmp_path: Path, python: str | None, core: str | None, of: str, expected: float | None
) -> None:
    """The larger of request and chunk, with its own interval; probes have no core."""
    file = tmp_path / "overhead.json"
    file.write_text(json.dumps({"format": 2, "figures": [OF_311, OF_313]}))
    wanted = None if expected is None else Overhead(expected, expected - 0.01, expected + 0.02)

    assert stored_overhead(python, core, file, of=of) == wanted


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"figures": [1, {"python": "3.13.0"}]}'])
def test_a_file_that_says_nothing_is_no_figure(tmp_path: Path, text: str) -> None:
    file = tmp_path / "overhead.json"
    assert stored_overhead("3.13.0", "sysmon", file) is None
    file.write_text(text)
    assert stored_overhead("3.13.0", "sysmon", file) is None
