"""backend/server.py: applications whose start fails in one of three ways."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
from backend.server import make_server
from backend.settings import StartupRefused, load_settings

async def app(scope, receive, send):
    await receive()
    {end}

make_server(app, load_settings()).run()
"""
TELLS = 'await send({"type": "lifespan.startup.failed", "message": ""})'
UVICORN_STARTUP_FAILURE = 3


@pytest.mark.parametrize(
    ("end", "status", "said"),
    [
        pytest.param("raise StartupRefused('not today')", 78, ["not today"], id="refused"),
        pytest.param("raise KeyError", 78, ["start: unexpected error, see the log"], id="broken"),
        # There is no reason that could be printed.
        pytest.param(TELLS, UVICORN_STARTUP_FAILURE, [], id="told"),
    ],
)
def test_a_start_that_fails_is_no_start(end: str, status: int, said: list[str]) -> None:
    """Also of an application that says nothing to the server before it raises."""
    program = PROGRAM.format(end=end)

    ran = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "BACKEND_PORT": "0"},
        capture_output=True,
        text=True,
        timeout=30,
    )

    assert ran.returncode == status
    assert [line for line in ran.stdout.splitlines() if "listening" in line] == []
    assert ran.stderr.splitlines()[-1:] == said
