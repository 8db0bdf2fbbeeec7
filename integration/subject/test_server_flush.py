"""backend/server.py: bytes that are still to be sent when the server ends."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import anyio
import pytest

from backend.server import _Config, _DrainingServer

pytestmark = pytest.mark.anyio


async def test_whoever_takes_nothing_is_dropped_after_a_moment() -> None:
    """The wait has one limit of 400 ms for all; who took his bytes by then is left alone."""
    left_s: list[float] = []
    aborted: list[str] = []

    def slow() -> int:
        left_s.append(anyio.current_effective_deadline() - anyio.current_time())
        return 1

    def transport(name: str, size: Any) -> Any:
        return SimpleNamespace(
            transport=SimpleNamespace(get_write_buffer_size=size, abort=lambda: aborted.append(name))
        )

    server = _DrainingServer(_Config(cast(Any, None)))
    server.server_state.connections = cast(Any, [transport("slow", slow), transport("done", lambda: 0)])
    await server._flush()  # noqa: SLF001 - what comes before it needs a whole server

    assert aborted == ["slow"]
    assert left_s[0] <= 0.401
