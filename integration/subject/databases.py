"""How many tests of the storage-facing part ran on which database, told at the end of the session."""

from __future__ import annotations

from collections import Counter

import pytest

NAME = "databases"


class Databases:
    def __init__(self) -> None:
        self.ran: Counter[str] = Counter()

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        counts = ", ".join(f"{number} on {kind}" for kind, number in sorted(self.ran.items()))
        terminalreporter.section("storage")
        terminalreporter.write_line(f"storage-facing tests that ran: {counts}")


def count(config: pytest.Config, kind: str) -> None:
    """Takes down one test on that kind of database."""
    databases = config.pluginmanager.get_plugin(NAME)
    if databases is None:
        databases = Databases()
        config.pluginmanager.register(databases, NAME)
    databases.ran[kind] += 1
