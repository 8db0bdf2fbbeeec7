"""A WebSocket that a row speaks by hand: what its driver would never send, and what then comes.

    with told(user, name, expect), line(user, "intern") as wire:
        wire.client.send(frame(BINARY, b"{}"))
        user.outcome(name, expect, wire.rest(told=True))

Where something else comes than the row waits for, the block is left and that is its outcome.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from load.drivers.base import Turn
from load.drivers.dialects.agentchat import TERMINAL, events_of, request
from load.drivers.raw import Answer, RawClient, say
from load.drivers.trace import trace_headers
from load.metrics.events import Sent
from load.metrics.timeline import TerminalState, Timeline
from load.scenarios.expect import Expect, error, refused
from load.scenarios.rows.base import Walker
from load.verdict.reconcile import LEFT, Seen

V1: Final = "agentchat.v1"
LIMIT_NS: Final = 20_000_000_000
"""For all that happens on one line; longer than any row."""
NAMED_FROM: Final = 4000
"""Close codes from here on, and UNSUPPORTED, are the service's own and named by their reason."""
UNSUPPORTED: Final = 1003

UNREACHABLE: Final = Expect(TerminalState.REFUSED, "unreachable")


class Unforeseen(Exception):
    """Something else came than the row waits for. stream_id: where the target's log tells more."""

    def __init__(self, came: Expect) -> None:
        super().__init__(str(came))
        self.came = came
        self.stream_id = "unknown"


class Line:
    """An open connection. v1: whether it speaks `agentchat.v1`. at: arrival of the last message, or of the
    close, monotonic ns. timeline: of the run that was asked for last. heard: what `rest` read."""

    def __init__(self, user: Walker, client: RawClient, correlation_id: str, *, v1: bool) -> None:
        self.client = client
        self.correlation_id = correlation_id
        self.v1 = v1
        self.at = client.began_at
        self.timeline: Timeline | None = None
        self.heard: list[dict[str, Any]] = []
        self._ledger = user.session.ledger

    # -- what comes

    def hear(self) -> dict[str, Any] | None:
        """The next frame but heartbeats; None when the connection is over."""
        while (found := self.client.message()) is not None:
            self.at = self.client.arrived_at
            self._follow(found)
            if found.get("type") != "heartbeat":
                frame: dict[str, Any] = found
                return frame
        self.at = self.client.close_at or self.client.arrived_at
        return None

    def first(self, kind: str) -> dict[str, Any]:
        """The next frame of a type; whatever ends a request, or the connection, before it is unforeseen."""
        while (frame := self.hear()) is not None:
            if frame.get("type") == kind:
                return frame
            if frame.get("type") in TERMINAL:
                raise Unforeseen(self._terminal(frame))
        raise Unforeseen(self._over(None))

    def rest(self, *, told: bool = False) -> Expect:
        """How the connection ends, with the name of the fatal frame before it. told: that frame comes in the
        plain contract, too, since something was sent that is not answered otherwise."""
        fatal: str | None = None
        while (frame := self.hear()) is not None:
            self.heard.append(frame)
            if frame.get("fatal") is True:
                fatal = str(frame["error"].get("code"))
        return self._over(fatal, told=told)

    def _over(self, fatal: str | None, *, told: bool = False) -> Expect:
        client = self.client
        if client.close_code is None:
            return unclosed(client)
        named = client.close_code >= NAMED_FROM or client.close_code == UNSUPPORTED
        reason = client.close_reason if named else None
        if fatal is None and not (self.v1 or told):
            return closed(client.close_code, reason)
        return closed(client.close_code, fatal if fatal == reason else f"{fatal}, reason {reason}")

    def _terminal(self, frame: Mapping[str, Any]) -> Expect:
        if frame["type"] == "error":
            return error(str(frame.get("error", {}).get("code")))
        done = frame["type"] == "done"
        return Expect(TerminalState.DONE if done else TerminalState.CANCELLED, frame.get("reason"))

    # -- runs

    def chat(self, turn: Turn) -> str:
        """Asks, and waits until the run has begun: its id."""
        fields = {"type": "chat", **request(turn.prompt, turn.session_id, turn.extra)}
        timeline = self.timeline = Timeline(turn.limits)
        timeline.take(Sent(self.client.send(say(**fields)), turn.intended_ns, self.correlation_id))
        return str(self.first("started")["execution_id"])

    def answer(self) -> Expect:
        """The rest of the run, to its end."""
        timeline = self.timeline
        assert timeline is not None
        while timeline.state is None:
            if self.hear() is None:
                raise Unforeseen(self._over(None))
        return Expect(timeline.state, timeline.code)

    def _follow(self, frame: Mapping[str, Any]) -> None:
        """Keeps what a frame of a run says of it; reconciliation needs every run."""
        execution_id, timeline = frame.get("execution_id"), self.timeline
        if not isinstance(execution_id, str):
            if frame.get("done") and timeline is not None and timeline.accepted_at is None:
                self.timeline = None  # refused: there is no run
            return
        if timeline is None or timeline.execution_id not in (None, execution_id):
            raise Unforeseen(Expect(TerminalState.BROKEN, "stray"))
        for event in events_of(frame, (self.at, self.at, 1)):
            timeline.take(event)
        seen = LEFT if timeline.state is None else Seen(timeline.state, timeline.code)
        self._ledger.saw(execution_id, seen)

    def left(self) -> None:
        """The row is over: a run that may have begun unseen is told."""
        timeline = self.timeline
        if timeline is not None and timeline.state is None and timeline.execution_id is None:
            self._ledger.abandoned_unseen += 1


