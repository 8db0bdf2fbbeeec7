"""A generator that is late: something in it takes 30 ms of every 50 ms for itself."""

from __future__ import annotations

import time

import gevent
from locust import events

from load.plugin import install
from load.scenarios.chat import ChatHttp, ChatSse, ChatWs

__all__ = ["ChatHttp", "ChatSse", "ChatWs"]

STOLEN_S, LEFT_S = 0.03, 0.02
"""Longer than the 20 ms between two chunks: now and then two come meanwhile."""


def steal() -> None:
    """For ever."""
    while True:
        until = time.perf_counter() + STOLEN_S
        while time.perf_counter() < until:
            pass
        gevent.sleep(LEFT_S)


def begin(**_: object) -> None:
    gevent.spawn(steal)


install()
events.test_start.add_listener(begin)
