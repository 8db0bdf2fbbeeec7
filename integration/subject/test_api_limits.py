"""backend/api/limits.py: how long a part of a body may take."""

from __future__ import annotations

import anyio
import pytest
from starlette.types import Message, Receive, Scope, Send

from backend.api.limits import BodyLimit
from backend.settings import load_settings

pytestmark = pytest.mark.anyio

LIMIT_S = 60.0


async def test_a_body_has_one_limit_for_all_its_parts() -> None:
    """The second part has what the first has left, and no part has more than was set."""
    left_s: list[float] = []

    async def receive() -> Message:
        left_s.append(anyio.current_effective_deadline() - anyio.current_time())
        await anyio.sleep(0.05)
        return {"type": "http.request", "body": b"x", "more_body": len(left_s) < 2}

    async def send(message: Message) -> None:
        raise AssertionError

    async def read(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await receive()

    settings = load_settings().model_copy(update={"http_body_timeout": LIMIT_S})
    await BodyLimit(read, settings)({"type": "http", "headers": []}, receive, send)

    # A process that stands still for half a minute would still be told from twice the limit.
    assert [LIMIT_S * 0.5 < one < LIMIT_S * 1.5 for one in left_s] == [True, True]
    assert left_s[1] < left_s[0]
