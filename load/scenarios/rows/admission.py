"""Rows L: what is not admitted, over HTTP or WebSocket."""

from __future__ import annotations

from typing import Final

import gevent

from load.metrics.events import Accepted, Event
from load.scenarios.expect import Expect, error, refused
from load.scenarios.profile import MAX_RUNS_PER_USER, RATE_BURST
from load.scenarios.rows.base import UNKNOWN_AGENT, Walker, row

HOLD_TIMEOUT_S: Final = 3.0


@row("L1", refused(429, "rate_limited"))
def rate_limited(user: Walker, name: str, expect: Expect) -> None:
    """Messages faster than allowed, to no agent at all: the rate is judged before the look-up."""
    path = f"/api/agents/{UNKNOWN_AGENT}/chat"
    driver = user.http(token=user.flood_token)
    for _ in range(3 * RATE_BURST):
        response = driver.request("POST", path, {"message": "Quick!"})
        if response.status != 404:
            break
    user.book_call(response, expect, name)


@row("L2", error("concurrency_limit"), "endless", "intern", lasts_s=1.5)
def concurrency_limit(user: Walker, name: str, expect: Expect) -> None:
    """One run more than a user may have at once; the ones before it stay as they are."""
    running: list[Accepted] = []

    def watch(event: Event) -> None:
        if isinstance(event, Accepted):
            running.append(event)

    holders = [gevent.spawn(user.hold, 1 + place, watch) for place in range(MAX_RUNS_PER_USER)]
    with gevent.Timeout(HOLD_TIMEOUT_S, False):
        while len(running) < MAX_RUNS_PER_USER:
            gevent.sleep(0.01)
    user.stream(user.websocket("intern", token=user.hold_token), user.turn("One more."), expect, name)
    gevent.joinall(holders)
