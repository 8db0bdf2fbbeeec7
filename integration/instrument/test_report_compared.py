"""A comparison as every rendering tells it."""

from __future__ import annotations

import io
import math
from pathlib import Path

from junitparser import JUnitXml

from integration.instrument.comparisons import MACHINES, Drawn, blocks, compared
from integration.instrument.documents import comparing
from load.report import junit
from load.report.console import show
from load.report.document import Document
from load.report.render import RENDERINGS
from load.report.sheet import sheet
from load.verdict.comparison import CONFIRMATION, FIRST, BlockLine

WORSE = {"ttft": math.log(1.2)}


def lines(effects: dict[str, float], *, budget_s: float = 60.0) -> list[BlockLine]:
    """A comparison, and its confirmation where it found something."""
    decision, rounds = compared(iter(Drawn(MACHINES[0], 1, effects)), budget_s)
    found = list(blocks(rounds, FIRST, budget_s))
    if decision.regressed:
        _, again = compared(iter(Drawn(MACHINES[0], 2, effects)), 30.0)
        found += blocks(again, CONFIRMATION, 30.0)
    return found


def console(document: Document) -> str:
    """What stands in the terminal."""
    out = io.StringIO()
    show(document, Path("reports/x"), out)
    return out.getvalue()


def rendered(name: str, document: Document) -> str:
    """One of the files."""
    return str(dict(RENDERINGS)[name](document, None))


def cases(document: Document) -> dict[str, list[str]]:
    """Of the suite `comparison`: case -> what it is, nothing where it passed."""
    suites = {suite.name: suite for suite in JUnitXml.fromstring(junit.render(document))}
    return {case.name: [type(one).__name__ for one in case.result] for case in suites["comparison"]}


def test_a_regression_stands_first_with_its_effect_and_interval() -> None:
    """Verdict, metric, per cent and ms."""
    told = console(comparing(lines(WORSE))).splitlines()

    assert told[0] == "REGRESSED  streaming is worse than in the base (exit code 4)"
    assert told[1].startswith("REGRESSED comparison: ttft +")
    assert "%" in told[1]
    assert " ms [+" in told[1]
    assert told[2] == (
        "comparison: working tree against origin/main (1a2b3c4): REGRESSED,"
        " head is worse, and a second run says so too"
    )


def test_both_comparisons_have_a_table_with_every_metric() -> None:
    """The first, then its confirmation."""
    tables = {table.title: table for table in sheet(comparing(lines(WORSE))).tables}
    metrics = ["ttft", "ttft_p95", "gap", "total", "slope", "stalled"]

    assert sorted(row.cells[0] for row in tables["Comparison"].rows) == sorted(metrics)
    assert sorted(row.cells[0] for row in tables["Its confirmation"].rows) == sorted(metrics)
    assert {row.cells[0]: row.cells[-1] for row in tables["Comparison"].rows}["ttft"] == "REGRESSED"


def test_figures_of_both_arms_together_are_left_out() -> None:
    """They would be of neither."""
    titles = [table.title for table in sheet(comparing(lines({}))).tables]

    assert "Latency" not in titles
    assert "Comparison" in titles


def test_equal_trees_are_ok() -> None:
    """PASS, and each metric a case that passed."""
    document = comparing(lines({}))

    assert document["verdict"]["status"] == "PASS"
    assert cases(document) == {
        f"{name} is no worse than in origin/main (1a2b3c4)": []
        for name in ("ttft", "ttft_p95", "gap", "total", "slope", "stalled")
    }


def test_a_metric_that_regressed_is_a_failure_and_no_other() -> None:
    """The rest held."""
    found = cases(comparing(lines(WORSE)))

    assert {name: kinds for name, kinds in found.items() if kinds} == {
        "ttft is no worse than in origin/main (1a2b3c4)": ["Failure"]
    }


def test_undecided_is_an_error_and_skipped_where_it_only_warns() -> None:
    """`--undecided warn` is for a CI that goes on."""
    undecided = lines({}, budget_s=6.0)
    told = cases(comparing(undecided)), cases(comparing(undecided, undecided="warn"))

    assert {kind for kinds in told[0].values() for kind in kinds} == {"Error"}
    assert {kind for kinds in told[1].values() for kind in kinds} == {"Skipped"}


def test_page_and_summary_name_both_trees_and_draw_the_interval() -> None:
    """Five continuous metrics in each of two comparisons."""
    document = comparing(lines(WORSE))

    assert rendered("report.html", document).count('class="span"') == 10
    assert "working tree against origin/main (1a2b3c4): REGRESSED" in rendered("summary.md", document)
