"""Users who reach declared failures: they walk the rows of `load.scenarios.rows`, in rough windows only.

All of them take from one list, so that each row is reached whoever is free. A row has agents and accounts of
its own, so that ordinary users are not disturbed.
"""

from __future__ import annotations

import time
from typing import Final

from locust import task

from load.scenarios import rows
from load.scenarios.rows.base import ROWS, Walker

__all__ = ["ROWS", "Failures", "rows"]

PAUSE_S: Final = (0.05, 0.15)
HOST_PAUSE_S: Final = 2.5
"""Of an account: a harmless row sends two messages at the most, and a rate of one a second is common."""

OUTSIDE_S: Final = 0.1


class Failures(Walker):
    """Does one row after the other, fresh connections for each."""

    scenario = "failures"
    weight = 40

    def wait_time(self) -> float:
        """A moment, or longer on a server whose limits are not ours; between two rough windows nothing
        happens, and within them rows come evenly."""
        return OUTSIDE_S if self.session.ledger.windows is None else self._wait_s

    @task
    def row(self) -> None:
        """The next row, if it is time for one that ends within the window."""
        windows, walk = self.session.ledger.windows, self.session.walk
        if windows is None:
            return
        now_ns = time.perf_counter_ns()
        left_s = windows.rough_left_s(now_ns)
        held_s = walk.held_s(windows.rough_gone_s(now_ns), windows.rough_s)
        if 0 < held_s < left_s:
            self._wait_s = held_s
            return
        name = walk.take(left_s) if held_s == 0 else None
        if name is None:
            self._wait_s = windows.next_rough_s(now_ns)
            return
        self.label = name
        try:
            ROWS[name].run(self, name, ROWS[name].expect)
        finally:
            self.leave()
        self._wait_s = self._pause_s()

    def _pause_s(self) -> float:
        """After a row."""
        if self.session.options.host is None:
            return self.random.uniform(*PAUSE_S)
        walkers = type(self).fixed_count or self.session.options.users
        return HOST_PAUSE_S * max(1.0, walkers / len(self.session.tokens))

    _wait_s = 0.0
