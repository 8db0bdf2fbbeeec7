"""The end phase, behind the measuring window: what touches everybody comes when everybody has left.

The target is told to stop while two answers run: one that is finished within the drain, one that is not; and
somebody comes too late.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar, Final

import gevent

from load.metrics.events import Accepted, Event
from load.scenarios.base import AgentUser
from load.scenarios.expect import DONE, Expect, error, refused
from load.scenarios.profile import DRAIN_TIMEOUT_S

NEEDS: Final = ("closing", "endless")
START_TIMEOUT_S: Final = 3.0
POLL_S: Final = 0.02


class Ending(AgentUser):
    """The last user; made by the plugin, never spawned."""

    abstract = True
    scenario = "ending"
    of_failures = True
    ROWS: ClassVar = {"drain_finishes": "S1", "drain_exceeded": "S2", "late_connect": "H10"}
    """What it books -> the row of docs/errors.md."""

    def due_ns(self) -> int:
        """Now: the end phase has no schedule."""
        return time.perf_counter_ns()

    def drain(self, stop: Callable[[], None]) -> None:
        """Calls `stop`, which signals the target, once both answers run; returns when all have ended."""
        running: list[Accepted] = []

        def watch(event: Event) -> None:
            if isinstance(event, Accepted):
                running.append(event)

        streams = [
            gevent.spawn(self._answer, "closing", DONE, "drain_finishes", watch),
            gevent.spawn(self._answer, "endless", error("server_shutdown"), "drain_exceeded", watch),
        ]
        until(lambda: len(running) == len(streams), START_TIMEOUT_S)
        stop()
        until(lambda: self.http().request("GET", "/health/ready").status == 503, START_TIMEOUT_S)
        late = self.websocket("closing", place=1)
        self.stream(late, self.turn("Too late?"), refused(503, "server_shutdown"), "late_connect")
        gevent.joinall(streams, timeout=DRAIN_TIMEOUT_S + START_TIMEOUT_S)
        self.on_stop()

    def _answer(self, agent: str, expect: Expect, scenario: str, watch: Callable[[Event], None]) -> None:
        self.stream(self.websocket(agent), self.turn("One last thing."), expect, scenario, watch)


def until(true: Callable[[], bool], timeout_s: float) -> None:
    """Polls; past the deadline the streams themselves show what is wrong."""
    deadline = time.monotonic() + timeout_s
    while not true() and time.monotonic() < deadline:
        gevent.sleep(POLL_S)
