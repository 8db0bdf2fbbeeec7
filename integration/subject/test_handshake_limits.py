"""Handshakes that are malformed, too large, too slow or one too many: rows H9 to H13, H15."""

from __future__ import annotations

import socket
import time
from contextlib import AsyncExitStack

import anyio
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from integration.clocks import Clocks
from integration.subject.clients import Agent, Caller, Service, answer_of, say
from integration.subject.stage import RawClient
from integration.timing import PATIENCE_S

pytestmark = pytest.mark.anyio

CONNECTIONS_OF_A_USER = 8
CONNECTIONS_OF_THE_PROCESS = 3


def raw_answer(service: Service, request: bytes) -> bytes:
    """All that the server sends to these bytes until it closes."""
    with RawClient(service) as client:
        client.socket.sendall(request)
        return to_the_end(client.socket)


def to_the_end(wire: socket.socket) -> bytes:
    received = b""
    while part := wire.recv(65_536):
        received += part
    return received


def handshake(service: Service, agent: Agent, user: Caller, *more: str, without: str = "") -> bytes:
    """A handshake, byte by byte: lines of `more` are added, the header named `without` is left out."""
    lines = [
        f"Host: {service.target.url.removeprefix('http://')}",
        f"Authorization: Bearer {user.person.token}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ]
    kept = [line for line in lines if not without or not line.startswith(without)]
    head = [f"GET /api/agents/{agent.id}/stream HTTP/1.1", *kept, *more]
    return ("\r\n".join(head) + "\r\n\r\n").encode()


async def test_H9_connections_of_a_user_are_429(service: Service, user: Caller, quick: Agent) -> None:
    """The ninth connection of a user is refused; another user and the eight are not concerned."""
    async with AsyncExitStack() as stack:
        held = [
            await stack.enter_async_context(service.connect(quick, user.person))
            for _ in range(CONNECTIONS_OF_A_USER)
        ]
        status, problem, headers = await service.refusal(quick, user.person)
        await say(held[0], message="Hello")
        frames = await answer_of(held[0])
        other = await service.converse(quick, service.person())

    assert status == 429
    assert problem["code"] == "connection_limit"
    assert problem["retryable"] is True
    assert headers["Retry-After"] == "1"
    assert frames[-1]["type"] == "done"
    assert other[-1]["type"] == "done"
    assert len(service.runs_of(user.person)) == 1
    await served_again(service, quick, user)


async def served_again(service: Service, agent: Agent, user: Caller) -> None:
    """A connection that has closed makes room, as soon as the server has seen it."""
    with anyio.fail_after(PATIENCE_S):
        while True:
            try:
                frames = await service.converse(agent, user.person)
            except InvalidStatus:
                await anyio.sleep(0.02)
            else:
                break
    assert frames[-1]["type"] == "done"


async def test_H9_connections_of_the_process_are_503(narrow: Service) -> None:
    """The fourth connection of a server with room for three is refused, whoever asks."""
    agent = narrow.demo["AUTONOMOUS"]
    async with AsyncExitStack() as stack:
        for _ in range(CONNECTIONS_OF_THE_PROCESS):
            await stack.enter_async_context(narrow.connect(agent, narrow.person()))
        status, problem, headers = await narrow.refusal(agent, narrow.person())
        ready = narrow.http.get("/health/ready")

    assert status == 503
    assert problem["code"] == "capacity"
    assert problem["retryable"] is True
    assert headers["Retry-After"] == "1"
    assert ready.json()["connection_cap"] == CONNECTIONS_OF_THE_PROCESS
    await served_again(narrow, agent, narrow.caller())


async def test_H11_plain_get_is_426(service: Service, user: Caller, quick: Agent) -> None:
    """The path speaks WebSocket only, and says so."""
    response = user.get(f"/api/agents/{quick.id}/stream")

    assert response.status_code == 426
    assert response.json()["code"] == "upgrade_required"
    assert response.headers["Upgrade"] == "websocket"
    assert (await service.converse(quick, user.person))[-1]["type"] == "done"


@pytest.mark.parametrize(
    ("left_out", "put_in"),
    [
        pytest.param("Sec-WebSocket-Version", "Sec-WebSocket-Version: 12", id="version 12"),
        pytest.param("Sec-WebSocket-Key", "Sec-WebSocket-Key: short", id="bad key"),
        pytest.param("Sec-WebSocket-Key", "X-Nothing: 1", id="no key"),
    ],
)
async def test_H11_bad_handshake_is_a_bare_error_of_the_library(
    service: Service, user: Caller, quick: Agent, left_out: str, put_in: str
) -> None:
    """What is no handshake never reaches the application."""
    answer = raw_answer(service, handshake(service, quick, user, put_in, without=left_out))

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"problem+json" not in answer
    assert service.runs_of(user.person) == []
    assert (await service.converse(quick, user.person))[-1]["type"] == "done"


async def test_H12_headers_that_never_finish_are_408(impatient: Service, clocks: Clocks) -> None:
    """No byte, half a line, half a header: after the timeout a bare 408 and the end; others are served."""
    agent, user = impatient.agent(), impatient.person()
    answers: list[bytes] = []

    def wait(sent: bytes) -> None:
        begun = time.monotonic()
        with RawClient(impatient) as client:
            client.socket.sendall(sent)
            answers.append(to_the_end(client.socket))
            clocks.fired("headers", 1000, round((time.monotonic() - begun) * 1000))

    async with anyio.create_task_group() as tasks:
        for sent in (b"", b"GET /api/ag", b"GET /api/agents HTTP/1.1\r\nHost: x\r\nX-Half: "):
            tasks.start_soon(anyio.to_thread.run_sync, wait, sent)
        served = (await impatient.converse(agent, user))[-1]

    assert len(answers) == 3
    for answer in answers:
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert answer.endswith(b"\r\n\r\n")
    assert served["type"] == "done"


@pytest.mark.parametrize(
    "more",
    [
        pytest.param(("X-Long: " + "x" * 8192,), id="a line of 8 KiB"),
        pytest.param(tuple(f"X-{n}: 1" for n in range(128)), id="128 headers"),
    ],
)
async def test_H13_handshake_with_too_large_headers_is_431_at_once(
    service: Service, user: Caller, quick: Agent, more: tuple[str, ...]
) -> None:
    """The client is told, and does not hang."""
    begun = time.monotonic()
    answer = raw_answer(service, handshake(service, quick, user, *more))
    took_s = time.monotonic() - begun

    assert answer.startswith(b"HTTP/1.1 431 ")
    assert took_s < 5  # far below the header timeout of 10 s
    assert (await service.converse(quick, user.person))[-1]["type"] == "done"


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"X-Long": "x" * 65_537}, id="64 KiB"),
        pytest.param({"X-Long": "x" * 1_000_000}, id="1 MB"),
        pytest.param({f"X-{n}": "1" for n in range(129)}, id="129 headers"),
        pytest.param({f"X-{n}": "1" for n in range(10_000)}, id="10,000 headers"),
    ],
)
async def test_H13_plain_request_with_too_large_headers_is_431(
    service: Service, user: Caller, quick: Agent, headers: dict[str, str]
) -> None:
    """Over plain HTTP the refusal is a problem."""
    response = user.get("/api/agents", headers=headers)

    assert response.status_code == 431
    assert response.json()["code"] == "headers_too_large"
    assert (await service.converse(quick, user.person))[-1]["type"] == "done"


@pytest.mark.parametrize("path", ["/", "/api/agents", "/api/stream", "/api/agents/a/b/stream"])
async def test_H15_unknown_websocket_path_is_404(
    service: Service, user: Caller, quick: Agent, path: str
) -> None:
    """An unknown path is 404 with a problem, not the bare 403 of a close before accept."""
    address = f"ws{service.target.url.removeprefix('http')}{path}"
    headers = {"Authorization": f"Bearer {user.person.token}"}
    with pytest.raises(InvalidStatus) as refused:
        async with connect(address, additional_headers=headers, proxy=None):
            raise AssertionError("there is no such path")

    answer = refused.value.response
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert b'"code":"not_found"' in (answer.body or b"")
    assert (await service.converse(quick, user.person))[-1]["type"] == "done"
