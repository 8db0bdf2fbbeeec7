"""What is booked on the target, and what the generator has to answer for itself."""

from __future__ import annotations

from typing import Final

import pytest

from load.drivers.clock import now_ns
from load.metrics.events import Accepted, Closed, Delta, Event, Finished, Sent
from load.metrics.run import CLEAN, RAMP, ROUGH, StreamRow
from load.metrics.timeline import Limits, TerminalState, Timeline
from load.scenarios.expect import DONE, Expect, refused
from load.scenarios.ledger import GAVE_UP, STOOD_STILL, Ended, Ledger, Origin
from load.scenarios.steps import Steps
from load.scenarios.windows import Windows
from load.verdict.reconcile import LEFT, Seen

SECOND: Final = 1_000_000_000
ORIGIN = Origin("chat_ws", user=1, seed=1, utc="2026-11-25T12:00:00.000Z", word="", busy=False)


def ledger() -> tuple[Ledger, list[StreamRow]]:
    rows: list[StreamRow] = []
    return Ledger(rows.append), rows


def made(*events: Event) -> Timeline:
    timeline = Timeline(Limits())
    for event in events:
        timeline.take(event)
    return timeline


def stream(at_ns: int, *ends: Event) -> Ended:
    """One that began there and ended so."""
    timeline = made(Sent(at_ns, at_ns), Accepted(at_ns + 10, "exe_1", 1), *ends)
    return Ended(ORIGIN, DONE, timeline, [], lambda seen: None)


def reset(at_ns: int) -> Closed:
    return Closed(at_ns, False, None, "network", "reset")


def book(still_s: float, ended: Ended) -> Ledger:
    """The stream, booked by a generator that stood still for so long until a second ago."""
    found, _ = ledger()
    now = now_ns()
    for beat_ns in (now - SECOND - int(still_s * SECOND), now - SECOND, now):
        found.standstills.beat(beat_ns)
    found.ended("a connection", ended)
    found.settle()
    return found


