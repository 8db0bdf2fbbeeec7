"""The HTTP driver against a server that plays exact bytes."""

from __future__ import annotations

import json
import select
import threading
from typing import Any, Final

import pytest

from integration.instrument.agentchat import LIMITS, end, follow, limits, turn
from integration.instrument.script_server import Peer, Script, ScriptServer
from load.drivers.base import Frame
from load.drivers.http import HttpDriver, Response
from load.errors import InstrumentError
from load.metrics.timeline import Timeline

ANSWER = {"response": "hi", "session_id": "ses_1", "execution_id": "exe_1", "usage": {"completion_tokens": 3}}
BODY = json.dumps(ANSWER).encode()
CLEAN: Final = ("DONE", None, dict[str, int]())


def reply(status: int = 200, body: bytes = BODY, *, head: str = "") -> bytes:
    return f"HTTP/1.1 {status} x\r\ncontent-length: {len(body)}\r\n{head}\r\n".encode() + body


def plays(*parts: bytes, then: str = "gone") -> Script:
    """Takes one request, sends each part with one system call; then the client ends it, or a FIN or RST."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(*parts)
        getattr(peer, then)()

    return script


def driver(server: ScriptServer, **options: Any) -> HttpDriver:
    return HttpDriver(
        f"http://127.0.0.1:{server.port}", {"authorization": "Bearer t"}, LIMITS, "/chat", **options
    )


def ask(*scripts: Script, **fields: Any) -> Timeline:
    """One turn."""
    with ScriptServer(*scripts) as server:
        user = driver(server)
        timeline = follow(user, turn(**fields))
        user.close()
    return timeline


def call(*scripts: Script, body: object = None, headers: dict[str, str] | None = None) -> Response:
    """One request."""
    with ScriptServer(*scripts) as server:
        user = driver(server)
        response = user.request("POST", "/x", body, headers)
        user.close()
    return response


CHUNKED = b"HTTP/1.1 200 x\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "parts",
    [
        [reply()],
        [bytes([byte]) for byte in reply()],
        [b"HTTP/1.1 100 Continue\r\n\r\n", reply()],
        [b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + reply()],
        [CHUNKED, b"5\r\n" + BODY[:5] + b"\r\n", b"%x\r\n" % len(BODY[5:]) + BODY[5:] + b"\r\n0\r\n\r\n"],
        [CHUNKED + b"%x;why=not\r\n" % len(BODY) + BODY + b"\r\n0\r\nx-trailer: 1\r\n\r\n"],
    ],
    ids=[
        "sized",
        "every byte its own segment",
        "100 before it",
        "103 before it",
        "chunked",
        "with a trailer",
    ],
)
def test_an_answer_is_done(parts: list[bytes]) -> None:
    """However its body is delimited."""
    timeline = ask(plays(*parts))

    assert (end(timeline), timeline.text, timeline.execution_id, timeline.tokens) == (CLEAN, "hi", "exe_1", 3)


def test_an_answer_ends_with_its_connection() -> None:
    """Without a length it is complete when nothing more comes."""
    assert end(ask(plays(b"HTTP/1.0 200 x\r\n\r\n" + BODY, then="fin"))) == CLEAN


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"{}",
        json.dumps({**ANSWER, "response": 1}).encode(),
        json.dumps({**ANSWER, "session_id": None}).encode(),
        b"\xff",
    ],
    ids=["no JSON", "no object", "no fields", "a number for a text", "no session", "no UTF-8"],
)
def test_an_answer_that_breaks_the_contract_is_broken(body: bytes) -> None:
    """A 200 is not enough."""
    assert end(ask(plays(reply(body=body)))) == ("BROKEN", "text", {"text": 1})


def test_a_known_answer_is_compared() -> None:
    """Where it is known what must be said."""
    assert end(ask(plays(reply()), expected_text="ho")) == ("BROKEN", "text", {"text": 1})


def test_a_request_is_refused() -> None:
    """Status, code and the deadline it tells."""
    problem = b'{"code": "first_token_timeout", "limit_ms": 1500, "elapsed_ms": 1501}'
    timeline = ask(plays(reply(504, problem)))

    assert (end(timeline)[:2], timeline.status) == (("REFUSED", "first_token_timeout"), 504)
    assert (timeline.limit_ms, timeline.elapsed_ms) == (1500, 1501)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (plays(reply()[:-3], then="fin"), ("CUT_OFF", "fin", {})),
        (plays(reply()[:-3], then="reset"), ("CUT_OFF", "reset", {})),
        (plays(then="fin"), ("CUT_OFF", "fin", {})),
        (plays(b"SSH-2.0\r\n"), ("CUT_OFF", "protocol", {})),
        (plays(b"HTTP/1.1 101 x\r\nconnection: upgrade\r\nupgrade: y\r\n\r\n"), ("CUT_OFF", "protocol", {})),
    ],
    ids=["a FIN", "a reset", "no answer", "no HTTP", "an upgrade"],
)
def test_an_answer_is_cut_off(script: Script, expected: object) -> None:
    """It began, or the request was sent."""
    assert end(ask(script)) == expected


def test_nothing_listens() -> None:
    """The port of a server that is gone."""
    with ScriptServer() as server:
        pass

    assert end(follow(driver(server))) == ("REFUSED", "unreachable", {})


@pytest.mark.parametrize(
    ("parts", "clock", "changes"),
    [
        ([], "accept", {"accept_ns": 80}),
        ([reply()[:-3]], "total", {"accept_ns": 5_000, "total_ns": 80}),
        ([], "total", {"total_ns": 80}),
    ],
    ids=["no headers", "no end", "no headers, by the total"],
)
def test_a_limit_expires(parts: list[bytes], clock: str, changes: dict[str, int]) -> None:
    """Headers have one of their own."""
    assert end(ask(plays(*parts), limits=limits(**changes))) == ("TIMED_OUT", clock, {})


def test_requests_share_a_connection() -> None:
    """As long as the server keeps it; each request has ids of its own."""
    seen: list[tuple[str, str, bytes]] = []

    def script(peer: Peer) -> None:
        for _ in range(3):
            first, headers, body = peer.request()
            seen.append((first, headers["x-correlation-id"], body))
            peer.send(reply())
        peer.gone()

    with ScriptServer(script) as server:
        user = driver(server)
        timelines = [follow(user, turn("a", session_id="s", extra={"action": "b"})), follow(user, turn("c"))]
        user.request("DELETE", "/api/x?y=1")
        user.close()

    assert [(first, body) for first, _, body in seen] == [
        ("POST /chat HTTP/1.1", b'{"message":"a","session_id":"s","action":"b"}'),
        ("POST /chat HTTP/1.1", b'{"message":"c"}'),
        ("DELETE /api/x?y=1 HTTP/1.1", b""),
    ]
    assert [one.handshake_ns is None for one in timelines] == [False, True]
    assert [one.correlation_id for one in timelines] == [number for _, number, _ in seen[:2]]


@pytest.mark.parametrize("then", ["fin", "reset"])
def test_a_connection_that_was_closed_meanwhile_is_replaced(then: str) -> None:
    """No request is lost with it."""
    answered = threading.Event()

    def first(peer: Peer) -> None:
        peer.request()
        peer.send(reply())
        assert answered.wait(5)
        getattr(peer, then)()

    with ScriptServer(first, plays(reply())) as server:
        user = driver(server)
        ends = [end(follow(user))]
        answered.set()
        assert user.connection.wire is not None
        assert select.select([user.connection.wire.sock], [], [], 5)[0]
        ends.append(end(follow(user)))
        user.close()

    assert ends == [CLEAN, CLEAN]


def test_a_connection_that_will_be_closed_is_not_used_again() -> None:
    """The server said so."""
    closing = plays(reply(head="connection: close\r\n"))
    with ScriptServer(closing, plays(reply())) as server:
        user = driver(server)
        ends = [end(follow(user)), end(follow(user))]
        user.close()

    assert ends == [CLEAN, CLEAN]


def test_a_response() -> None:
    """Status, headers by their name in lower case, body and times."""
    response = call(plays(reply(201, b'{"id": 1}', head="Location: /x/1\r\n")), body={"a": 1})

    assert (response.status, response.headers["location"], response.json(), response.code) == (
        201,
        "/x/1",
        {"id": 1},
        None,
    )
    assert response.headers_ns is not None
    assert response.sent_ns <= response.headers_ns <= response.done_ns


def test_headers_of_an_interim_answer_are_forgotten() -> None:
    """They are not those of the answer."""
    response = call(plays(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + reply()))

    assert dict(response.headers) == {"content-length": str(len(BODY))}


def test_a_response_has_the_code_of_its_problem() -> None:
    """RFC 9457 with our member."""
    assert call(plays(reply(422, b'{"code": "invalid_request"}'))).code == "invalid_request"


def test_a_response_may_be_no_json() -> None:
    """Then it has no object."""
    assert call(plays(reply(200, b"<html>"))).json() is None


@pytest.mark.parametrize(
    ("script", "code"),
    [(plays(then="fin"), "fin"), (plays(then="reset"), "reset"), (plays(b"?\r\n"), "protocol")],
)
def test_a_request_without_an_answer_says_why(script: Script, code: str) -> None:
    """Status 0."""
    response = call(script)

    assert (response.status, response.code) == (0, code)


def test_a_request_to_nobody_says_why() -> None:
    """Status 0, no id: nothing was sent."""
    with ScriptServer() as server:
        pass
    response = driver(server).request("GET", "/")

    assert (response.status, response.code, response.correlation_id) == (0, "unreachable", "")


def test_a_request_that_expires_says_which_clock() -> None:
    """One of our own limits."""
    with ScriptServer(plays()) as server:
        user = HttpDriver(f"http://127.0.0.1:{server.port}", {}, limits(accept_ns=80))
        response = user.request("GET", "/")

    assert (response.status, response.code) == (0, "accept")


@pytest.mark.parametrize(
    ("body", "sent"), [(b"{broken", b"{broken"), ({"a": "é"}, '{"a":"é"}'.encode()), (None, b""), ([], b"[]")]
)
def test_bodies(body: object, sent: bytes) -> None:
    """Bytes go out as they are, all else as JSON."""
    seen: list[bytes] = []

    def script(peer: Peer) -> None:
        seen.append(peer.request()[2])
        peer.send(reply())
        peer.gone()

    call(script, body=body)

    assert seen == [sent]


def test_headers_can_be_replaced() -> None:
    """Those of one request win over those of the user."""
    seen: list[dict[str, str]] = []

    def script(peer: Peer) -> None:
        seen.append(peer.request()[1])
        peer.send(reply())
        peer.gone()

    call(script, body=b"", headers={"authorization": "Bearer other", "content-type": "text/plain"})

    assert (seen[0]["authorization"], seen[0]["content-type"], seen[0]["content-length"]) == (
        "Bearer other",
        "text/plain",
        "0",
    )


def test_names_can_be_left_out() -> None:
    """For a server that must not see them; the base address may have a path."""
    seen: list[tuple[str, bool]] = []

    def script(peer: Peer) -> None:
        first, headers, _ = peer.request()
        seen.append((first, "traceparent" in headers))
        peer.send(reply())
        peer.gone()

    with ScriptServer(script) as server:
        user = HttpDriver(f"http://127.0.0.1:{server.port}/base/", {}, LIMITS, trace=False)
        response = user.request("GET", "/x")
        user.close()

    assert (seen, response.correlation_id) == ([("GET /base/x HTTP/1.1", False)], "")


def test_what_is_no_json_is_a_defect_of_ours() -> None:
    """A body that nobody could send."""
    with ScriptServer() as server:
        pass
    with pytest.raises(InstrumentError, match="no JSON"):
        driver(server).request("POST", "/", {1, 2})


def test_frames_are_recorded() -> None:
    """Request body, status and answer; never the head, which holds a credential."""
    recorded: list[Frame] = []
    ask(plays(reply()), recorder=recorded)

    assert [(way, data) for _, way, data in recorded] == [
        ("sent", b'{"message":"Hello?"}'),
        ("received", b"200 " + BODY),
    ]


def test_opening_prevents_nothing() -> None:
    """The first request connects."""
    with ScriptServer() as server:
        pass

    assert driver(server).open() is None
