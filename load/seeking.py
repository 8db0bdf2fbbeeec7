"""Makes a search for a capacity go on, beside the users of the run.

    reach    the load is set: users come or go, or arrivals come at another rate
    settle   a second, and until what began under the former load has ended; counts for nothing
    count    streams that are due now are the step's; it ends early where an objective is missed for certain
    wait     until they all have ended, the load going on
    judge    the objectives over these streams, and the generator over this time

What was due and could not be sent while a load lasted is counted there, and forgotten when the next begins.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import gevent
from locust.runners import Runner

from load.drivers.clock import CLOCK
from load.loadrun import LoadRun
from load.metrics.run import Health
from load.report.console import say
from load.scenarios.steps import Steps
from load.stepped import Judged
from load.verdict.capacity import Outcome, next_load
from load.verdict.search import Search, Step

TICK_S: Final = 0.1
SETTLE_S: Final = 1.0
SHORTEST_S, LONGEST_S = 3.0, 30.0
"""A step counts for so long; in between, for STEPS_A_RUN-th part of the run."""
STEPS_A_RUN: Final = 24
STRETCHED: Final = 4
"""A step with too few streams may last so many times longer, once it is known where it is worth it."""
LEAST_PATIENCE_S: Final = 5.0
PATIENCE: Final = 3
"""Streams may take so many times longer than any that held, before a step ends without them."""
CHANGE_S: Final = 1.0
"""Users come and go within so long, where Locust can do it."""
FASTEST_PER_S: Final = 100.0
"""Above it Locust warns."""


def seek(
    run: LoadRun, runner: Runner, began_ns: int, set_rate: Callable[[float], None], stop: Callable[[], None]
) -> None:
    """Searches until nothing is left to be found out, or no time for it; then calls `stop`.

    began_ns: when the time of the run began to count. set_rate: lets arrivals come so many a second.
    """
    seeker = Seeker(run, runner, began_ns, set_rate)
    try:
        seeker.go()
    except Exception as defect:  # noqa: BLE001  # in a greenlet of its own it would end nothing
        run.ledger.defects.append(f"search: {type(defect).__name__}: {defect}")
    stop()


class Seeker:
    """One search. Every method that waits returns early once the run is over."""

    def __init__(
        self, run: LoadRun, runner: Runner, began_ns: int, set_rate: Callable[[float], None]
    ) -> None:
        assert run.search is not None
        assert run.ledger.steps is not None
        self.run = run
        self.runner = runner
        self.began_ns = began_ns
        self.set_rate = set_rate
        self.search: Search = run.search
        self.steps: Steps = run.ledger.steps
        self.load = 0
        run_time_s = run.options.run_time_s
        self.counts_s = SHORTEST_S
        if run_time_s is not None:
            self.counts_s = min(LONGEST_S, max(SHORTEST_S, run_time_s / STEPS_A_RUN))
        self.whole_s = SETTLE_S + self.counts_s
        self.slowest_s = 0.0

    @property
    def over(self) -> bool:
        """Whether the run ends, for whatever reason."""
        return self.run.ledger.steady_until_ns is not None or self.run.verdict is not None

    @property
    def left_s(self) -> float:
        """Of the time of the run."""
        run_time_s = self.run.options.run_time_s
        if run_time_s is None:
            return float("inf")
        return run_time_s - (time.perf_counter_ns() - self.began_ns) / 1e9

    def go(self) -> None:
        """One step after the other."""
        self._wait(lambda: self.run.ledger.windows is not None, most_s=self.left_s)
        while not self.over and self.left_s > self.whole_s:
            load = next_load(self.search.tries, self.search.most)
            if load is None:
                return
            before_s = time.monotonic()
            self._reach(load)
            step = self._step(load)
            if step is None:
                return
            self.search.steps.append(step)
            if step.outcome is Outcome.HELD:
                # The longest of those that went their whole way: what fails is over sooner.
                self.whole_s = max(self.whole_s, time.monotonic() - before_s)
            say(step.told(self.search.shown(load), self.search.unit))

    def _reach(self, load: int) -> None:
        if load == self.load:
            return
        former, self.load = self.load, load
        if self.search.of_rate:
            self.set_rate(load * self.search.grain)
            return
        if load != self.runner.target_user_count:
            pace = min(FASTEST_PER_S, max(self.run.options.spawn_rate, abs(load - former) / CHANGE_S))
            self.runner.start(load, pace)
        spawning = self.runner.spawning_greenlet
        assert spawning is not None
        self._wait(spawning.ready, most_s=self.left_s)

    def _step(self, load: int) -> Step | None:
        """None where the run ended first."""
        steps, ledger = self.steps, self.run.ledger
        changed = steps.forgotten_ns = time.perf_counter_ns()
        self._wait(lambda: not steps.under_way(changed), least_s=SETTLE_S, most_s=self._patience_s)
        number = len(self.search.steps) + 1
        from_ns = steps.forgotten_ns = time.perf_counter_ns()
        judged = Judged(self.run, steps.open(number, from_ns))
        earlier, cpu_s = self._swap_health(Health()), time.process_time()
        at_once = self._count(judged, from_ns)
        until_ns = steps.forgotten_ns = time.perf_counter_ns()
        steps.close(until_ns)
        most_at_once = steps.most_at_once
        self._wait(lambda: not steps.under_way(until_ns, from_ns), most_s=self._patience_s)
        unended = steps.under_way(until_ns, from_ns)
        health = self._swap_health(Health())
        health.wall_ns = time.perf_counter_ns() - from_ns
        health.cpu_ns = int((time.process_time() - cpu_s) * 1e9)
        # The run's own processor time is taken at its end.
        ledger.run.health = earlier + health
        ledger.run.health.wall_ns, ledger.run.health.cpu_ns = earlier.wall_ns, earlier.cpu_ns
        if self.over:
            return None
        ledger.settle()
        step = judged.step(
            number=number,
            load=load,
            health=health,
            lasted_s=(until_ns - from_ns) / 1e9,
            at_once=at_once,
            most_at_once=most_at_once,
            unended=unended,
        )
        if step.outcome is Outcome.HELD:
            self.slowest_s = max(self.slowest_s, judged.slowest_s)
        return step

    def _count(self, judged: Judged, from_ns: int) -> float:
        """Lets a step last as long as it should; how many streams were under way on average."""
        seen, samples, until_s = 0, 0, self.counts_s
        known = any(step.outcome not in (Outcome.HELD, Outcome.FEW) for step in self.search.steps)
        most_s = min(STRETCHED * self.counts_s, self.left_s / 2)
        while not self.over:
            gevent.sleep(TICK_S)
            seen, samples = seen + self.steps.at_once, samples + 1
            lasted_s = (time.perf_counter_ns() - from_ns) / 1e9
            if judged.missed_for_certain:
                break
            if lasted_s >= until_s:
                if not (known and lasted_s < most_s and judged.too_few(lasted_s)):
                    break
                until_s = min(most_s, 2 * until_s)
        return seen / samples if samples else 0.0

    def _swap_health(self, fresh: Health) -> Health:
        """What the generator recorded of itself up to now; it goes on with `fresh`."""
        run = self.run.ledger.run
        former = run.health + CLOCK.drain()
        run.health = fresh
        return former

    @property
    def _patience_s(self) -> float:
        """How long streams may take to end; before any step held nobody knows, and half of the time is it."""
        if not self.slowest_s:
            return max(LEAST_PATIENCE_S, min(self.left_s, self.run.limits.total_ns / 1e9) / 2)
        return max(LEAST_PATIENCE_S, PATIENCE * self.slowest_s)

    def _wait(self, done: Callable[[], bool], *, least_s: float = 0.0, most_s: float) -> None:
        began = time.monotonic()
        while not self.over:
            gone_s = time.monotonic() - began
            if gone_s >= max(least_s, most_s) or (gone_s >= least_s and done()):
                return
            gevent.sleep(TICK_S)
