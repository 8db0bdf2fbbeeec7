"""One short headless run of some scenarios against the bundled backend, read from every side."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from integration.runs.locust import Ended, headless

RUN_TIME_S = 13
ROWS = (
    *("governance_denied", "unknown_agent", "bad_rating", "empty_message", "first_token_timeout"),
    *("inter_chunk_timeout", "deadline_exceeded", "concurrency_limit", "rate_limited", "client_cancel"),
    "client_disconnect",
)
DEADLINES_MS = {"first_token_timeout": 1500, "inter_chunk_timeout": 1000, "deadline_exceeded": 5000}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """Twelve users, ordinary ones and failures; the rough half is longer than any deadline.

    What is named has no end phase.
    """
    reports = tmp_path_factory.mktemp("reports")
    named = [word for name in ("chat_ws", "chat_http", *ROWS) for word in ("--scenario", name)]
    return headless("-u", "12", "-r", "12", "-t", f"{RUN_TIME_S}s", "--seed", "7", *named, reports=reports)


@pytest.fixture(scope="module")
def rows(run: Ended) -> list[tuple[str, str, str | None]]:
    """What the target itself stored: id, status, error code of each execution."""
    with closing(sqlite3.connect(run.folder / "scratch" / "backend.db")) as database:
        return database.execute("SELECT id, status, error_code FROM agent_executions").fetchall()


def test_the_verdict_is_the_first_line(run: Ended) -> None:
    """A clean run says so first, and by its exit code."""
    status, code = run.run["verdict"]["status"], run.run["verdict"]["exit_code"]

    assert run.reasons == [], run.out
    assert run.code == code
    assert run.report[0].startswith(f"{status}  ")
    assert run.report[0].endswith(f" (exit code {code})")


def test_every_scenario_came_and_ended_as_declared(run: Ended) -> None:
    """Each declared failure occurred, and nothing else did."""
    scenarios = run.run["scenarios"]

    assert {name: entry["unexpected"] for name, entry in scenarios.items() if entry["unexpected"]} == {}
    assert {name for name, entry in scenarios.items() if entry["total"] != entry["as_expected"]} == set()
    assert set(scenarios) >= {"chat_ws", "chat_http", *ROWS}


@pytest.mark.parametrize("code", DEADLINES_MS)
def test_each_deadline_stands_beside_its_limit(run: Ended, code: str) -> None:
    """The configured limit, and a time seen not far below it: the client's clock begins later."""
    deadline = run.run["deadlines"][code]

    assert deadline["configured_ms"] == DEADLINES_MS[code]
    assert deadline["n"] >= 1
    assert deadline["observed_ms"]["p50"] >= 0.9 * DEADLINES_MS[code]


def test_what_was_acknowledged_is_stored(run: Ended, rows: list[tuple[str, str, str | None]]) -> None:
    """Every turn that ended DONE is a COMPLETED row, and every COMPLETED row was acknowledged."""
    done = {row["execution_id"] for row in run.streams() if row["state"] == "DONE"}

    assert done == {execution_id for execution_id, status, _ in rows if status == "COMPLETED"}


def test_errors_are_counted_alike_on_both_sides(run: Ended, rows: list[tuple[str, str, str | None]]) -> None:
    """As many rows of each error code as streams that ended with it, deadlines and cancels alike."""
    timed_out = Counter(row["code"] for row in run.streams() if row["code"] in DEADLINES_MS)
    cancelled = sum(1 for row in run.streams() if row["state"] == "CANCELLED")

    assert timed_out == Counter(code for _, status, code in rows if status == "TIMED_OUT")
    assert cancelled == sum(1 for _, status, code in rows if (status, code) == ("CANCELLED", "cancelled"))


def test_rows_and_totals_agree(run: Ended) -> None:
    """`run.json` counts exactly the streams that have a row."""
    counted = Counter(row["state"] for row in run.streams())

    by_terminal = run.run["streams"]["by_terminal"]

    assert {state: count for state, count in by_terminal.items() if count} == dict(counted)
    assert run.run["streams"]["total"] == counted.total()


def test_lines_behind_awaited_database_calls_are_covered(run: Ended) -> None:
    """The backend's lines were recorded, every file of it is there, and core and Python are named."""
    coverage = run.run["coverage"]
    folder = Path(__file__).resolve().parents[2] / "backend"
    expected = {str(path.relative_to(folder.parent)) for path in folder.rglob("*.py")}

    assert set(coverage["files"]) == expected
    assert coverage["files"]["backend/runs/task.py"] > 60
    assert coverage["core"] in {"sysmon", "ctrace"}


def test_the_folder_is_complete(run: Ended) -> None:
    """All files of a run, and `latest` that points at it."""
    names = {path.name for path in run.folder.iterdir()}

    assert names >= {
        "run.json",
        "streams.jsonl.gz",
        "summary.md",
        "coverage.json",
        "junit.xml",
        "report.html",
        "target.log",
    }
    assert (run.reports / "latest").resolve() == run.folder


def test_a_stream_can_be_found_in_the_log_of_the_target(run: Ended) -> None:
    """The correlation id of a row stands in the target's own log."""
    row = next(row for row in run.streams() if row["scenario"] == "first_token_timeout")

    assert row["correlation_id"] in (run.folder / "target.log").read_text()
