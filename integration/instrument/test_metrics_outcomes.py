"""What was declared and what came, counted."""

from __future__ import annotations

import pytest

from load.metrics.outcomes import KEPT_IDS, Outcomes


def test_a_scenario_is_declared_once() -> None:
    """Its counts go on at the second declaration."""
    outcomes = Outcomes()
    outcomes.declare("chat", "DONE").book_expected()
    outcomes.declare("chat", "DONE").book_expected()
    outcome = outcomes.scenarios["chat"]

    assert (outcome.expected, outcome.total, outcome.as_expected, outcome.unexpected) == ("DONE", 2, 2, {})


def test_unexpected_ends_are_counted_by_kind() -> None:
    """Each with the ids of its first streams."""
    outcome = Outcomes().declare("chat", "DONE")
    outcome.book_unexpected("CUT_OFF(reset)", "e1")
    outcome.book_unexpected("TIMED_OUT(gap)", "e2", timed_out=True)
    outcome.book_unexpected("CUT_OFF(reset)", "e3")
    kinds = {seen: (kind.count, kind.ids, kind.timed_out) for seen, kind in outcome.unexpected.items()}

    assert (outcome.total, outcome.as_expected) == (3, 0)
    assert kinds == {"CUT_OFF(reset)": (2, ["e1", "e3"], False), "TIMED_OUT(gap)": (1, ["e2"], True)}


def test_the_first_streams_are_worth_their_frames() -> None:
    """So many of each kind, then no more."""
    outcome = Outcomes().declare("chat", "DONE")
    kept = [outcome.book_unexpected("ERROR(internal)", f"e{n}") for n in range(KEPT_IDS + 2)]

    assert kept == [True] * KEPT_IDS + [False] * 2


@pytest.mark.parametrize(("elapsed_ms", "early"), [(None, 0), (1500.0, 0), (1499.0, 0), (1498.9, 1)])
def test_a_deadline_that_fired_early(elapsed_ms: float | None, early: int) -> None:
    """By the target's own word; a millisecond is rounding."""
    outcomes = Outcomes()
    outcomes.book_deadline("first_token_timeout", 1500, 1_600_000_000, elapsed_ms)
    deadline = outcomes.deadlines["first_token_timeout"]

    assert (deadline.configured_ms, deadline.observed.max, deadline.early) == (1500, 1_600_000_000, early)
