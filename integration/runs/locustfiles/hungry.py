"""Users who keep the generator busy: each answer costs it 10 ms of work, when nobody else is looked at."""

from __future__ import annotations

import time

from locust import task

from load.plugin import install
from load.scenarios.base import AgentUser
from load.scenarios.expect import DONE

WORK_S = 0.01


class Hungry(AgentUser):
    """Does with each answer what a client should do elsewhere."""

    scenario = "hungry"

    @task
    def message(self) -> None:
        """One message, and work."""
        self.stream(self.websocket("steady"), self.turn("Is somebody there?"), DONE)
        until_s = time.perf_counter() + WORK_S
        while time.perf_counter() < until_s:
            pass


install()
