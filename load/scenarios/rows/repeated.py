"""Row L12: one `request_id`, one run, whoever asks for it and however often."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from load.drivers.base import Turn
from load.drivers.websocket import WebSocketDriver
from load.metrics.timeline import TerminalState
from load.scenarios.base import Followed
from load.scenarios.expect import DONE, Expect, error, refused
from load.scenarios.rows.base import Walker, row
from load.scenarios.rows.runs import beside, going

SUPERSEDED = error("superseded")
RACES = 3
"""Of one row: the second of two is seldom so late that it sees what the first one made."""


def request_id(user: Walker) -> str:
    """One that nobody else has."""
    return f"row-{user.random.getrandbits(64):016x}"


def both(
    user: Walker, drivers: Sequence[WebSocketDriver], turns: Sequence[Turn], name: str
) -> list[Followed]:
    """The n-th turn by the n-th driver, at once; in the order in which they ended."""
    followed: list[Followed] = []

    def ask(driver: WebSocketDriver, turn: Turn) -> None:
        followed.append(user.follow(driver, turn, name))

    with beside(*(functools.partial(ask, *one) for one in zip(drivers, turns, strict=True))):
        pass
    return followed


@row("L12", refused(409, "request_in_progress"), "endless", lasts_s=1.0)
def request_in_progress(user: Walker, name: str, expect: Expect) -> None:
    """The request again over HTTP while its run goes on."""
    turn = user.turn("Take your time.", extra={"request_id": request_id(user), "action": "chat"})
    with going(user, turn, token=user.hold_token) as (execution_id,):
        again = user.stream(user.http("endless", token=user.hold_token), turn, expect, name)
    if again.execution_id != execution_id:
        user.unexpected(name, expect, "told another run to be in progress")


@row("L12", DONE, "closing", lasts_s=2.5)
def same_instant(user: Walker, name: str, expect: Expect) -> None:
    """Two clients with the same request at once: one starts its run, the other attaches to it and has it."""
    turn = user.turn("Who was first?", extra={"request_id": request_id(user)})
    drivers = [user.websocket("closing", place=place) for place in (1, 2)]
    for driver in drivers:
        driver.open()
    followed = both(user, drivers, [turn, turn], name)
    followed.sort(key=lambda one: one.timeline.state is not TerminalState.DONE)
    user.book(followed[0], expect)
    user.book(followed[1], SUPERSEDED, "superseded_by_request")
    if followed[0].timeline.execution_id != followed[1].timeline.execution_id:
        user.unexpected(name, expect, "two runs of one request")


@row("D11", DONE, "steady", lasts_s=RACES * 0.5)
def session_race(user: Walker, name: str, expect: Expect) -> None:
    """Two first messages of one conversation at once, several times: both are answered, and there is one."""
    drivers = [user.websocket("steady", place=place) for place in (1, 2)]
    for driver in drivers:
        driver.open()
    for number in range(RACES):
        session_id = request_id(user)
        turns = [user.turn("Who was first?", session_id) for _ in drivers]
        first, second = both(user, drivers, turns, name)
        user.book(first, expect, "raced")
        user.book(second, expect, name if number == RACES - 1 else "raced")
        if {first.timeline.session_id, second.timeline.session_id} != {session_id}:
            user.unexpected(name, expect, "another conversation than was asked for")


@row("L12", DONE, "steady", lasts_s=0.5)
def replayed(user: Walker, name: str, expect: Expect) -> None:
    """The request again once it is answered: the stored answer, and no second run."""
    turn = user.turn("Tell me once.", extra={"request_id": request_id(user)})
    driver = user.http("steady")
    first = user.stream(driver, turn, DONE, "first_of_two")
    body = {"message": turn.prompt, **turn.extra}
    response = driver.request("POST", f"/api/agents/{user.agent('steady')}/chat", body)
    user.book_call(response, expect, name)
    again = response.json() or {}
    if (again.get("response"), again.get("execution_id")) != (first.text, first.execution_id):
        user.unexpected(name, expect, "another answer to the same request")
    if again.get("replayed") is not True:
        user.unexpected(name, expect, "not marked as replayed")


@row("L12", DONE, "steady", lasts_s=0.8)
def replayed_stream(user: Walker, name: str, expect: Expect) -> None:
    """The same as a stream: frame by frame the same log."""
    turn = user.turn("Tell me twice.", extra={"request_id": request_id(user)})
    first = user.stream(user.websocket("steady", place=1), turn, DONE, "first_of_two")
    again = user.stream(user.websocket("steady", place=2), turn, expect, name)
    if (again.text, again.execution_id, again.chunks) != (first.text, first.execution_id, first.chunks):
        user.unexpected(name, expect, "another answer to the same request")


@row("L12", refused(424, "no_provider"), "orphan", lasts_s=0.5)
def replayed_failure(user: Walker, name: str, expect: Expect) -> None:
    """A request that failed, again: it is told so once more, and nothing is tried."""
    turn = user.turn("Anybody?", extra={"request_id": request_id(user)})
    driver = user.http("orphan")
    first = user.stream(driver, turn, expect, "first_of_two")
    again = user.stream(driver, turn, expect, name)
    if again.execution_id != first.execution_id:
        user.unexpected(name, expect, "another run of the same request")


@row("L12", refused(422, "idempotency_mismatch"), "steady", lasts_s=0.5)
def other_body(user: Walker, name: str, expect: Expect) -> None:
    """The id of a request for something else."""
    own = {"request_id": request_id(user)}
    driver = user.http("steady")
    user.stream(driver, user.turn("This.", extra=own), DONE, "first_of_two")
    user.stream(driver, user.turn("That.", extra=own), expect, name)


@row("L12", error("idempotency_mismatch"), "steady", lasts_s=0.8)
def other_message(user: Walker, name: str, expect: Expect) -> None:
    """The same over a WebSocket."""
    own = {"request_id": request_id(user)}
    user.stream(user.websocket("steady", place=1), user.turn("This.", extra=own), DONE, "first_of_two")
    user.stream(user.websocket("steady", place=2), user.turn("That.", extra=own), expect, name)
