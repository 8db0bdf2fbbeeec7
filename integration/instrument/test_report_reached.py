"""Rows reached and windows side by side: as values, and as a reader sees them."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest

from integration.instrument.documents import FACTS, MS
from load.metrics.outcomes import Outcomes
from load.metrics.run import CLEAN, ROUGH, Run
from load.report import failures
from load.report.console import show
from load.report.document import build
from load.report.reached import rows, windows
from load.verdict.behaviour import Needed
from load.verdict.judge import judge

NEEDED = (Needed("P6", 2, ("mute", "comments")), Needed("H1", 2, ("bare",)))


def outcomes(*, bare: int = 3, other: int = 0) -> Outcomes:
    """P6 twice by two scenarios, 5 and 9 ms late; H1 `bare` times, `other` of something else instead."""
    made = Outcomes()
    made.rows |= {"mute": "P6", "bare": "H1", "comments": "P6"}
    for name, late_ms in (("mute", 5), ("comments", 9)):
        outcome = made.declare(name, "ERROR(first_token_timeout)", of_failures=True)
        outcome.book_expected()
        outcome.book_deadline(1500, (1500 + late_ms) * MS)
    for _ in range(bare):
        made.declare("bare", "REFUSED(401)", of_failures=True).book_expected()
    for _ in range(other):
        made.declare("bare", "REFUSED(401)", of_failures=True).book_unexpected("DONE", "e1")
    return made


def measured(**ttft_ms: tuple[int, ...]) -> Run:
    """Streams of `chat` with these times to the first text, by window."""
    run = Run()
    for window, values in ttft_ms.items():
        tally = run.tally("chat", window)
        tally.by_terminal = {"DONE": len(values)}
        for value in values:
            tally.ttft.add(value * MS)
    return run


def shown(made: Outcomes) -> str:
    """What stands in the terminal."""
    out = io.StringIO()
    show(build(replace(FACTS, needed=NEEDED), measured(), made, judge(())), Path("reports/run"), out)
    return out.getvalue()


def test_a_row_adds_up_its_scenarios() -> None:
    """In the order of docs/errors.md, with the deadline and how late it was answered."""
    found = rows(outcomes(), NEEDED)

    assert list(found) == ["H1", "P6"]
    assert found["H1"] == {
        "times": 3,
        "total": 3,
        "needed": 2,
        "scenarios": {"bare": 3},
        "configured_ms": [],
        "lateness_ms": {"n": 0, "p50": None, "p90": None, "p95": None, "p99": None, "max": None},
    }
    timeouts = found["P6"]
    assert isinstance(timeouts, dict)
    assert (timeouts["scenarios"], timeouts["configured_ms"]) == ({"mute": 1, "comments": 1}, [1500])
    assert (timeouts["lateness_ms"]["n"], timeouts["lateness_ms"]["max"]) == (2, 9.0)


def test_windows_are_compared_by_their_medians() -> None:
    """Rough over clean, of the scenarios named."""
    run = measured(clean=(40, 40, 44), rough=(40, 42, 60))
    run.tally("mute", ROUGH).ttft.add(5000 * MS)

    found = windows(run, ["chat"], (CLEAN, ROUGH), 7.0, on_time=True)

    assert (found["order"], found["length_s"]) == (["clean", "rough"], 7.0)
    assert found["ttft_p50_ratio"] == pytest.approx(42 / 40, rel=0.008)


@pytest.mark.parametrize("run", [measured(clean=(40,)), measured(rough=(40,)), measured()])
def test_without_streams_in_both_there_is_no_ratio(run: Run) -> None:
    assert windows(run, ["chat"], (CLEAN,), None, on_time=True)["ttft_p50_ratio"] is None


@pytest.mark.parametrize(
    ("made", "tones"),
    [
        (outcomes(), {"H1": "", "P6": ""}),
        (outcomes(bare=1), {"H1": "bad", "P6": ""}),  # needed twice
        (outcomes(other=1), {"H1": "bad", "P6": ""}),  # came, but otherwise too
    ],
)
def test_a_row_stands_out_where_it_deviates(made: Outcomes, tones: dict[str, str]) -> None:
    table = failures.rows(build(replace(FACTS, needed=NEEDED), measured(), made, judge(())))

    assert {row.cells[0]: row.tone for row in table.rows} == tones
    assert {row.cells[0] for row in table.rows if not row.aside} == {name for name in tones if tones[name]}


def test_the_terminal_shows_a_sentence_and_what_deviates() -> None:
    """Everything else stands in the other forms."""
    good, bad = shown(outcomes()), shown(outcomes(bare=1))

    assert "2 of 2 rows of docs/errors.md came as declared, each 2 to 3 times; 2 had to." in good
    assert "late p99" not in good
    (line,) = [line for line in bad.splitlines() if line.startswith("H1 ")]
    assert line.split() == ["H1", "1", "bare", "1", "–", "–", "–", "–"]
    assert "comments 1" not in bad
