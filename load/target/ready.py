"""Waits until a started target answers, and gives its URL."""

from __future__ import annotations

import http.client
import time
from urllib.parse import urlsplit

from load.errors import TargetDown, UsageError
from load.target.child import POLL_S, Child
from load.target.config import TargetConfig

PROBE_TIMEOUT_S = 2.0
CANNOT = 64
"""`inside.py` says with it that the request itself is wrong."""


def wait_ready(child: Child, config: TargetConfig) -> str:
    """The URL of the target once it answers its ready path with 200."""
    deadline = time.monotonic() + config.ready_timeout_s
    try:
        url = str(child.ready_line(config.ready_timeout_s)["listening"]).rstrip("/")
        if config.ready is not None:
            await_answer(child, config, url, deadline)
    except TargetDown as down:
        death = child.death()
        if death is not None and death.returncode == CANNOT:
            raise UsageError(death.log_tail[-1] if death.log_tail else str(down)) from down
        raise
    child.mark_ready()
    return url


def wait_listening(child: Child, config: TargetConfig, port: int) -> str:
    """The same for a command that says nothing: it was told its port."""
    url = f"http://127.0.0.1:{port}"
    await_answer(child, config, url, time.monotonic() + config.ready_timeout_s)
    child.mark_ready()
    return url


def await_answer(child: Child, config: TargetConfig, url: str, deadline: float) -> None:
    """Polls the ready path until it says 200; without one, until anything is answered."""
    path = config.ready or "/"
    while True:
        answer = probe(url, path)
        if answer == 200 or (config.ready is None and isinstance(answer, int)):
            return
        if child.death() is not None:
            raise child.down("ended")
        if time.monotonic() >= deadline:
            raise child.down(f"answered GET {path} with {answer} for {config.ready_timeout_s:g} s")
        time.sleep(POLL_S)


def probe(url: str, path: str) -> int | str:
    """Status of one GET that carries the self-check label, or what went wrong."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=PROBE_TIMEOUT_S)
    try:
        connection.request("GET", path, headers={"x-load-scenario": "selfcheck"})
        response = connection.getresponse()
        response.read()
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__
    else:
        return response.status
    finally:
        connection.close()
