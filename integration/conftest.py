"""What every part of the suite shares."""

from __future__ import annotations

import pytest

pytest_plugins = ["integration.covered", "integration.rows", "integration.clocks"]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Asynchronous tests run on asyncio, as the backend and the WebSocket client do."""
    return "asyncio"
