"""Pytest plugin: which rows of docs/errors.md the tests of the subject reached, by the ids in their names.

A test reaches row H1 when it is called `test_H1_…` (or `test_C8_C9_…`) and passes. When the whole of the
subject's tests was run, a row of a built stage without a passing test fails the run.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CATALOGUE = ROOT / "docs" / "errors.md"
WHOLE = {ROOT, ROOT / "integration", ROOT / "integration" / "subject"}
"""Naming one of these, and no selection beside it, runs every test of the subject."""

WITHOUT_LONG = "not holds"
"""The default of pyproject.toml selects this; it is no selection of the user's."""

ID = re.compile(r"[A-Z]\d{1,2}")


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the catalogue."""

    id: str
    stage: str
    built: bool


def catalogue(text: str) -> tuple[Row, ...]:
    """All rows of docs/errors.md, in its order; `Built:` names the stages that exist."""
    built: set[str] = set()
    rows: list[Row] = []
    for line in text.splitlines():
        if line.startswith("Built:"):
            built = {stage.strip() for stage in line.removeprefix("Built:").split(",")}
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and ID.fullmatch(cells[0]):
            rows.append(Row(cells[0], cells[1], cells[1] in built))
    return tuple(rows)


def ids_of(nodeid: str) -> tuple[str, ...]:
    """The row ids in a test's name: all parts behind `test_` up to the first that is none."""
    name = nodeid.rpartition("::")[2].partition("[")[0].removeprefix("test_")
    found = []
    for part in name.split("_"):
        if not ID.fullmatch(part):
            break
        found.append(part)
    return tuple(found)


class Reached:
    """Outcomes of tests by the row they are named for."""

    def __init__(self) -> None:
        self.outcomes: dict[str, list[str]] = defaultdict(list)
        self.long: set[str] = set()
        """Rows with tests that only `make holds` runs."""

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        for item in items:
            if item.get_closest_marker("holds") is not None:
                self.long.update(ids_of(item.nodeid))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            for row_id in ids_of(report.nodeid):
                self.outcomes[row_id].append(report.outcome)

    def state(self, row: Row) -> str:
        outcomes = self.outcomes.get(row.id, [])
        if outcomes:
            return "reached" if set(outcomes) == {"passed"} else "FAILED"
        if row.id in self.long:
            return "by make holds"
        return "MISSING" if row.built else f"not built ({row.stage})"

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if is_whole(session.config) and self.faults() and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def faults(self) -> list[str]:
        return [row.id for row in rows_now() if self.state(row) in ("MISSING", "FAILED")]

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter, config: pytest.Config
    ) -> None:
        if is_whole(config):
            terminalreporter.section("rows of docs/errors.md")
            for line in self.table():
                terminalreporter.write_line(line)

    def table(self) -> list[str]:
        """`id state tests`, grouped by the letter of the id, and the sums."""
        rows = rows_now()
        lines = [
            f"{row.id:<4} {len(self.outcomes.get(row.id, [])):>3} tests  {self.state(row)}" for row in rows
        ]
        reached = sum(self.state(row) == "reached" for row in rows)
        later = sum(self.state(row).startswith("not built") for row in rows)
        long = sum(self.state(row) == "by make holds" for row in rows)
        faults = self.faults()
        lines.append(
            f"{len(rows)} rows: {reached} reached, {long} by make holds, {later} not built,"
            f" {len(faults)} missing or failed"
        )
        if faults:
            lines.append("missing or failed: " + " ".join(faults))
        return lines


def rows_now() -> tuple[Row, ...]:
    return catalogue(CATALOGUE.read_text(encoding="utf-8"))


def is_whole(config: pytest.Config) -> bool:
    named = {(config.invocation_params.dir / arg.partition("::")[0]).resolve() for arg in config.args}
    option = config.option
    marked = option.markexpr not in ("", WITHOUT_LONG)
    again = getattr(option, "lf", False)  # there is no such option without pytest's cache
    selected = option.keyword or marked or option.deselect or again or option.collectonly
    nodes = any("::" in arg for arg in config.args)
    return bool(named & WHOLE) and not selected and not nodes


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Reached(), "rows-reached")