@contextmanager
def told(user: Walker, name: str, expect: Expect) -> Iterator[None]:
    """Books what is unforeseen in the block as the outcome of the row."""
    try:
        yield
    except Unforeseen as unforeseen:
        user.outcome(name, expect, unforeseen.came, stream_id=unforeseen.stream_id)
    except OSError:
        user.outcome(name, expect, UNREACHABLE)


@contextmanager
def line(user: Walker, agent: str, *, token: str | None = None) -> Iterator[Line]:
    """An open connection of this row in one of the two contracts, past `ready`; in a `told` block."""
    correlation_id, traced = trace_headers()
    v1 = user.random.random() < 0.5
    offered = {"sec-websocket-protocol": V1} if v1 else {}
    with RawClient.connect(stream_url(user, agent), LIMIT_NS, hear=user.hear) as client:
        wire = Line(user, client, correlation_id, v1=v1)
        client.send(client.handshake({**user.headers(token), **traced, **offered}))
        answer = client.answer()
        try:
            if answer.status != 101:
                raise Unforeseen(answered(answer, client))
            if v1:
                wire.first("ready")
            yield wire
        except Unforeseen as unforeseen:
            unforeseen.stream_id = correlation_id
            raise
        finally:
            wire.left()


def stream_url(user: Walker, agent: str) -> str:
    """Of an agent of the profile, or by id."""
    base = user.session.target_url.rstrip("/").replace("http", "ws", 1)
    return f"{base}/api/agents/{user.session.agents.get(agent, agent)}/stream"


def answered(answer: Answer, client: RawClient) -> Expect:
    """An HTTP answer as an outcome; an open WebSocket is DONE."""
    if answer.status == 0:
        return unclosed(client)
    if answer.status == 101:
        return Expect()
    problem = answer.json()
    return refused(answer.status, problem.get("code") if isinstance(problem, dict) else None)


def unclosed(client: RawClient) -> Expect:
    """Ended without a word, or not at all within LIMIT_NS."""
    state = TerminalState.TIMED_OUT if client.ended == "expired" else TerminalState.CUT_OFF
    return Expect(state, client.ended)


def closed(code: int, name: str | None = None, limit_s: float | None = None) -> Expect:
    """Ended by the target with a close code; name: of the fatal frame before it, or of its reason."""
    return Expect(TerminalState.CUT_OFF, name, code, limit_s)
