"""Users of a configuration, one class for each of its scenarios, and users of files of one's own."""

from __future__ import annotations

import time
from collections.abc import Iterable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import ClassVar, Final

from locust import task

from load.errors import UsageError
from load.metrics.run import ROUGH
from load.scenarios.base import AgentUser
from load.scenarios.plans import Plan

OUTSIDE_S: Final = 0.1
"""So often users who belong into rough windows look whether there is one."""


class Planned(AgentUser):
    """Sends the messages of a conversation one after the other, as its plan says."""

    abstract = True
    plan: ClassVar[Plan]

    def on_start(self) -> None:
        self._left: list[str] = []
        self._said: list[tuple[str, str]] = []
        self._session_id = ""

    def wait_time(self) -> float:
        """As ordinary users do; whoever expects a failure comes in rough windows alone."""
        return super().wait_time() if self._may_come() else OUTSIDE_S

    @task
    def message(self) -> None:
        """The next message."""
        if not self._may_come():
            return
        if not self._left:
            self._left, self._said = list(self.prompts.next().turns), []
            self._session_id = f"load-{self.number}-{self.random.getrandbits(48):012x}"
        plan, prompt = self.plan, self._left.pop(0)
        turn = self.turn(
            prompt,
            self._session_id,
            cancel_after=plan.cancel_after,
            drop_after=plan.drop_after,
            history=tuple(self._said) if plan.history else (),
        )
        answer = self.stream(self.mapped(plan.dialect, plan.values), turn, plan.expect)
        self._said += [("user", prompt), ("assistant", answer.text)]

    def _may_come(self) -> bool:
        if not self.of_failures:
            return True
        windows = self.session.ledger.windows
        return windows is not None and windows.at(time.perf_counter_ns()) == ROUGH


def kinds_of(plans: Iterable[Plan]) -> list[type[AgentUser]]:
    """A user class for each plan."""
    return [
        type(
            f"Planned_{plan.name}",
            (Planned,),
            {
                "__doc__": Planned.__doc__,
                "scenario": plan.name,
                "of_failures": plan.of_failures,
                "weight": plan.weight,
                "abstract": False,
                "plan": plan,
            },
        )
        for plan in plans
    ]


def users_of(file: Path) -> list[type[AgentUser]]:
    """The user classes that a Python file defines. Raises UsageError when there is none, or it fails."""
    spec = spec_from_file_location(f"streamgauge_scenarios_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise UsageError(f"--scenarios {file}: no Python file")
    module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever a file of the user raises
        raise UsageError(f"--scenarios {file}: {type(error).__name__}: {error}") from error
    found = [one for one in vars(module).values() if isinstance(one, type) and issubclass(one, AgentUser)]
    own = [one for one in found if one.__module__ == module.__name__ and not one.abstract]
    if not own:
        raise UsageError(f"--scenarios {file}: it defines no user; derive one from AgentUser")
    return own
