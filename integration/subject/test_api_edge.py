"""backend/api/edge.py: requests that end in another way than by an answer."""

from __future__ import annotations

import logging

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from backend.api.edge import Edge
from backend.errors import ErrorCode, Problem

pytestmark = pytest.mark.anyio

SCOPE: Scope = {
    "type": "http",
    "http_version": "1.1",
    "method": "GET",
    "path": "/",
    "headers": [(b"host", b"x")],
}


async def nothing() -> Message:
    return {"type": "http.disconnect"}


async def test_a_problem_behind_the_beginning_breaks_the_answer() -> None:
    """There is no second status; the server is handed the problem, and with it the connection's end."""
    sent: list[str] = []

    async def send(message: Message) -> None:
        sent.append(message["type"])

    async def begins_and_fails(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise Problem(ErrorCode.INTERNAL)

    with pytest.raises(Problem):
        await Edge(begins_and_fails)(SCOPE, nothing, send)

    assert sent == ["http.response.start"]


async def test_a_client_that_left_is_no_error_of_the_service(caplog: pytest.LogCaptureFixture) -> None:
    """C10: the access log says 499, and nothing is sent any more."""
    sent: list[str] = []

    async def send(message: Message) -> None:
        sent.append(message["type"])

    async def left(scope: Scope, receive: Receive, send: Send) -> None:
        raise ClientDisconnect

    with caplog.at_level(logging.INFO):
        await Edge(left)(SCOPE, nothing, send)

    assert [vars(record)["status"] for record in caplog.records if record.message == "http_request"] == [499]
    assert sent == []
