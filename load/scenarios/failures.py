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
        """Rows follow each other closely, except on a server whose limits are not ours; between two rough
        windows nothing happens."""
        windows = self.session.ledger.windows
        if windows is None:
            return OUTSIDE_S
        pause_s = self.random.uniform(*PAUSE_S)
        if self.session.options.host is not None:
            sharing = self.session.options.users / len(self.session.tokens)
            pause_s = HOST_PAUSE_S * max(1.0, sharing)
        return max(pause_s, self._rough_in_s)

    @task
    def row(self) -> None:
        """The next row that ends within the window."""
        windows = self.session.ledger.windows
        now_ns = time.perf_counter_ns()
        left_s = 0.0 if windows is None else windows.rough_left_s(now_ns)
        name = None if windows is None else self.session.walk.take(left_s)
        self._rough_in_s = 0.0
        if name is not None:
            row = ROWS[name]
            self.label = name
            try:
                row.run(self, row.name, row.expect)
            finally:
                self.leave()
        elif windows is not None:
            self._rough_in_s = windows.next_rough_s(now_ns)

    _rough_in_s = 0.0
