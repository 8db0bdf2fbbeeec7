"""Pytest plugin: each deadline that a test saw firing, configured and observed, in one table at the end."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import pytest

IDLE_LATE_MS = 250
"""What a clock may be late by on an idle machine; the table marks what exceeds it."""

EARLY_MS = 1
"""Rounding to whole milliseconds may show a clock that much early."""


@dataclass(slots=True)
class Clocks:
    """Observations by the name of the clock and its limit."""

    seen: dict[tuple[str, int], list[int]] = field(default_factory=lambda: defaultdict(list))

    def fired(self, name: str, limit_ms: int, elapsed_ms: int) -> None:
        """Books it, and fails the test when it was early or so late that it may be another clock.

        Late by three quarters of its limit is far above what a busy two-core machine does to limits of
        half a second and more, and below what a clock that fires at twice its limit shows.
        """
        self.seen[name, limit_ms].append(elapsed_ms)
        assert elapsed_ms >= limit_ms - EARLY_MS, f"{name} fired early: {elapsed_ms} of {limit_ms} ms"
        assert elapsed_ms < 1.75 * limit_ms, f"{name} fired late: {elapsed_ms} of {limit_ms} ms"

    def table(self) -> list[str]:
        """One line for each clock, widest column first to last; empty without observations."""
        lines = [f"{'clock':<28} {'limit_ms':>9} {'n':>4} {'min_ms':>8} {'max_ms':>8}  late by at most"]
        for (name, limit_ms), elapsed in sorted(self.seen.items()):
            late = max(elapsed) - limit_ms
            mark = "" if late <= IDLE_LATE_MS else f"  above {IDLE_LATE_MS} ms: not an idle machine?"
            span = f"{min(elapsed):>8} {max(elapsed):>8}"
            lines.append(f"{name:<28} {limit_ms:>9} {len(elapsed):>4} {span}  {late} ms{mark}")
        return lines if self.seen else []


CLOCKS = pytest.StashKey[Clocks]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[CLOCKS] = Clocks()


@pytest.fixture(scope="session")
def clocks(pytestconfig: pytest.Config) -> Clocks:
    """Takes down what a deadline was set to and when it fired."""
    return pytestconfig.stash[CLOCKS]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    lines = config.stash[CLOCKS].table()
    if lines:
        terminalreporter.section("clocks, configured and observed")
        for line in lines:
            terminalreporter.write_line(line)
