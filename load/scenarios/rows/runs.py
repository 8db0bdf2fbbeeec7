"""What rows do with a run beside reading its stream: keep it going, look it up, end it, take it over."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import gevent
import orjson
from gevent import Greenlet

from load.drivers.base import Turn
from load.drivers.clock import now_ns
from load.drivers.sse import SseDriver
from load.drivers.watchdog import Wait
from load.drivers.websocket import WebSocketDriver
from load.metrics.events import Accepted, Delta, Event
from load.metrics.timeline import TerminalState, Timeline
from load.scenarios.base import AgentUser
from load.scenarios.expect import Expect
from load.scenarios.profile import REPLAY_TTL_S, AgentPlan
from load.scenarios.rows.base import UNKNOWN_AGENT, Walker

UNKNOWN_RUN: Final = "exe_00000000000000000000000000000000"
STATES: Final = {
    "COMPLETED": TerminalState.DONE,
    "CANCELLED": TerminalState.CANCELLED,
    "FAILED": TerminalState.ERROR,
    "TIMED_OUT": TerminalState.ERROR,
    "INTERRUPTED": TerminalState.ERROR,
}
"""How a run ended -> how its reader is told so."""

BY_REST: Final = Expect(TerminalState.CANCELLED, "api")
EVICTED_S: Final = REPLAY_TTL_S + 0.3
"""Behind what we see of a run's end; the target's clock began before."""
PATIENCE_S: Final = 5.0
POLL_S: Final = 0.03
REPLY_NS: Final = 5_000_000_000


class Progress:
    """What has come of a stream so far; `see` is its `watch`."""

    def __init__(self) -> None:
        self.execution_id: str | None = None
        self.chunks = 0

    def see(self, event: Event) -> None:
        """Takes one event."""
        if isinstance(event, Accepted):
            self.execution_id = event.id
        elif isinstance(event, Delta):
            self.chunks += 1


@contextmanager
def beside(*works: Callable[[], object]) -> Iterator[None]:
    """Does them at the same time as the block, and leaves when all have ended; none outlives it."""
    greenlets: list[Greenlet] = [gevent.spawn(work) for work in works]
    try:
        yield
        gevent.joinall(greenlets, raise_error=True)
    finally:
        gevent.killall(greenlets)


def until(true: Callable[[], object], timeout_s: float = PATIENCE_S) -> bool:
    """Polls; whether it came true in time."""
    deadline = time.monotonic() + timeout_s
    while not true():
        if time.monotonic() > deadline:
            return False
        gevent.sleep(POLL_S)
    return True


@contextmanager
def going(
    user: Walker, turn: Turn, *, token: str, agent: str = "endless", count: int = 1
) -> Iterator[list[str]]:
    """So many runs that have begun, each on a connection of its own; behind the block they are cancelled."""
    seen = [Progress() for _ in range(count)]

    def hold(place: int) -> None:
        driver = user.websocket(agent, place=1 + place, token=token)
        user.stream(driver, turn, BY_REST, "holder", seen[place].see)

    with beside(*(lambda place=place: hold(place) for place in range(count))):
        until(lambda: all(one.execution_id for one in seen))
        ids = [one.execution_id or UNKNOWN_RUN for one in seen]
        yield ids
        for execution_id in ids:
            user.http(token=token).request("POST", f"/api/executions/{execution_id}/cancel")


def make_agent(user: Walker, name: str, plan: AgentPlan) -> str:
    """The id of an agent for this row alone; for rows declared with `admin=True`."""
    own = f"{name} {user.place} {user.random.getrandbits(48):012x}"
    made = user.admin.request("POST", "/api/agents", plan.body(own)).json() or {}
    return str(made.get("id", UNKNOWN_AGENT))


def archive(user: Walker, agent: str) -> None:
    """Ends an agent that was made so; a connection to it would be closed with 4404."""
    user.leave()
    user.admin.request("DELETE", f"/api/agents/{agent}")


def resume(
    user: Walker,
    driver: WebSocketDriver | SseDriver,
    execution_id: str | None,
    expect: Expect,
    scenario: str,
    last_seq: int = 0,
    **facts: Any,
) -> Timeline:
    """Takes a run over from behind `last_seq`, to the end. facts: further fields of `Turn`."""
    how = functools.partial(driver.watch, execution_id or UNKNOWN_RUN, last_seq=last_seq)
    followed = user.follow(driver, user.turn("", **facts), scenario, how=how)
    user.book(followed, expect)
    return followed.timeline


def record(user: AgentUser, execution_id: str | None, token: str | None = None) -> dict[str, Any]:
    """The run as its owner reads it; empty where it cannot be read."""
    response = user.http(token=token).request("GET", f"/api/executions/{execution_id}")
    found = response.json() if response.status == 200 else None
    return found if isinstance(found, dict) else {}


def ended(
    user: AgentUser, execution_id: str | None, token: str | None = None, timeout_s: float = PATIENCE_S
) -> dict[str, Any]:
    """The run once it has ended; as it stands when that takes too long."""
    found: dict[str, Any] = {}

    def look() -> bool:
        found.clear()
        found.update(record(user, execution_id, token))
        return found.get("status") in STATES

    until(look, timeout_s)
    return found


def by_request(user: AgentUser, agent: str, request_id: str, token: str) -> str | None:
    """The id of a run that no stream of ours has told, once it is stored."""
    path = f"/api/agents/{user.agent(agent)}/executions?limit=10"
    found: list[str] = []

    def look() -> bool:
        response = user.http(token=token).request("GET", path)
        items = response.json()["items"] if response.status == 200 else []
        found.extend(item["id"] for item in items if item["request_id"] == request_id)
        return bool(found)

    until(look)
    return found[0] if found else None


def check_stored(
    user: AgentUser, name: str, expect: Expect, found: dict[str, Any], status: str, code: str | None
) -> None:
    """That the run ended so; anything else nobody declared."""
    if (found.get("status"), found.get("error_code")) != (status, code):
        seen = f"stored as {found.get('status')}({found.get('error_code')})"
        user.unexpected(name, expect, seen, found.get("id", "unknown"))


def stored_outcome(found: dict[str, Any]) -> Expect:
    """What the end that is stored means to a reader; TIMED_OUT while there is none."""
    return Expect(STATES.get(str(found.get("status")), TerminalState.TIMED_OUT), found.get("error_code"))


def exchange(driver: WebSocketDriver, **fields: object) -> dict[str, Any]:
    """One frame over the driver's open connection, between its turns, and the next that comes; empty where
    none does."""
    channel = driver.channel
    if channel is None:
        return {}
    channel.wire.watch(Wait("total", now_ns(), REPLY_NS, now_ns() + REPLY_NS, REPLY_NS))
    try:
        channel.send(orjson.dumps(fields))
        messages: list[bytes] = []
        while not messages and channel.closed is None and channel.expired() is None:
            messages = channel.read()
    finally:
        channel.wire.unwatch()
    found = orjson.loads(messages[0]) if messages else {}
    return found if isinstance(found, dict) else {}
