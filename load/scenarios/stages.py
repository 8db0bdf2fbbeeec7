"""Steps of users, as `--stages` names them."""

from __future__ import annotations

from collections.abc import Sequence

from locust import LoadTestShape
from locust.runners import Runner

from load.options import Stage


class Stages(LoadTestShape):
    """Locust asks it once a second how many users there shall be; None at the end."""

    abstract = True  # or Locust would take it from any locustfile that imports it

    def __init__(self, stages: Sequence[Stage], spawn_rate: float, runner: Runner) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.stages = stages
        self.spawn_rate = spawn_rate
        self.runner = runner

    def tick(self) -> tuple[int, float] | None:
        gone_s: float = self.get_run_time()  # type: ignore[no-untyped-call]
        for stage in self.stages:
            if gone_s < stage.lasts_s:
                return stage.users, self.spawn_rate
            gone_s -= stage.lasts_s
        return None
