"""A comparison as the values of `run.json`."""

from __future__ import annotations

from dataclasses import replace
from math import log
from typing import Any

import orjson
import pytest

from integration.instrument.comparisons import METRICS, Drawn, blocks, compared, even
from load.verdict.compare import Decision, Outcome, Reason
from load.verdict.comparison import CONFIRMATION, BlockLine
from load.verdict.decided import Arms, comparison_json, judged, standing
from load.verdict.rounds import CONTINUOUS, STALLED

ARMS = Arms("origin/main (1a2b3c4)", "working tree", "seed", restarted=True, notes=("base is older",))


def told(lines: list[BlockLine]) -> Any:
    """As a file gives it back."""
    return orjson.loads(orjson.dumps(comparison_json(ARMS, lines)))


def slower(seed: int, budget_s: float = 60.0, name: str = "ttft") -> tuple[Decision, list[BlockLine]]:
    """A run whose head takes a fifth longer."""
    decision, rounds = compared(iter(Drawn(even(0.01), seed, {name: log(1.2)})), budget_s)
    run = "first" if budget_s == 60.0 else CONFIRMATION
    return decision, list(blocks(rounds, run, budget_s))


def test_a_regression_that_was_confirmed_names_its_metric() -> None:
    """All others held."""
    found = told([*slower(1)[1], *slower(2, 30.0)[1]])

    assert found["result"] == {
        "verdict": "REGRESSED",
        "reason": None,
        "regressed": ["ttft"],
        "improved": [],
        "metrics": {"ttft": "REGRESSED"}
        | dict.fromkeys([name for name in (*METRICS, STALLED) if name != "ttft"], "OK"),
    }
    assert list(found["runs"]) == ["first", CONFIRMATION]
    assert found["arms"] == {
        "base": "origin/main (1a2b3c4)",
        "head": "working tree",
        "paired_by": "seed",
        "restarted": True,
        "notes": ["base is older"],
    }


def test_a_regression_that_another_run_does_not_find_is_not_confirmed() -> None:
    """Another metric is another regression."""
    found = told([*slower(1)[1], *slower(2, 30.0, "gap")[1]])

    assert (found["result"]["verdict"], found["result"]["reason"]) == ("INCONCLUSIVE", "not_confirmed")
    assert found["result"]["metrics"]["ttft"] == "not confirmed"


def test_a_comparison_that_was_stopped_has_no_result() -> None:
    """What it saw until then is kept."""
    _, rounds = compared(iter(Drawn(even(0.5), 1)))
    found = told([*blocks(rounds[:35])])

    assert found["result"] is None
    assert (found["runs"]["first"]["verdict"], found["runs"]["first"]["rounds"]) == (None, 30)
    assert told([])["runs"] == {}


def test_the_journal_brings_two_more_metrics() -> None:
    """Without it nobody asked for them."""
    with_it, _ = compared(iter(Drawn(even(0.01), 1, metrics=CONTINUOUS)))

    assert judged(with_it) == (*CONTINUOUS, STALLED)
    assert judged(slower(1)[0]) == (*METRICS, STALLED)


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (Reason.NOISY, "undecided"),
        (Reason.ORDER, "undecided"),
        (Reason.FEW, "undecided"),
        (Reason.UNDECIDED, "OK"),
    ],
)
def test_a_doubt_about_the_whole_run_is_one_about_each_metric(reason: Reason, expected: str) -> None:
    """Whatever its figures say."""
    doubtful = replace(slower(1)[0], verdict=Outcome.INCONCLUSIVE, reason=reason)

    assert standing(doubtful, "gap") == expected


def test_each_metric_has_its_word() -> None:
    """One that was measured too seldom has no data, unless it keeps the run from OK."""
    found = replace(
        slower(1)[0], regressed=(), improved=("total",), undecided=("gap",), missing=("gap", "slope")
    )

    assert [standing(found, name) for name in ("ttft", "total", "gap", "slope")] == [
        "OK",
        "improved",
        "undecided",
        "no data",
    ]
