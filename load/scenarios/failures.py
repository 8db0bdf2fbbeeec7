"""Declared failures: users who walk a list of rows, each of which ends in exactly one error.

A row is a function and what it expects. It has agents of its own, so that ordinary users are not disturbed,
and says whether it is harmless to a server that others use.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final, TypeAlias

import gevent
from locust import task

from load.metrics.events import Accepted, Event
from load.scenarios.base import AgentUser
from load.scenarios.expect import CANCELLED, CUT_BY_US, DONE, Expect, error, refused
from load.scenarios.profile import (
    FIRST_TOKEN_TIMEOUT_S,
    INTER_CHUNK_TIMEOUT_S,
    MAX_RUNS_PER_USER,
    RATE_BURST,
    TOTAL_DEADLINE_S,
)

UNKNOWN_AGENT: Final = "agt_00000000000000000000000000000000"
HOLD_TIMEOUT_S: Final = 3.0
HOST_PAUSE_S: Final = 2.5
"""A row sends two messages at the most; a rate of one a second is common."""


class Failures(AgentUser):
    """Walks its rows, the longest deadline first, again and again; each user begins at another of them."""

    scenario = "failures"
    weight = 10
    BESIDE: ClassVar = ("holder", "after_error")
    """Streams that rows need beside their own."""

    def on_start(self) -> None:
        rows = [ROWS[name] for name in self.session.failures]
        self.random.shuffle(rows)
        self._rows = sorted(rows, key=lambda row: -(row.expect.limit_s or 0))
        self._next = self.number % len(self._rows)
        # Flooding empties an account's rate, and a lost client's run ends a little later than its row: rows
        # that count messages or runs speak with accounts of their own.
        tokens, users = self.session.tokens, self.session.options.users
        self.flood_token = tokens[(self.number + users) % len(tokens)]
        self.hold_token = tokens[(self.number + 2 * users) % len(tokens)]

    def wait_time(self) -> float:
        """Rows follow each other closely, except on a server whose limits are not ours."""
        return self.random.uniform(0.02, 0.1) if self.session.options.host is None else HOST_PAUSE_S

    def due_ns(self) -> int:
        """Now: a row has no schedule."""
        return time.perf_counter_ns()

    @task
    def row(self) -> None:
        """The next row."""
        row = self._rows[self._next % len(self._rows)]
        self._next += 1
        row.run(self, row.name, row.expect)

    def hold(self, place: int, watch: Callable[[Event], None]) -> None:
        """Keeps one run going for a while, on a connection of its own."""
        turn = self.turn("Take your time.", cancel_after=3)
        driver = self.websocket("endless", place=place, token=self.hold_token)
        self.stream(driver, turn, CANCELLED, "holder", watch)

    _rows: list[Row]
    _next: int
    flood_token: str
    hold_token: str


Act: TypeAlias = Callable[[Failures, str, Expect], None]


@dataclass(frozen=True, slots=True)
class Row:
    """One declared failure. agents: those of the profile that it needs."""

    name: str
    expect: Expect
    run: Act
    harmless: bool
    agents: tuple[str, ...]


ROWS: Final[dict[str, Row]] = {}


def row(expect: Expect, *agents: str, harmless: bool = False) -> Callable[[Act], Act]:
    """Declares the decorated function as the row of its name."""

    def declare(act: Act) -> Act:
        ROWS[act.__name__] = Row(act.__name__, expect, act, harmless, agents)
        return act

    return declare


@row(refused(403, "governance_denied"), "student", harmless=True)
def governance_denied(user: Failures, name: str, expect: Expect) -> None:
    """A STUDENT agent may not chat, over HTTP or WebSocket."""
    driver = user.http("student") if user.random.random() < 0.5 else user.websocket("student")
    user.stream(driver, user.turn("Please pay the invoice."), expect, name)


@row(refused(404, "not_found"), harmless=True)
def unknown_agent(user: Failures, name: str, expect: Expect) -> None:
    """An agent that does not exist, over HTTP or WebSocket."""
    by_http = user.random.random() < 0.5
    driver = user.http(UNKNOWN_AGENT) if by_http else user.websocket(UNKNOWN_AGENT)
    user.stream(driver, user.turn("Is anybody there?"), expect, name)


@row(refused(422, "invalid_request"), harmless=True)
def bad_rating(user: Failures, name: str, expect: Expect) -> None:
    """A rating above 10; the body is judged before anything is looked up."""
    body = {"execution_id": "exe_unknown", "feedback_type": "rating", "rating": 11}
    user.call("POST", f"/api/agents/{user.agent('steady')}/feedback", body, expect=expect, scenario=name)


@row(error("invalid_request"), "intern", harmless=True)
def empty_message(user: Failures, name: str, expect: Expect) -> None:
    """An empty message gets an error frame, and the connection lives on."""
    driver = user.websocket("intern")
    user.stream(driver, user.turn(""), expect, name)
    user.stream(driver, user.turn("And now a real question: what is the time?"), DONE, "after_error")


@row(error("unknown_action"), "intern", harmless=True)
def unknown_action(user: Failures, name: str, expect: Expect) -> None:
    """An action that no table knows."""
    user.stream(user.websocket("intern"), user.turn("Up and away.", extra={"action": "fly"}), expect, name)


@row(error("first_token_timeout", FIRST_TOKEN_TIMEOUT_S), "mute")
def first_token_timeout(user: Failures, name: str, expect: Expect) -> None:
    """An agent whose first token would come after a minute."""
    user.stream(user.websocket("mute"), user.turn("Say something."), expect, name)


@row(error("inter_chunk_timeout", INTER_CHUNK_TIMEOUT_S), "stalling")
def inter_chunk_timeout(user: Failures, name: str, expect: Expect) -> None:
    """An agent that falls silent after its first token."""
    user.stream(user.websocket("stalling"), user.turn("Go on, please."), expect, name)


@row(error("deadline_exceeded", TOTAL_DEADLINE_S), "endless")
def deadline_exceeded(user: Failures, name: str, expect: Expect) -> None:
    """An agent that is never silent and never ready."""
    user.stream(user.websocket("endless"), user.turn("Tell me everything."), expect, name)


@row(CANCELLED, "endless", harmless=True)
def client_cancel(user: Failures, name: str, expect: Expect) -> None:
    """The client has read enough and says so."""
    user.stream(user.websocket("endless"), user.turn("A long story.", cancel_after=2), expect, name)


@row(CUT_BY_US, "endless")
def client_disconnect(user: Failures, name: str, expect: Expect) -> None:
    """The client vanishes in the middle of an answer: reset, FIN or close frame."""
    how = user.random.choice(("rst", "fin", "close"))
    user.stream(user.websocket("endless"), user.turn("Never mind.", drop_after=(2, how)), expect, name)


@row(DONE, "steady")
def resumed(user: Failures, name: str, expect: Expect) -> None:
    """A connection that is reset in mid-answer, and a client that takes the answer up again."""
    turn = user.turn("Where were we?", drop_after=(3, "rst"), resume=1, extra={"on_disconnect": "continue"})
    user.stream(user.websocket("steady"), turn, expect, name)


@row(error("concurrency_limit"), "endless", "intern")
def concurrency_limit(user: Failures, name: str, expect: Expect) -> None:
    """One run more than a user may have at once; the ones before it stay as they are."""
    running: list[Accepted] = []

    def watch(event: Event) -> None:
        if isinstance(event, Accepted):
            running.append(event)

    holders = [gevent.spawn(user.hold, 1 + place, watch) for place in range(MAX_RUNS_PER_USER)]
    with gevent.Timeout(HOLD_TIMEOUT_S, False):
        while len(running) < MAX_RUNS_PER_USER:
            gevent.sleep(0.01)
    user.stream(user.websocket("intern", token=user.hold_token), user.turn("One more."), expect, name)
    gevent.joinall(holders)


@row(refused(429, "rate_limited"))
def rate_limited(user: Failures, name: str, expect: Expect) -> None:
    """Messages faster than allowed, to no agent at all: the rate is judged before the look-up."""
    path = f"/api/agents/{UNKNOWN_AGENT}/chat"
    driver = user.http(token=user.flood_token)
    for _ in range(3 * RATE_BURST):
        response = driver.request("POST", path, {"message": "Quick!"})
        if response.status != 404:
            break
    user.book_call(response, expect, name)
