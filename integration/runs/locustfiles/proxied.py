"""Users who ask a given agent, each stream over a connection of its own, until enough have asked."""

from __future__ import annotations

import itertools
import os
from dataclasses import replace
from typing import Final

import gevent
from locust import task
from locust.exception import StopUser

from load.drivers.base import Driver
from load.metrics.timeline import Limits
from load.plugin import install
from load.scenarios.base import AgentUser
from load.scenarios.expect import DONE

AGENT: Final = os.environ["PROXIED_AGENT"]
STREAMS: Final = int(os.environ["PROXIED_STREAMS"])
LIMITS: Final = Limits(gap_ns=4_000_000_000, stall_ns=1_000_000_000)
"""A busy machine holds nothing up for as long."""


class Asking(AgentUser):
    """The last one who leaves ends the run."""

    abstract = True
    begun = itertools.count(1)
    left = itertools.count(1)

    def ask(self, driver: Driver) -> None:
        """One message, answered as the target means it."""
        if next(self.begun) > STREAMS:
            raise StopUser
        self.stream(driver, replace(self.turn(self.prompts.next().turns[0]), limits=LIMITS), DONE)
        self.leave()

    def on_stop(self) -> None:
        super().on_stop()
        if next(self.left) == self.session.options.users:
            assert self.environment.runner is not None
            gevent.spawn(self.environment.runner.quit)


class AskingWs(Asking):
    """Over a WebSocket."""

    scenario = "ws"

    @task
    def message(self) -> None:
        """The next message of the prompts."""
        self.ask(self.websocket(AGENT))


class AskingSse(Asking):
    """Over server-sent events."""

    scenario = "sse"

    @task
    def message(self) -> None:
        """The next message of the prompts."""
        self.ask(self.sse(AGENT))


install()