@pytest.mark.parametrize(
    ("still_s", "booked", "faults", "told"),
    [(0.5, 1, {}, Seen(TerminalState.CUT_OFF, "reset")), (3.0, 0, {STOOD_STILL: 1}, GAVE_UP)],
)
def test_what_a_standstill_may_have_caused_is_not_booked(
    still_s: float, booked: int, faults: dict[str, int], told: Seen
) -> None:
    """A target may end what a stopped client does not answer."""
    at_ns = now_ns() - 2 * SECOND
    found = book(still_s, stream(at_ns, reset(at_ns + SECOND // 2)))

    assert sum(kind.count for kind in found.outcomes.scenarios["chat_ws"].unexpected.values()) == booked
    assert (found.run.health.faults, found.executions) == (faults, {"exe_1": told})


def test_a_broken_stream_is_booked_whatever_the_generator_did() -> None:
    """No standstill of ours makes a chunk vanish."""
    at_ns = now_ns() - 2 * SECOND
    lost = Finished(at_ns + 200, "ab", seq=4, id="exe_1")
    found = book(3.0, stream(at_ns, Delta(at_ns + 100, at_ns + 100, 2, "a"), lost))

    assert list(found.outcomes.scenarios["chat_ws"].unexpected) == ["BROKEN(loss)"]
    assert found.run.health.faults == {}


def test_what_a_row_sees_during_a_standstill_is_not_booked_either() -> None:
    """It has no stream to be judged by, but a time."""
    found, _ = ledger()
    found.standstills.beat(now_ns() - 3 * SECOND)
    found.book_unexpected("row", DONE, "nothing came", "unknown", of_failures=True)

    assert (found.outcomes.scenarios["row"].unexpected, found.run.health.faults) == ({}, {STOOD_STILL: 1})


def test_a_stream_that_we_failed_leaves_its_row_to_the_target() -> None:
    """Unfinished, in no rate and no outcome; its execution is one that we left."""
    found, rows = ledger()
    found.failed_here(ORIGIN, made(Sent(1, 1), Accepted(10, "exe_1", 1)))

    assert found.executions == {"exe_1": LEFT}
    assert (found.run.total().unfinished, found.run.total().ended, rows) == (1, 0, [])
    assert found.outcomes.scenarios == {}


def test_a_stream_that_never_left_us_is_nobodys() -> None:
    """The target has not heard of it."""
    found, _ = ledger()
    found.failed_here(ORIGIN, made())

    assert (found.executions, found.abandoned_unseen, found.run.tallies) == ({}, 0, {})


@pytest.mark.parametrize(
    ("at_s", "window"), [(9, RAMP), (10, ROUGH), (16, ROUGH), (17, CLEAN), (23, CLEAN), (25, RAMP)]
)
def test_a_stream_is_booked_in_the_window_of_its_intended_start(at_s: int, window: str) -> None:
    """From 10 s on, 7 s each, until 24 s; when it ends does not matter."""
    found, _ = ledger()
    found.windows, found.steady_until_ns = Windows(10 * SECOND, 7 * SECOND, (ROUGH, CLEAN)), 24 * SECOND
    found.ended("a connection", stream(at_s * SECOND, Finished((at_s + 5) * SECOND, "", 2)))
    found.settle()

    assert list(found.run.tallies) == [("chat_ws", window)]


def test_before_all_users_have_come_nothing_is_measured() -> None:
    found, _ = ledger()
    found.ended("a connection", stream(SECOND, Finished(2 * SECOND, "", 2)))
    found.settle()

    assert list(found.run.tallies) == [("chat_ws", RAMP)]


def test_the_last_stream_of_a_connection_is_booked_when_it_is_left() -> None:
    """Not before: a late frame could still show that it was broken."""
    found, rows = ledger()
    found.ended("a connection", stream(SECOND, Finished(2 * SECOND, "", 2)))
    booked = len(rows)
    found.left("a connection")
    found.left("another")

    assert (booked, len(rows)) == (0, 1)


@pytest.mark.parametrize(
    ("came", "after_ms", "seen"),
    [
        (refused(408, None), 1004, None),
        (refused(431, None), 1004, "REFUSED(431)"),
        (refused(408, None), 900, "REFUSED(408) early: in less than its 1000 ms"),
        (refused(408, None), 1800, "REFUSED(408) late: after more than 1.75 s, configured 1 s"),
    ],
)
def test_what_a_row_saw_itself_has_a_deadline_too(came: Expect, after_ms: int, seen: str | None) -> None:
    """Booked as declared, its lateness kept, only where it came in time."""
    found, _ = ledger()
    observed_ns = after_ms * SECOND // 1000
    said = found.book_call("slow_headers", refused(408, None, 1.0), came, "raw", observed_ns=observed_ns)

    outcome = found.outcomes.scenarios["slow_headers"]
    assert said == seen
    assert list(outcome.unexpected) == ([seen] if seen else [])
    assert outcome.lateness.max == (None if seen else 4_000_000)


def test_a_search_has_its_streams_by_step() -> None:
    """By when they were due, with what nobody declared; what is under way is known."""
    found, _ = ledger()
    found.windows, found.steps = Windows(0, 1, (CLEAN,)), Steps()
    now = now_ns()
    found.steps.open(1, now)
    for due_ns in (now - 10, now):
        found.began(due_ns)
        found.ended(due_ns, stream(due_ns, reset(due_ns + 100)))
    found.over(now)
    found.settle()
    found.book_unexpected("browse", DONE, "REFUSED(503)", "c1", of_failures=False)

    ended = {window: tally.ended for (_, window), tally in found.run.tallies.items()}
    assert ended == {RAMP: 1, "step 1": 1}
    assert found.steps.undeclared("step 1") == {"chat_ws": 1, "browse": 1}
    assert found.steps.at_once == 1
