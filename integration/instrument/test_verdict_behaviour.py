"""Undeclared endings, scenarios that never came, rows that were not reached."""

from __future__ import annotations

import pytest

from load.errors import ExitCode
from load.metrics.outcomes import Outcomes
from load.verdict.behaviour import Needed, missing, undeclared, unreached

AGAIN = "locust --scenario {scenario}"
TIMEOUTS = Needed("P6", 2, ("no_headers", "comments_only"))


def seen(**times: int) -> Outcomes:
    """So many streams of each scenario, as declared."""
    outcomes = Outcomes()
    for name, count in times.items():
        outcome = outcomes.declare(name, "DONE")
        for _ in range(count):
            outcome.book_expected()
    return outcomes


def test_each_kind_of_undeclared_ending_is_a_finding_the_most_frequent_first() -> None:
    outcomes = seen(chat=8)
    chat = outcomes.scenarios["chat"]
    chat.book_unexpected("CUT_OFF(reset)", "e1")
    chat.book_unexpected("ERROR(internal)", "e2")
    chat.book_unexpected("ERROR(internal)", "e3")

    found = [(finding.reason, finding.ids) for finding in undeclared(outcomes, AGAIN)]

    assert found == [
        ("2 of 11 streams ended ERROR(internal), declared is DONE", ("e2", "e3")),
        ("1 of 11 streams ended CUT_OFF(reset), declared is DONE", ("e1",)),
    ]


def test_an_overloaded_target_may_refuse_and_fail_but_send_nothing_wrong() -> None:
    """What a search for a capacity asks for."""
    outcomes = seen(chat=8)
    chat = outcomes.scenarios["chat"]
    for ending in ("REFUSED(503, capacity)", "TIMED_OUT(total)", "BROKEN(loss)", "DONE with breaks: order"):
        chat.book_unexpected(ending, "e1")

    assert [finding.reason for finding in undeclared(outcomes, AGAIN, overloaded=True)] == [
        "1 of 12 streams ended BROKEN(loss), declared is DONE",
        "1 of 12 streams ended DONE with breaks: order, declared is DONE",
    ]


def test_a_scenario_that_never_came_is_missing() -> None:
    """Also where it was declared and nothing of it ended."""
    outcomes = seen(chat=1, idle=0)

    found = missing(outcomes, ("chat", "idle", "absent"), AGAIN)

    assert [(finding.kind, finding.scenario) for finding in found] == [
        (ExitCode.INVALID, "idle"),
        (ExitCode.INVALID, "absent"),
    ]


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ({"no_headers": 1, "comments_only": 1}, None),
        ({"no_headers": 7, "comments_only": 0}, "7 × (no_headers 7, comments_only 0)"),
        ({"no_headers": 1}, "1 × (no_headers 1, comments_only 0)"),
        ({}, "0 × (no_headers 0, comments_only 0)"),
    ],
)
def test_a_row_wants_its_times_and_each_of_its_variants(times: dict[str, int], said: str | None) -> None:
    found = unreached(seen(**times), (TIMEOUTS,), AGAIN)

    reason = (
        f"not_reached: row P6 came as declared {said}, needed 2 × and by each scenario;"
        " run longer (-t), or with more users (-u)"
    )
    assert [(finding.kind, finding.reason) for finding in found] == (
        [] if said is None else [(ExitCode.INVALID, reason)]
    )


def test_what_ended_otherwise_has_not_reached_its_row() -> None:
    """And the command repeats the scenario that is missing."""
    outcomes = seen(no_headers=3)
    outcomes.declare("comments_only", "ERROR").book_unexpected("DONE", "e1")

    (finding,) = unreached(outcomes, (TIMEOUTS,), AGAIN)

    assert finding.reproduce == "locust --scenario comments_only"
