"""HTTP as bytes: what is no HTTP, and what never ends: rows L16, L17."""

from __future__ import annotations

import json
import time

import pytest

from integration.clocks import Clocks
from integration.subject.clients import Agent, Caller, Service
from integration.subject.stage import RawClient


def to_the_end(client: RawClient) -> bytes:
    received = b""
    while part := client.socket.recv(65_536):
        received += part
    return received


def answer_to(service: Service, sent: bytes) -> bytes:
    """All that comes back until the server closes."""
    with RawClient(service) as client:
        client.socket.sendall(sent)
        return to_the_end(client)


def problem_in(answer: bytes) -> dict[str, object]:
    body: dict[str, object] = json.loads(answer.partition(b"\r\n\r\n")[2])
    return body


def chat_head(user: Caller, agent: Agent, *more: str) -> bytes:
    lines = [
        f"POST /api/agents/{agent.id}/chat HTTP/1.1",
        f"Authorization: Bearer {user.person.token}",
        "Content-Type: application/json",
        *more,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


@pytest.mark.parametrize("framing", ["Content-Length: 1000", "Transfer-Encoding: chunked"])
def test_L16_body_that_never_ends_is_408(impatient: Service, clocks: Clocks, framing: str) -> None:
    """After the body timeout a problem and the end of the connection, with or without a length."""
    agent, user = impatient.agent(), impatient.caller()
    with RawClient(impatient) as client:
        begun = time.monotonic()
        part = b'{"message": ' if "Length" in framing else b'c\r\n{"message": \r\n'
        client.socket.sendall(chat_head(user, agent, "Host: x", framing) + part)
        served = user.chat(agent, max_tokens=1)
        answer = to_the_end(client)
        took_ms = (time.monotonic() - begun) * 1000

    assert answer.startswith(b"HTTP/1.1 408 ")
    problem = problem_in(answer)
    assert problem["code"] == "request_timeout"
    assert problem["retryable"] is True
    assert problem["limit_ms"] == 1000
    assert isinstance(problem["elapsed_ms"], int)
    clocks.fired("body", 1000, problem["elapsed_ms"])
    assert took_ms >= 999
    assert served.status_code == 200
    assert len(impatient.runs_of(user.person)) == 1


def test_L17_no_host_is_400(service: Service, user: Caller, quick: Agent) -> None:
    """HTTP/1.1 without `Host` is refused with a problem, before the token is looked at."""
    answer = answer_to(service, b"GET /api/agents HTTP/1.1\r\nConnection: close\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert problem_in(answer)["code"] == "invalid_request"
    assert user.chat(quick).status_code == 200


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"GET /api/agents\r\n\r\n", id="without version"),
        pytest.param(
            b"GET /api/agents HTTP/0.9\r\nHost: x\r\nConnection: close\r\n\r\n", id="HTTP/0.9 by name"
        ),
    ],
)
def test_L17_http_0_9_is_400(service: Service, user: Caller, quick: Agent, sent: bytes) -> None:
    """A protocol without headers cannot carry a token."""
    answer = answer_to(service, sent)

    assert b" 400 " in answer.partition(b"\r\n")[0]
    assert user.chat(quick).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(("Content-Length: 20", "Transfer-Encoding: chunked"), id="length and chunks"),
        pytest.param(("Content-Length: 20", "Content-Length: 21"), id="two lengths"),
        pytest.param(("Content-Length: -1",), id="negative length"),
        pytest.param(("Content-Length: 1e1",), id="length that is no number"),
        pytest.param(("Bad Header: 1", "Content-Length: 0"), id="blank in a name"),
    ],
)
def test_L17_conflicting_lengths_are_a_bare_400(
    service: Service, user: Caller, quick: Agent, headers: tuple[str, ...]
) -> None:
    """What could smuggle a second request is refused by the library, and the connection ends."""
    smuggled = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = answer_to(service, chat_head(user, quick, "Host: x", *headers) + smuggled)

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert service.runs_of(user.person) == []
    assert user.chat(quick).status_code == 200


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"GET /api/agents HTTP/1.1\nHost: x\n\n", id="bare LF"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 32, id="TLS hello"),
        pytest.param(b"\x00" * 64, id="zeros"),
        pytest.param(b"HELLO\r\n\r\n", id="no HTTP"),
    ],
)
def test_L17_what_is_no_http_is_a_bare_400(service: Service, user: Caller, quick: Agent, sent: bytes) -> None:
    """Bytes that are no request end the connection."""
    answer = answer_to(service, sent)

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert user.chat(quick).status_code == 200


@pytest.mark.parametrize("pause", [b"", b"GET /api/agen"])
def test_client_that_leaves_in_the_middle_of_a_request(
    service: Service, user: Caller, quick: Agent, pause: bytes
) -> None:
    """Half a request and a reset harm nobody."""
    with RawClient(service) as client:
        client.socket.sendall(pause)
        client.reset()

    assert user.chat(quick).status_code == 200
