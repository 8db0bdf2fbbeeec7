"""Client and database, execution by execution."""

from __future__ import annotations

import pytest

from load.metrics.timeline import TerminalState
from load.verdict.pairs import Seen, Stored, agrees, paired

DONE = Seen(TerminalState.DONE, None)
COMPLETED = Stored("COMPLETED", None)
CANCELLED = Stored("CANCELLED", "cancelled")
LOST = Stored("CANCELLED", "client_disconnected")
FAILED = Stored("FAILED", "provider_unavailable")
LATE = Stored("TIMED_OUT", "first_token_timeout")
SHUT = Stored("INTERRUPTED", "server_shutdown")
RUNNING = Stored("RUNNING", None)
ROWS = (COMPLETED, CANCELLED, LOST, FAILED, LATE, SHUT, RUNNING)


@pytest.mark.parametrize(
    ("seen", "good"),
    [
        (DONE, {COMPLETED}),
        (Seen(TerminalState.BROKEN, "loss"), {COMPLETED}),
        (Seen(TerminalState.ERROR, "first_token_timeout"), {LATE}),
        (Seen(TerminalState.ERROR, "server_shutdown"), {SHUT}),
        (Seen(TerminalState.REFUSED, "provider_unavailable"), {FAILED}),
        (Seen(TerminalState.CANCELLED, "client"), {CANCELLED, LOST}),
        (Seen(TerminalState.CUT_OFF, "us"), {COMPLETED, CANCELLED, LOST}),
        (Seen(TerminalState.CUT_OFF, "1012"), {SHUT}),
        (Seen(TerminalState.TIMED_OUT, "gap"), set(ROWS)),
        # An error without a code must not agree with a row without one.
        (Seen(TerminalState.ERROR, None), set()),
    ],
)
def test_which_pairs_agree(seen: Seen, good: set[Stored]) -> None:
    """Each ending of a client against every kind of row."""
    assert {row for row in ROWS if agrees(seen, row)} == good


def test_equal_sides_have_no_difference() -> None:
    """Counted on both sides, nothing to tell."""
    found = paired({"a": DONE, "b": DONE}, {"a": COMPLETED, "b": COMPLETED})

    assert (found.compared, found.client, found.stored) == (2, {"DONE": 2}, {"COMPLETED": 2})
    assert found.differences == {}


def test_streams_that_we_left_ourselves_are_explained() -> None:
    """As many rows as streams left before their id was known; one more, or one that failed, is too many."""
    rows = {"a": LOST, "b": COMPLETED, "c": FAILED}
    two, one = paired({}, rows, abandoned_unseen=3), paired({}, rows, abandoned_unseen=1)

    assert two.explained == {"a", "b"}
    assert two.differences == {"no client knows of a row that is FAILED(provider_unavailable)": ("c",)}
    assert "no client knows of a row that is COMPLETED" in one.differences


def test_every_difference_is_named_with_its_ids() -> None:
    """Another ending, a row nobody saw, an answer without a row."""
    found = paired(
        {"a": DONE, "b": DONE, "c": DONE, "d": DONE}, {"a": COMPLETED, "b": LATE, "c": LATE, "e": RUNNING}
    )

    assert found.differences == {
        "a client saw DONE, the row is TIMED_OUT(first_token_timeout)": ("b", "c"),
        "a client saw DONE, there is no row": ("d",),
        "no client knows of a row that is RUNNING": ("e",),
    }
