"""A worker's part in a run: the master says when it begins and ends, and what came of it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import gevent
from locust.env import Environment
from locust.runners import WorkerRunner

from load.asking import Asked
from load.beside import gauge, tend
from load.crewed import leave_without_parent
from load.distributed import FACTS, HALT, LAST, PART, WINDOWS, Facts, Shift, windows_from
from load.errors import UsageError
from load.feeding import Feeding
from load.front import one_at_a_time
from load.scenarios.base import AgentUser
from load.scenarios.failures import Failures


@dataclass(slots=True)
class Worker:
    """asked: reads the command line, once the master has said how many users come. shift: the run that goes
    on, or the last one; None before the first."""

    environment: Environment
    runner: WorkerRunner
    asked: Callable[[], Asked]
    facts: Facts | None = None
    shift: Shift | None = None
    feeding: Feeding | None = None

    def begin(self) -> None:
        """Does nothing of its own from now on."""
        runner = self.runner
        runner.stop = one_at_a_time(runner.stop)  # type: ignore[method-assign]
        runner.register_message(FACTS, self._on_facts)
        runner.register_message(WINDOWS, self._on_windows)
        runner.register_message(HALT, self._on_halt, concurrent=True)
        gevent.signal_handler(signal.SIGINT, self._leave_if_idle)
        if getattr(self.environment.parsed_options, "processes", None):
            gevent.spawn(leave_without_parent, os.getppid())

    def begin_shift(self) -> None:
        """The users come next. Raises UsageError when the master has not said what to measure."""
        facts, parsed = self.facts, self.environment.parsed_options
        if facts is None:
            raise UsageError("--worker: the master is of another kind, it does not say what to measure")
        assert parsed is not None
        parsed.num_users, parsed.spawn_rate = facts["users"], facts["spawn_rate"]
        parsed.run_time = facts["run_time_s"]
        asked = self.asked()
        for kind in asked.kinds:
            if issubclass(kind, Failures):
                kind.fixed_count = facts["walkers"]
        self.environment.user_classes = list(asked.kinds)
        shift = self.shift = Shift(replace(asked.options, users=facts["users"]), asked.own, facts)
        self.feeding = Feeding(shift.session, dict(facts["weights"]), asked.offsets_ns, shift)
        AgentUser.session = shift.session
        gevent.spawn(gauge, shift)
        gevent.spawn(tend, shift, self.runner)

    def report(self, data: dict[str, Any]) -> None:
        """Adds what came since the last report to Locust's own."""
        if self.shift is not None and not self.shift.over:
            data[PART] = self.shift.report()

    def end_shift(self) -> None:
        """The users have ended: the last report."""
        shift = self.shift
        if shift is not None and not shift.over:
            last = shift.report(final=True)
            shift.over = True
            shift.dump()
            self.runner.send_message(LAST, last)

    def _on_facts(self, msg: Any, **_: Any) -> None:
        self.facts = msg.data

    def _on_windows(self, msg: Any, **_: Any) -> None:
        if self.shift is not None and self.feeding is not None:
            windows = self.shift.ledger.windows = windows_from(msg.data)
            if self.shift.options.is_open:
                self.feeding.begin(windows.from_ns, self.shift.options.rate)

    def _on_halt(self, **_: Any) -> None:
        self.runner.stop()

    def _leave_if_idle(self) -> None:
        """A Ctrl-C reaches master and workers; while users are under way the master ends it all."""
        if self.shift is None or self.shift.over:
            sys.exit(0)
