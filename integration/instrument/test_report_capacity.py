"""A search in the report: the answer first, every step by its load, in each writer and in run.json."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from integration.instrument.documents import FACTS, measured
from integration.instrument.searches import SEARCH, searched
from load.metrics.outcomes import Outcomes
from load.report import html, markdown
from load.report.capacity import bar, capacity_of, curve
from load.report.console import show
from load.report.document import Document, build
from load.report.render import to_json
from load.report.sheet import sheet
from load.verdict.judge import judge

ANSWER = "capacity: between 118 and 124 users; at most 118 streams at once"


def document() -> Document:
    facts = replace(FACTS, capacity=capacity_of(SEARCH))
    return build(facts, measured(), Outcomes(), judge(()))


def test_run_json_has_the_answer_and_each_step() -> None:
    """The members that docs/report.md promises."""
    found: dict[str, Any] = json.loads(to_json(document()))["capacity"]
    steps = found.pop("steps")

    assert found == {
        "unit": "users",
        "told": "between 118 and 124 users",
        "low": 118,
        "high": 124,
        "ceiling": 124,
        "end": "target",
        "sure": True,
        "most": 500,
        "at_once": 118,
    }
    assert len(steps) == 8
    assert steps[3] == {
        "number": 4,
        "load": 124,
        "outcome": "missed",
        "why": "why 124",
        "lasted_s": 3.0,
        "streams": 248,
        "good": 248,
        "good_per_s": 82.667,
        "at_once": {"mean": 123.5, "max": 124},
        "undeclared": {"REFUSED(503, capacity)": 3},
        "ttft_ms": {"p50": 40.0, "p99": 90.0},
        "gap_ms": {"p50": 20.0, "p99": 24.0},
        "lateness_p99_ms": 0.4,
        "objectives": [{"text": "ttft_ms p95 < 800", "decision": "MISSED", "shown": "4"}],
    }


def test_no_answer_is_no_number() -> None:
    """Where nothing held there is no lower end."""
    found = capacity_of(searched())

    assert (found["low"], found["high"], found["at_once"], found["steps"]) == (None, None, None, [])


def test_the_curve_goes_by_load() -> None:
    """What was tried twice stands there twice, in the order in which it came."""
    table = curve(document())

    assert [(row.cells[0], row.cells[1]) for row in table.rows] == [
        ("31", "held"),
        ("62", "held"),
        ("93", "held"),
        ("118", "held"),
        ("118", "late"),
        ("118", "held"),
        ("124", "missed"),
        ("124", "missed"),
    ]
    assert table.rows[-1].cells[-1] == "why 124; 3 × REFUSED(503, capacity)"
    assert {len(row.cells) for row in table.rows} == {len(table.columns)}


def test_the_curve_says_nothing_twice() -> None:
    """A missed objective is marked in its column; the count of what nobody declared has none."""
    found = dict(document()["capacity"])
    objectives = [
        {"text": "ttft_ms p95 < 800", "decision": "MISSED", "shown": "900 … 910"},
        {"text": "unexpected count < 1", "decision": "MISSED", "shown": "3"},
    ]
    why = "ttft_ms p95 < 800: it was 900 … 910; unexpected count < 1: it was 3; 2 streams came to no end"
    found["steps"] = [{**found["steps"][3], "objectives": objectives, "why": why}]
    table = curve({"capacity": found})

    assert [column.title for column in table.columns[-2:]] == ["ttft_ms p95 < 800", "why not"]
    assert table.rows[0].cells[-2:] == (
        "✗ 900 … 910",
        "2 streams came to no end; 3 × REFUSED(503, capacity)",
    )


def test_every_writer_has_answer_and_curve() -> None:
    """Console, Markdown and HTML."""
    told = sheet(document())
    console = io.StringIO()
    show(document(), Path("reports/x"), console)

    for text in (console.getvalue(), markdown.render(told), html.render(told)):
        assert ANSWER in text
        assert "124" in text


def test_other_runs_say_nothing_of_it() -> None:
    """No line, no tile and no table."""
    told = sheet(build(FACTS, measured(), Outcomes(), judge(())))

    assert "capacity" not in [tile.label for tile in told.tiles]
    assert "Capacity" not in [table.title for table in told.tables]
    assert not any(line.startswith("capacity") for line in told.lines)


@pytest.mark.parametrize(
    ("value", "shown"), [(0, ""), (1, "█" * 8), (0.5, "█" * 4), (0.02, "▏"), (0.3, "██▍")]
)
def test_a_bar_is_as_long_as_its_value(value: float, shown: str) -> None:
    """To an eighth of a letter."""
    assert bar(value, 1) == shown


def test_nothing_has_no_bar() -> None:
    """Not even where the largest is nothing, too."""
    assert bar(0, 0) == ""
