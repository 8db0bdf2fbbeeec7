"""Which streams belong to a step, and what of them is under way."""

from __future__ import annotations

from load.scenarios.steps import Steps


def test_only_what_is_due_in_it_belongs_to_a_step() -> None:
    """Neither what came while the load settled nor what came while its streams ended."""
    steps = Steps()
    steps.open(1, 100)
    steps.close(200)
    steps.open(2, 300)

    assert [steps.at(ns) for ns in (99, 100, 200, 201, 299, 300, 10_000)] == [
        "ramp", "step 1", "step 1", "ramp", "ramp", "step 2", "step 2",
    ]  # fmt: skip


def test_streams_under_way_are_counted_by_when_they_were_due() -> None:
    """Several may have been due at once."""
    steps = Steps()
    for ns in (10, 20, 20, 30):
        steps.began(ns)
    steps.ended(20)

    assert (steps.at_once, steps.most_at_once) == (3, 4)
    assert (steps.under_way(20), steps.under_way(30, 20), steps.under_way(9)) == (2, 2, 0)


def test_the_most_at_once_is_that_of_the_current_step() -> None:
    """What the former load had under way does not count, what is still there does."""
    steps = Steps()
    for ns in (1, 2, 3):
        steps.began(ns)
    steps.ended(1)
    steps.open(1, 10)

    assert steps.most_at_once == 2


def test_undeclared_endings_by_step_and_scenario() -> None:
    """Counts for the objectives, and what it was for the reader."""
    steps = Steps()
    steps.saw("step 1", "chat_ws", "REFUSED(503, capacity)")
    steps.saw("step 2", "chat_ws", "ERROR(internal)")
    steps.saw("step 2", "chat_sse", "REFUSED(503, capacity)")
    steps.saw("step 2", "chat_ws", "REFUSED(503, capacity)")

    assert steps.undeclared("step 2") == {"chat_ws": 2, "chat_sse": 1}
    assert list(steps.seen("step 2").items()) == [("REFUSED(503, capacity)", 2), ("ERROR(internal)", 1)]
    assert steps.undeclared("step 3") == steps.seen("step 3") == {}
