"""Rows C: who reads a run, who ends it, and who may not."""

from __future__ import annotations

from typing import Final

import gevent

from load.scenarios.expect import CANCELLED, DONE, Expect, error, refused
from load.scenarios.rows.base import Walker, row
from load.scenarios.rows.runs import (
    BY_REST,
    EVICTED_S,
    UNKNOWN_RUN,
    Progress,
    beside,
    check_stored,
    ended,
    exchange,
    going,
    record,
    resume,
    until,
)

SUPERSEDED: Final = error("superseded")
TAKEN_OVER: Final = 4409
FAR_AHEAD: Final = 10_000
STORM: Final = 20
AT_ONCE: Final = 4


@row("C5", error("resume_invalid_seq"), "steady", lasts_s=0.8)
def resume_ahead(user: Walker, name: str, expect: Expect) -> None:
    """A run from behind a frame that there has not been."""
    driver = user.websocket("steady")
    done = user.stream(driver, user.turn("Say something."), DONE, "before_return")
    resume(user, driver, done.execution_id, expect, name, FAR_AHEAD)


@row("C5", error("malformed_frame"), "steady", lasts_s=0.8)
def resume_negative(user: Walker, name: str, expect: Expect) -> None:
    """A run from before its beginning."""
    driver = user.websocket("steady")
    done = user.stream(driver, user.turn("Say something."), DONE, "before_return")
    resume(user, driver, done.execution_id, expect, name, -1)


@row("C5", error("resume_not_found"), "steady", lasts_s=0.8)
def resume_foreign(user: Walker, name: str, expect: Expect) -> None:
    """A run of somebody else, or of nobody: no difference is told."""
    execution_id: str | None = UNKNOWN_RUN
    if user.random.random() < 0.5:
        driver = user.websocket("steady", token=user.hold_token)
        execution_id = user.stream(driver, user.turn("Say something."), DONE, "before_return").execution_id
    resume(user, user.websocket("steady"), execution_id, expect, name)


@row("C6", SUPERSEDED, "closing", lasts_s=2.5)
def superseded(user: Walker, name: str, expect: Expect) -> None:
    """A second connection takes the run over: it gets all frames, the first is told and closed."""
    seen = Progress()
    old = user.websocket("closing", place=1)
    lost = []

    def ask() -> None:
        lost.append(user.stream(old, user.turn("Mine."), expect, name, seen.see))

    with beside(ask):
        until(lambda: seen.chunks >= 2)
        taken = resume(user, user.websocket("closing", place=2), seen.execution_id, DONE, "taker")
    close = lost[0].close
    if close is None or close.code != TAKEN_OVER:
        user.unexpected(name, expect, f"closed with {None if close is None else close.code}")
    if taken.text[: len(lost[0].text)] != lost[0].text:
        user.unexpected(name, expect, "other frames for the second reader")


@row("C7", CANCELLED, "endless", lasts_s=4.0, times=1)
def resume_storm(user: Walker, name: str, expect: Expect) -> None:
    """Connections that take one run from each other, again and again; the last one has it whole."""
    token, seen = user.hold_token, Progress()
    places, over = iter(range(1, 1 + STORM)), []

    def start() -> None:
        turn = user.turn("Mine.", extra={"on_disconnect": "continue"})
        user.stream(user.websocket("endless", token=token), turn, SUPERSEDED, "storm_taken", seen.see)

    def take() -> None:
        for place in places:
            driver = user.websocket("endless", place=place, token=token)
            over.append(resume(user, driver, seen.execution_id, SUPERSEDED, "storm_taken"))

    with beside(start):
        until(lambda: seen.chunks >= 2)
        with beside(*[take] * AT_ONCE):
            # One of them is left with the run: it waits for the last.
            until(lambda: len(over) >= STORM - 1)
            last = user.websocket("endless", place=1 + STORM, token=token)
            whole = resume(user, last, seen.execution_id, expect, name, cancel_after=2)
    found = ended(user, whole.execution_id, token)
    if (found.get("attempt_count"), found.get("output_text")) != (1, whole.text):
        user.unexpected(name, expect, "asked for more than once, or another text than is stored")


@row("C8", CANCELLED, "endless", lasts_s=0.8, harmless=True)
def client_cancel(user: Walker, name: str, expect: Expect) -> None:
    """The client has read enough and says so."""
    user.stream(user.websocket("endless"), user.turn("A long story.", cancel_after=2), expect, name)


@row("C8", CANCELLED, "endless", lasts_s=1.0)
def cancel_again(user: Walker, name: str, expect: Expect) -> None:
    """Once more when it is over: it is acknowledged, and nothing changes."""
    driver = user.websocket("endless")
    over = user.stream(driver, user.turn("A long story.", cancel_after=2), expect, name)
    answer = exchange(driver, type="cancel", execution_id=over.execution_id)
    if answer != {"type": "ack", "of": "cancel", "noop": True}:
        user.unexpected(name, expect, f"a second cancel answered by {answer.get('type')}")
    check_stored(user, name, expect, record(user, over.execution_id), "CANCELLED", "cancelled")


@row("C8", BY_REST, "endless", lasts_s=1.0)
def cancel_by_rest(user: Walker, name: str, expect: Expect) -> None:
    """A request from elsewhere ends the stream, which is told so."""
    seen = Progress()

    def ask() -> None:
        user.stream(user.websocket("endless"), user.turn("A long story."), expect, name, seen.see)

    with beside(ask):
        until(lambda: seen.chunks >= 2)
        response = user.http().request("POST", f"/api/executions/{seen.execution_id}/cancel")
    if response.status != 202:
        user.unexpected(name, expect, f"the cancel was answered {response.status}")


@row("C8", refused(409, "conflict"), "steady", lasts_s=0.8)
def cancel_ended(user: Walker, name: str, expect: Expect) -> None:
    """A request to cancel what has ended."""
    done = user.stream(user.websocket("steady"), user.turn("Be quick."), DONE, "before_cancel")
    user.call("POST", f"/api/executions/{done.execution_id}/cancel", expect=expect, scenario=name)


@row("C8", refused(409, "conflict"), "steady", lasts_s=EVICTED_S + 1.0)
def cancel_forgotten(user: Walker, name: str, expect: Expect) -> None:
    """The same when only its row is left."""
    done = user.stream(user.websocket("steady"), user.turn("Be quick."), DONE, "before_cancel")
    gevent.sleep(EVICTED_S)
    user.call("POST", f"/api/executions/{done.execution_id}/cancel", expect=expect, scenario=name)


@row("C8", refused(404, "not_found"), "endless", lasts_s=1.0)
def cancel_foreign(user: Walker, name: str, expect: Expect) -> None:
    """Somebody else's run is not there for us, by request or frame, and goes on."""
    driver = user.websocket("endless")
    driver.open()
    with going(user, user.turn("Take your time."), token=user.hold_token) as (execution_id,):
        user.call("POST", f"/api/executions/{execution_id}/cancel", expect=expect, scenario=name)
        answer = exchange(driver, type="cancel", execution_id=execution_id)
        status = record(user, execution_id, user.hold_token).get("status")
    code = (answer.get("error") or {}).get("code")
    if (code, status) != ("not_found", "RUNNING"):
        user.unexpected(name, expect, f"a foreign cancel answered by {code}, the run then {status}")
