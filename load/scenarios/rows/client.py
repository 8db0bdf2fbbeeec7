"""Rows C: a client that is lost, with and without coming back."""

from __future__ import annotations

from typing import Final

import gevent

from load.drivers.base import Drop
from load.drivers.clock import now_ns
from load.metrics.timeline import TerminalState
from load.scenarios.expect import CUT_BY_US, DONE, Expect, error, refused
from load.scenarios.profile import RESUME_GRACE_S
from load.scenarios.rows.base import Walker, row
from load.scenarios.rows.runs import EVICTED_S, check_stored, ended, resume, stored_outcome

WAYS: Final[tuple[Drop, ...]] = ("rst", "fin", "close")
CONTINUE: Final = {"on_disconnect": "continue"}
FAR_AHEAD: Final = 10_000

LEFT: Final = ("CANCELLED", "client_disconnected")


@row("C1", CUT_BY_US, "endless", lasts_s=1.0)
def client_disconnect(user: Walker, name: str, expect: Expect) -> None:
    """The client vanishes in the middle of an answer: reset, FIN or close frame. Its run ends at once."""
    turn = user.turn("Never mind.", drop_after=(2, user.random.choice(WAYS)))
    left = user.stream(user.websocket("endless"), turn, expect, name)
    check_stored(user, name, expect, ended(user, left.execution_id), *LEFT)


@row("C1", CUT_BY_US, "endless", lasts_s=1.0)
def events_disconnect(user: Walker, name: str, expect: Expect) -> None:
    """The same with server-sent events."""
    turn = user.turn("Never mind.", drop_after=(2, user.random.choice(WAYS[:2])))
    left = user.stream(user.sse("endless"), turn, expect, name)
    check_stored(user, name, expect, ended(user, left.execution_id), *LEFT)


@row("C2", DONE, "closing", lasts_s=2.5)
def resumed(user: Walker, name: str, expect: Expect) -> None:
    """A connection that is lost in mid-answer, and a client that takes the answer up again."""
    how = user.random.choice(WAYS)
    turn = user.turn("Where were we?", drop_after=(3, how), resume=1, extra=CONTINUE)
    user.stream(user.websocket("closing"), turn, expect, name)


@row(
    "C3",
    Expect(TerminalState.CANCELLED, "client_disconnected", limit_s=RESUME_GRACE_S),
    "endless",
    lasts_s=RESUME_GRACE_S + 1.0,
)
def grace_passes(user: Walker, name: str, expect: Expect) -> None:
    """The client would have been waited for, and does not come back: its run ends when the grace is over."""
    turn = user.turn("I will be back.", drop_after=(2, user.random.choice(WAYS)), extra=CONTINUE)
    left = user.stream(user.websocket("endless", token=user.hold_token), turn, CUT_BY_US, "left_alone")
    left_at = (left.ended_at or now_ns()) / 1e9
    gevent.sleep(max(0.0, left_at + RESUME_GRACE_S - now_ns() / 1e9))
    found = ended(user, left.execution_id, user.hold_token)
    user.outcome(
        name,
        expect,
        stored_outcome(found),
        after_s=now_ns() / 1e9 - left_at,
        stream_id=left.execution_id or "unknown",
    )


@row("C4", DONE, "steady", lasts_s=1.5)
def log_kept(user: Walker, name: str, expect: Expect) -> None:
    """A run that ends while nobody reads it: whoever comes in time gets all of it."""
    turn = user.turn("Go on without me.", drop_after=(1, user.random.choice(WAYS)), extra=CONTINUE)
    left = user.stream(user.websocket("steady", place=1), turn, CUT_BY_US, "left_alone")
    found = ended(user, left.execution_id)
    again = resume(user, user.websocket("steady", place=2), left.execution_id, expect, name)
    if again.text != found.get("output_text"):
        user.unexpected(name, expect, "another text than is stored")


@row("C4", error("resume_gap"), "steady", lasts_s=EVICTED_S + 1.5)
def log_gone(user: Walker, name: str, expect: Expect) -> None:
    """The same too late: its record alone is left."""
    turn = user.turn("Go on without me.", drop_after=(1, user.random.choice(WAYS)), extra=CONTINUE)
    left = user.stream(user.websocket("steady", place=1), turn, CUT_BY_US, "left_alone")
    check_stored(user, name, expect, ended(user, left.execution_id), "COMPLETED", None)
    gevent.sleep(EVICTED_S)
    resume(user, user.websocket("steady", place=2), left.execution_id, expect, name)


@row("C14", DONE, "closing", lasts_s=2.5)
def events_resumed(user: Walker, name: str, expect: Expect) -> None:
    """Server-sent events that are lost in mid-answer and asked for from behind the last one."""
    how = user.random.choice(WAYS[:2])
    turn = user.turn("Where were we?", drop_after=(3, how), resume=1, extra=CONTINUE)
    user.stream(user.sse("closing"), turn, expect, name)


@row("C14", refused(416, "resume_invalid_seq"), "steady", lasts_s=0.8)
def events_ahead(user: Walker, name: str, expect: Expect) -> None:
    """Events from behind one that there has not been."""
    driver = user.sse("steady")
    done = user.stream(driver, user.turn("Say something."), DONE, "before_return")
    resume(user, driver, done.execution_id, expect, name, FAR_AHEAD)


@row("C14", refused(410, "resume_gap"), "steady", lasts_s=EVICTED_S + 1.0)
def events_gone(user: Walker, name: str, expect: Expect) -> None:
    """Events of a run whose log is kept no longer."""
    driver = user.sse("steady")
    done = user.stream(driver, user.turn("Say something."), DONE, "before_return")
    gevent.sleep(EVICTED_S)
    resume(user, driver, done.execution_id, expect, name, 1)
