"""backend/providers/openai.py: how long an answer that is whole may keep its connection."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import Any, cast

import anyio
import pytest

from backend.providers.openai import _Stream

pytestmark = pytest.mark.anyio


async def test_the_end_of_the_body_is_awaited_for_a_moment() -> None:
    """Behind the end mark the client is kept waiting for 50 ms at most."""
    left_s: list[float] = []

    async def reads() -> AsyncGenerator[bytes, None]:
        yield b"data: [DONE]\n\n"
        left_s.append(anyio.current_effective_deadline() - anyio.current_time())

    response = cast(Any, SimpleNamespace(content=SimpleNamespace(iter_any=reads)))
    chunks = [chunk async for chunk in _Stream(response, 1000).chunks()]

    assert chunks == []
    assert [one <= 0.051 for one in left_s] == [True]
