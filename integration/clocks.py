"""Pytest plugin: each deadline that a test saw firing, configured and observed, in one table at the end.

The same stands in the JUnit report, as properties of its suite: `integration/summary.py` reads it there.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field

import pytest

from integration.rows import is_whole

IDLE_LATE_MS = 250
"""What a clock may be late by on an idle machine; the table marks what exceeds it."""

EARLY_MS = 1
"""Rounding to whole milliseconds may show a clock that much early."""


ALL = frozenset(
    {
        "body",
        "connect, twice",
        "db_lock_timeout",
        "db_pool_timeout",
        "deadline_exceeded",
        "drain",
        "first frame",
        "first_token_timeout",
        "headers",
        "idle",
        "inter_chunk_timeout",
        "ping interval + timeout",
        "queue",
        "resume_grace",
        "send, and buffers filled",
    }
)
"""A run of the whole suite in which one of them never fired fails."""

PROPERTY = "clock"


@dataclass(frozen=True, slots=True)
class Observed:
    """A clock with one limit, and when it fired: how often, at the earliest and at the latest."""

    name: str
    limit_ms: int
    times: int
    least_ms: int
    most_ms: int

    @property
    def late_ms(self) -> int:
        return self.most_ms - self.limit_ms

    @property
    def mark(self) -> str:
        return "" if self.late_ms <= IDLE_LATE_MS else f"above {IDLE_LATE_MS} ms: not an idle machine?"


@dataclass(slots=True)
class Clocks:
    """Observations by the name of the clock and its limit."""

    seen: dict[tuple[str, int], list[int]] = field(default_factory=lambda: defaultdict(list))

    def fired(self, name: str, limit_ms: int, elapsed_ms: int, *, before_ms: int = 0) -> None:
        """Books it, and fails the test when it was early or so late that it may be another clock.

        Late by three quarters of its limit is far above what a busy two-core machine does to limits of
        half a second and more, and below what a clock that fires at twice its limit shows. before_ms: what
        may have passed in `elapsed_ms` before the clock began.
        """
        self.seen[name, limit_ms].append(elapsed_ms)
        assert elapsed_ms >= limit_ms - EARLY_MS, f"{name} fired early: {elapsed_ms} of {limit_ms} ms"
        assert elapsed_ms < before_ms + 1.75 * limit_ms, f"{name} fired late: {elapsed_ms} of {limit_ms} ms"

    def observed(self) -> list[Observed]:
        """By name and limit."""
        return [
            Observed(name, limit_ms, len(elapsed), min(elapsed), max(elapsed))
            for (name, limit_ms), elapsed in sorted(self.seen.items())
        ]

    def table(self) -> list[str]:
        """One line for each clock, widest column first to last; empty without observations."""
        lines = [f"{'clock':<28} {'limit_ms':>9} {'n':>4} {'min_ms':>8} {'max_ms':>8}  late by at most"]
        for one in self.observed():
            span = f"{one.least_ms:>8} {one.most_ms:>8}"
            late = f"{one.late_ms} ms  {one.mark}".rstrip()
            lines.append(f"{one.name:<28} {one.limit_ms:>9} {one.times:>4} {span}  {late}")
        return lines if self.seen else []

    def silent(self) -> list[str]:
        """Clocks that never fired."""
        return sorted(ALL - {name for name, _ in self.seen})


CLOCKS = pytest.StashKey[Clocks]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[CLOCKS] = Clocks()


@pytest.fixture(scope="session")
def clocks(
    pytestconfig: pytest.Config, record_testsuite_property: Callable[[str, object], None]
) -> Iterator[Clocks]:
    """Takes down what a deadline was set to and when it fired."""
    clocks = pytestconfig.stash[CLOCKS]
    yield clocks
    for one in clocks.observed():
        record_testsuite_property(PROPERTY, json.dumps(asdict(one)))


def pytest_sessionfinish(session: pytest.Session) -> None:
    silent = is_whole(session.config) and session.config.stash[CLOCKS].silent()
    if silent and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    clocks = config.stash[CLOCKS]
    lines = clocks.table()
    if is_whole(config) and clocks.silent():
        lines.append(f"never fired: {', '.join(clocks.silent())}")
    if lines:
        terminalreporter.section("clocks, configured and observed")
        for line in lines:
            terminalreporter.write_line(line)
