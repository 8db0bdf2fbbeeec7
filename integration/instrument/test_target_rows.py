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
        writer.execute("CREATE TABLE agent_executions (id, status, error_code, model, input_data)")
        insert = "INSERT INTO agent_executions VALUES (?, ?, ?, 'sim:n=1', ?)"
        writer.execute(insert, ("exe_2", "TIMED_OUT", "first_token_timeout", '{"message": "0a1b Hi\\nyou"}'))
        writer.execute(insert, ("exe_1", "COMPLETED", None, '{"max_tokens": 1, "message": " \\n "}'))
        writer.commit()
        writer.execute(insert, ("exe_3", "RUNNING", None, '{"message": "late"}'))

        rows = read_executions(f"sqlite:///{path}")

    assert rows == [
        ExecutionRow("exe_1", "COMPLETED", None, "sim:n=1", ""),
        ExecutionRow("exe_2", "TIMED_OUT", "first_token_timeout", "sim:n=1", "0a1b"),
    ]


def test_another_database_is_refused() -> None:
    """One line names it."""
    with pytest.raises(UsageError, match=r"can be read from SQLite only, not from postgresql\+psycopg"):
        read_executions("postgresql+psycopg://host/db")
