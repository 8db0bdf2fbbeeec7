"""A generator that soon may open no further file, while each stream and request wants a new connection."""

from __future__ import annotations

import itertools
import os
import resource

from locust import events, task

from load.plugin import install
from load.scenarios.base import AgentUser
from load.scenarios.expect import DONE

LIMITS = resource.getrlimit(resource.RLIMIT_NOFILE)
WELL_FED = 8
"""So many times somebody asks before it begins."""


class Newcomer(AgentUser):
    """Asks, over WebSocket and HTTP, and leaves."""

    scenario = "newcomer"
    asked = itertools.count(1)

    @task
    def message(self) -> None:
        """One message and one request, over new connections."""
        self.stream(self.websocket("steady"), self.turn(self.prompts.next().turns[0]), DONE)
        self.call("GET", "/api/agents", scenario="browse")
        self.leave()
        if next(self.asked) == WELL_FED:
            starve()


def starve() -> None:
    """No number of a file is free below the limit."""
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, LIMITS[1]))


def feed(**_: object) -> None:
    """The report wants files, too."""
    resource.setrlimit(resource.RLIMIT_NOFILE, LIMITS)


install()
events.test_stopping.add_listener(feed)
