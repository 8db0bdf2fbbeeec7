"""integration/summary.py and integration/__main__.py: what `make test` tells."""

from __future__ import annotations

from pathlib import Path

import pytest
from junitparser import JUnitXml

from integration.__main__ import selects
from integration.clocks import Observed
from integration.summary import Suite, console_lines, counted, markdown, merge_junit
from load.target.parts import CHECKS, CoverageSummary

JUNIT = """<testsuites><testsuite name="pytest" tests="3" failures="1" errors="0" skipped="1" time="2">
<testcase classname="a" name="one" time="1"/>
<testcase classname="a" name="two" time="1"><failure message="no"/></testcase>
<testcase classname="a" name="three" time="0"><skipped/></testcase>
</testsuite></testsuites>"""

COVERAGE = CoverageSummary(
    files={"shop/a.py": 100.0, "shop/api/b.py": 50.0},
    lines={"shop/a.py": (3, 3), "shop/api/b.py": (1, 2)},
    sources=("shop/a.py", "shop/api/b.py"),
    core="sysmon",
    python="3.13.0",
    mode="lines",
    phases=("integration",),
    source_hash="sha256:0",
    checks=dict.fromkeys(CHECKS, "ok"),
    left_out=("integration.7-planted: measured other sources",),
)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], False),
        (["-x", "-q"], False),
        (["--durations=5"], False),
        (["-k", "name"], True),
        (["-kname"], True),
        (["--lf"], True),
        (["--cov=backend"], True),
        (["integration/instrument"], True),
        (["integration/instrument/test_summary.py::test_x"], True),
    ],
)
def test_a_selection_is_told_from_an_option(arguments: list[str], expected: bool) -> None:
    """The gate is judged only when every test has run."""
    assert expected == selects(arguments)


def test_a_suite_is_counted_from_its_report(tmp_path: Path) -> None:
    """Without one there is nothing to count."""
    (tmp_path / "a.xml").write_text(JUNIT)

    assert counted("subject", 1, 2.0, tmp_path / "a.xml") == Suite("subject", 1, 2.0, 3, 1, 1)
    assert counted("subject", 4, 2.0, tmp_path / "b.xml") == Suite("subject", 4, 2.0, 0, 0, 0)


def test_reports_of_suites_become_one(tmp_path: Path) -> None:
    """Each suite by its name; the single files go."""
    first, second = tmp_path / "a.xml", tmp_path / "b.xml"
    first.write_text(JUNIT)
    second.write_text(JUNIT)
    merge_junit({"subject": first, "runs": second, "gone": tmp_path / "c.xml"}, tmp_path / "junit.xml")
    merged = JUnitXml.fromfile(str(tmp_path / "junit.xml"))

    assert [suite.name for suite in merged] == ["subject", "runs"]
    assert (merged.tests, merged.failures, merged.skipped) == (6, 2, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["junit.xml"]


def test_the_console_tells_the_outcome_first() -> None:
    """Then the suites, the coverage by folder, and what is wrong."""
    suites = [Suite("subject", 0, 12.34, 100, 0, 2), Suite("runs", 1, 5.0, 7, 1, 0)]
    lines = console_lines(suites, COVERAGE, ["shop/api/ 50 % < 90 %"], [])

    assert lines == [
        "",
        "FAILED: runs",
        "subject        100 tests    0 failed    2 skipped    12.3 s",
        "runs             7 tests    1 failed    0 skipped     5.0 s, pytest ended with 1",
        "lines of integration/subject alone, Python 3.13.0, sysmon:",
        "  shop/                                       80 %",
        "  shop/api/                                   50 %",
        "  all                                         80 %",
        "not joined: integration.7-planted: measured other sources",
        "below its minimum: shop/api/ 50 % < 90 %",
    ]


@pytest.mark.parametrize(
    ("code", "misses", "invalid", "outcome"),
    [
        (0, [], [], "PASS"),
        (0, ["a"], [], "OBJECTIVE: 1 coverage minimums missed"),
        (0, ["a"], ["H1"], "INVALID: the coverage cannot be used"),
        (1, ["a"], ["H1"], "FAILED: subject"),
    ],
)
def test_the_worst_cause_is_the_title(code: int, misses: list[str], invalid: list[str], outcome: str) -> None:
    """Of the summary as of the console."""
    suites = [Suite("subject", code, 1.0, 1, 0, 0)]

    assert markdown(suites, COVERAGE, misses, invalid).splitlines()[0] == f"# {outcome}"
    assert console_lines(suites, COVERAGE, misses, invalid)[1] == outcome


def test_the_summary_lists_every_file() -> None:
    """With counts beside percentages."""
    lines = markdown([Suite("subject", 0, 1.0, 1, 0, 0)], COVERAGE, [], []).splitlines()

    assert "| shop/api/b.py | 1 of 2 | 50 % |" in lines
    assert "| subject | 1 | 0 | 0 | 1.0 |" in lines


def test_the_summary_lists_every_clock() -> None:
    """What it was set to, and when it fired."""
    clocks = (Observed("idle", 500, 1, 500, 500), Observed("queue", 1000, 2, 1002, 1300))
    lines = markdown([Suite("subject", 0, 1.0, 1, 0, 0, clocks)], None, [], []).splitlines()

    assert lines[-4:] == [
        "| clock | set to, ms | fired | at, ms | late by at most |",
        "|---|---|---|---|---|",
        "| idle | 500 | 1 | 500 to 500 | 0 ms |",
        "| queue | 1000 | 2 | 1002 to 1300 | 300 ms, above 250 ms: not an idle machine? |",
    ]
