"""integration/clocks.py: what tests saw of deadlines, judged, shown and written down."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from integration.clocks import ALL, Clocks, Observed
from integration.summary import counted

ROOT = Path(__file__).parents[2]
TESTS = """
def test_seen(clocks):
    clocks.fired("queue", 1000, 1002)
    clocks.fired("queue", 1000, 1300)
    clocks.fired("idle", 500, 500)
"""


@pytest.mark.parametrize(
    ("elapsed_ms", "before_ms", "told"),
    [
        pytest.param(999, 0, None, id="early by a rounding"),
        pytest.param(998, 0, "queue fired early: 998 of 1000 ms", id="early"),
        pytest.param(1749, 0, None, id="late"),
        pytest.param(1750, 0, "queue fired late: 1750 of 1000 ms", id="too late"),
        pytest.param(1750, 1, None, id="something passed before"),
    ],
)
def test_a_clock_at_the_wrong_time_fails_its_test(elapsed_ms: int, before_ms: int, told: str | None) -> None:
    """And is booked all the same."""
    clocks = Clocks()
    try:
        clocks.fired("queue", 1000, elapsed_ms, before_ms=before_ms)
    except AssertionError as error:
        found: str | None = str(error).splitlines()[0]
    else:
        found = None

    assert found == told
    assert clocks.observed() == [Observed("queue", 1000, 1, elapsed_ms, elapsed_ms)]


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """A pytest of its own with the plugin; it leaves `report.xml`."""

    def child(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "integration.clocks", "-p", "no:cacheprovider"]
        return subprocess.run(
            [*command, "--junit-xml", str(tmp_path / "report.xml"), *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return child


def test_what_was_seen_is_shown_and_stands_in_the_report(
    run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """Each clock once for each limit, its earliest and its latest."""
    file = tmp_path / "test_some.py"
    file.write_text(TESTS)
    done = run(str(file))

    assert done.returncode == 0, done.stdout
    table = done.stdout.partition("clocks, configured and observed")[2].splitlines()[1:4]
    assert [" ".join(line.split()) for line in table] == [
        "clock limit_ms n min_ms max_ms late by at most",
        "idle 500 1 500 500 0 ms",
        "queue 1000 2 1002 1300 300 ms above 250 ms: not an idle machine?",
    ]
    assert counted("some", 0, 1.0, tmp_path / "report.xml").clocks == (
        Observed("idle", 500, 1, 500, 500),
        Observed("queue", 1000, 2, 1002, 1300),
    )


def test_a_clock_that_never_fired_is_named() -> None:
    """Of those that a whole run must have seen."""
    clocks = Clocks()
    for name in ALL - {"queue"}:
        clocks.fired(name, 100, 100)

    assert clocks.silent() == ["queue"]
