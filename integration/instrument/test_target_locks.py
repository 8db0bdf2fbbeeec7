"""load/target/locks.py: the process that locks the target's database."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from load.errors import InvalidRun
from load.target.locks import Locks


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """One with a table."""
    path = tmp_path / "some.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE things (name TEXT)")
    return path


def writes(database: Path) -> bool:
    """Whether somebody else may write at this moment."""
    with closing(sqlite3.connect(database, timeout=0)) as connection:
        try:
            with connection:
                connection.execute("INSERT INTO things VALUES ('one')")
        except sqlite3.OperationalError:
            return False
        return True


def test_writers_are_kept_out_until_they_are_let_in(tmp_path: Path, database: Path) -> None:
    """The times of both are told, on the clock of this machine; a second lock is a defect of ours."""
    before = time.monotonic_ns()
    with Locks(tmp_path, f"sqlite:///{database}") as locks:
        locked_ns = locks.lock(60)
        locked = writes(database)
        with pytest.raises(InvalidRun, match="the lock is held already"):
            locks.lock(60)
        freed_ns = locks.unlock()
        freed = writes(database)

    assert (locked, freed) == (False, True)
    assert before < locked_ns < freed_ns < time.monotonic_ns()


def test_a_database_that_cannot_be_locked_makes_the_run_invalid(tmp_path: Path) -> None:
    """It ends before it listens; its last line says why."""
    with pytest.raises(InvalidRun, match="database: neither sqlite nor postgresql: mysql"):
        Locks(tmp_path, "mysql://nowhere")
