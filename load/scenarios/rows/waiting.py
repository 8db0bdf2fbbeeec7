"""Rows C: a client that waits for a plain answer and leaves or is left, and one that never reads."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

import gevent
import orjson

from load.drivers.raw import RawClient, say
from load.metrics.timeline import TerminalState
from load.scenarios.expect import Expect, refused
from load.scenarios.rows.base import Walker, row
from load.scenarios.rows.repeated import request_id
from load.scenarios.rows.runs import beside, by_request, ended, stored_outcome
from load.verdict.reconcile import LEFT

RAW_LIMIT_NS: Final = 10_000_000_000
NARROW_BYTES: Final = 4096
SLOW: Final = Expect(TerminalState.CANCELLED, "slow_consumer")
CLIENT_LEFT: Final = Expect(TerminalState.CANCELLED, "client_disconnected")


def unseen(user: Walker, agent: str, own: str, token: str) -> str | None:
    """The run of a request whose answer nobody reads; for the comparison at the end it is known as left."""
    try:
        execution_id = by_request(user, agent, own, token)
    except gevent.GreenletExit:
        user.session.ledger.abandoned_unseen += 1
        raise
    if execution_id is not None:
        user.session.ledger.saw(execution_id, LEFT)
    return execution_id


def posted(user: Walker, agent: str, token: str, body: dict[str, object]) -> bytes:
    """A chat as the bytes of a request."""
    data = orjson.dumps(body)
    lines = [
        f"POST /api/agents/{user.agent(agent)}/chat HTTP/1.1",
        f"host: {urlsplit(user.session.target_url).netloc}",
        "content-type: application/json",
        f"content-length: {len(data)}",
        *(f"{name}: {value}" for name, value in user.headers(token).items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + data


@row("C10", CLIENT_LEFT, "endless", lasts_s=1.5)
def http_hangs_up(user: Walker, name: str, expect: Expect) -> None:
    """A client that does not wait for its answer to the end: the run ends, too."""
    token, own = user.hold_token, request_id(user)
    with RawClient.connect(user.session.target_url, RAW_LIMIT_NS) as client:
        client.send(
            posted(user, "endless", token, {"message": user.turn("Never mind.").prompt, "request_id": own})
        )
        execution_id = unseen(user, "endless", own, token)
        if user.random.random() < 0.5:
            client.reset()
    user.outcome(name, expect, stored_outcome(ended(user, execution_id, token)))


@row("C10", refused(409, "cancelled"), "endless", lasts_s=1.5)
def http_cancelled(user: Walker, name: str, expect: Expect) -> None:
    """A request from elsewhere cancels what another one waits for."""
    token, own = user.hold_token, request_id(user)
    turn = user.turn("Take your time.", extra={"request_id": own})
    with beside(lambda: user.stream(user.http("endless", token=token), turn, expect, name)):
        execution_id = by_request(user, "endless", own, token)
        user.http(token=token).request("POST", f"/api/executions/{execution_id}/cancel")


@row("C11", SLOW, "torrential", lasts_s=4.5)
def slow_reader(user: Walker, name: str, expect: Expect) -> None:
    """A WebSocket whose client never reads: it is given up on, and so is its run."""
    token, own = user.hold_token, request_id(user)
    url = user.websocket("torrential").url
    with RawClient.connect(url, RAW_LIMIT_NS, NARROW_BYTES, hear=user.hear) as client:
        client.send(client.handshake(user.headers(token)))
        client.answer()
        client.send(say(type="chat", message=user.turn("All of it.").prompt, request_id=own))
        given_up(user, name, expect, (own, token), client)


@row("C11", SLOW, "torrential", lasts_s=4.5)
def slow_events_reader(user: Walker, name: str, expect: Expect) -> None:
    """The same with server-sent events."""
    token, own = user.hold_token, request_id(user)
    body = {"message": user.turn("All of it.").prompt, "request_id": own, "stream": True}
    with RawClient.connect(user.session.target_url, RAW_LIMIT_NS, receive_buffer=NARROW_BYTES) as client:
        client.send(posted(user, "torrential", token, body))
        given_up(user, name, expect, (own, token), client)


def given_up(user: Walker, name: str, expect: Expect, own: tuple[str, str], client: RawClient) -> None:
    """Waits, without reading, until the run has ended; then the connection has ended, too. own: the id of
    its request, and the token."""
    execution_id = unseen(user, "torrential", *own)
    found = ended(user, execution_id, own[1])
    user.outcome(name, expect, stored_outcome(found), stream_id=str(execution_id))
    client.read_to_end()
    if client.ended == "expired":
        user.unexpected(name, expect, "still connected")
