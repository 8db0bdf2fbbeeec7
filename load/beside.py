"""What goes on beside the users of a run: a look at the target, the generator's gauge, answers to pings."""

from __future__ import annotations

import time
from collections.abc import Callable

import gevent
from locust.runners import Runner

from load.distributed import Shift
from load.loadrun import LoadRun
from load.report.console import show_progress
from load.scenarios.base import AgentUser

WATCH_S = 0.5
PROGRESS_S = 5.0
GAUGE_S = 0.005
TEND_S = 0.5
"""So often each user's idle connections are tended; targets wait longer for a pong."""
REFUSALS_IN_A_ROW = 20


def watch(run: LoadRun, runner: Runner, stop: Callable[[], None]) -> None:
    """Calls `stop` when the target is gone; shows progress."""
    started = shown = time.monotonic()
    while run.verdict is None:
        if run.ledger.steady_until_ns is None:
            run.users.append((time.monotonic_ns(), runner.user_count))
        gevent.sleep(WATCH_S)
        gone = run.target_gone(REFUSALS_IN_A_ROW) or run.provider_died
        if gone and run.ledger.steady_until_ns is None:
            stop()
            return
        now = time.monotonic()
        if now - shown >= PROGRESS_S and run.ledger.steady_until_ns is None:
            shown = now
            show_progress(now - started, runner.user_count, run.ledger)


def gauge(run: LoadRun | Shift) -> None:
    """Measures by how much a sleep of 5 ms is overslept: time that the generator did not get."""
    ledger = run.ledger
    while run.verdict is None and not (isinstance(run, Shift) and run.over):
        before = time.perf_counter_ns()
        ledger.standstills.beat(before)
        gevent.sleep(GAUGE_S)
        if ledger.steady_until_ns is None:
            overslept_ns = time.perf_counter_ns() - before - int(GAUGE_S * 1e9)
            ledger.run.health.gauge.add(max(0, overslept_ns))


def tend(run: LoadRun | Shift, runner: Runner) -> None:
    """Has idle connections answer pings, one user after the other, so that no stream waits for all."""
    while run.verdict is None and not (isinstance(run, Shift) and run.over):
        # One that has just ended has no arguments any more.
        users = [greenlet.args[0] for greenlet in runner.user_greenlets if greenlet.args]
        for user in users:
            if isinstance(user, AgentUser):
                user.tend()
            gevent.sleep(TEND_S / len(users))
        if not users:
            gevent.sleep(TEND_S)
