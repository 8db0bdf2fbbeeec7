"""A generator whose core two busy processes use too, and are preferred there, once the target runs."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Final

from locust import events

from load.plugin import install
from load.scenarios.chat import ChatHttp, ChatSse, ChatWs

__all__ = ["ChatHttp", "ChatSse", "ChatWs"]

OTHERS: Final = 2
LESS: Final = 10
"""By so much nicer than they are, it gets about a twentieth of the core."""
BUSY: Final = """
import os, sys, time
parent, until = int(sys.argv[1]), time.monotonic() + 60
while os.getppid() == parent and time.monotonic() < until:
    sum(range(10_000))
"""
busy: list[subprocess.Popen[bytes]] = []


def crowd(**kwargs: object) -> None:
    """The target has been started, and keeps all cores."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    busy.extend(subprocess.Popen([sys.executable, "-c", BUSY, str(os.getpid())]) for _ in range(OTHERS))
    os.nice(LESS)


def leave(**_: object) -> None:
    """The report is not what is looked at."""
    while busy:
        busy.pop().kill()


install()
events.test_start.add_listener(crowd)
events.test_stopping.add_listener(leave)
