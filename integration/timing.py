"""Durations of tests, and how they wait: always for something, never for a time to pass."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TypeVar

import anyio

T = TypeVar("T")

SCALE = float(os.environ.get("STREAMGAUGE_TIME_SCALE", "1"))
"""Stretches every margin on a machine that is slower than a shared two-core one."""

MS = 0.001 * SCALE
PATIENCE_S = 10.0 * SCALE
"""How long a test waits for what must come. It decides how late a broken test ends, nothing else."""

POLL_S = 0.01


def eventually(look: Callable[[], T], what: str, within_s: float = PATIENCE_S) -> T:
    """The first true value that `look` gives; AssertionError that names `what` when there is none in time."""
    deadline = time.monotonic() + within_s
    while True:
        seen = look()
        if seen:
            return seen
        assert time.monotonic() < deadline, (
            f"{what} did not happen within {within_s:g} s; last seen: {seen!r}"
        )
        time.sleep(POLL_S)


async def eventually_async(look: Callable[[], T], what: str, within_s: float = PATIENCE_S) -> T:
    """As `eventually`, for a test whose other tasks go on meanwhile."""
    deadline = time.monotonic() + within_s
    while True:
        seen = look()
        if seen:
            return seen
        assert time.monotonic() < deadline, (
            f"{what} did not happen within {within_s:g} s; last seen: {seen!r}"
        )
        await anyio.sleep(POLL_S)
