"""What was declared and what came, counted."""

from __future__ import annotations

import pytest

from load.metrics.outcomes import KEPT_IDS, OPENED, Outcomes, Unexpected

MS = 1_000_000


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


def one(*ids: str, timed_out: bool = False, lateness_ms: int = 0) -> Outcomes:
    """What one process counted: a clean chat, one that was cut for each id, a deadline, a row."""
    outcomes = Outcomes(rows={f"row{len(ids)}": "P6"})
    chat = outcomes.declare("chat", "DONE", of_failures=True)
    chat.book_expected()
    for stream_id in ids:
        chat.book_unexpected(f"CUT_OFF({stream_id[0]})", stream_id, timed_out=timed_out)
    chat.book_deadline(1500, (1500 + lateness_ms) * MS)
    outcomes.book_deadline("first_token_timeout", 1500, (1500 + lateness_ms) * MS, 1400)
    return outcomes


def test_processes_add_up() -> None:
    """Counts and histograms; of ids the first; what only one of them has is kept."""
    merged = one("a1", "a2", "b3", lateness_ms=7) + one("a4", "a5", timed_out=True)
    chat, deadline = merged.scenarios["chat"], merged.deadlines["first_token_timeout"]

    assert (chat.expected, chat.of_failures, chat.total, chat.as_expected) == ("DONE", True, 7, 2)
    assert chat.unexpected == {
        "CUT_OFF(a)": Unexpected("CUT_OFF(a)", 4, ["a1", "a2", "a4"], timed_out=True),
        "CUT_OFF(b)": Unexpected("CUT_OFF(b)", 1, ["b3"]),
    }
    assert (chat.configured_ms, chat.lateness.n, chat.lateness.max) == (1500, 2, 7 * MS)
    assert (deadline.observed.n, deadline.lateness.max, deadline.early) == (2, 7 * MS, 2)
    assert merged.rows == {"row3": "P6", "row2": "P6"}


def test_the_deadline_of_one_process_is_that_of_all() -> None:
    """Another one may not have seen it fire."""
    without = Outcomes()
    without.declare("chat", "DONE")
    both = [one("a1") + without, without + one("a1")]

    assert [outcomes.scenarios["chat"].configured_ms for outcomes in both] == [1500, 1500]


def test_codes_of_two_processes_add_up() -> None:
    """By label and code; neither side is changed."""
    one, other = Outcomes(), Outcomes()
    one.tell("chat", "capacity")
    one.tell("chat", "capacity")
    other.tell("chat", "capacity")
    other.tell("chat", "internal")
    other.tell("feedback", "422")

    assert (one + other).told == {"chat": {"capacity": 3, "internal": 1}, "feedback": {"422": 1}}
    assert one.told == {"chat": {"capacity": 2}}


def test_connections_of_two_processes_add_up() -> None:
    """By label and by what became of them."""
    one, other = Outcomes(), Outcomes()
    one.connection("chat", OPENED)
    one.connection("chat", OPENED)
    other.connection("chat", OPENED)
    other.connection("chat", "1012")

    assert (one + other).connections == {"chat": {OPENED: 3, "1012": 1}}
