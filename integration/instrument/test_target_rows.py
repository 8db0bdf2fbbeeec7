"""load/target/rows.py: what the database says."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from load.errors import UsageError
from load.target.rows import ExecutionRow, read_executions


def test_rows_are_read_beside_an_open_writer(tmp_path: Path) -> None:
    """Committed rows that still lie in the write-ahead log are seen, an open transaction is not."""
    path = tmp_path / "a b#.db"
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("CREATE TABLE agent_executions (id, status, error_code, output_text)")
        writer.execute("INSERT INTO agent_executions VALUES ('exe_2', 'ERROR', 'first_token_timeout', '')")
        writer.execute("INSERT INTO agent_executions VALUES ('exe_1', 'COMPLETED', NULL, 'text')")
        writer.commit()
        writer.execute("INSERT INTO agent_executions VALUES ('exe_3', 'RUNNING', NULL, NULL)")

        rows = read_executions(f"sqlite+aiosqlite:///{path}")

    assert rows == [
        ExecutionRow("exe_1", "COMPLETED", None),
        ExecutionRow("exe_2", "ERROR", "first_token_timeout"),
    ]


def test_another_database_is_refused() -> None:
    """One line names it."""
    with pytest.raises(UsageError, match=r"can be read from SQLite only, not from postgresql\+psycopg"):
        read_executions("postgresql+psycopg://host/db")
