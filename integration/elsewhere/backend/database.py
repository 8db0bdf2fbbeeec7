"""SQLite by hand, with migrations that are numbered by `user_version`."""

from __future__ import annotations

import os
import sqlite3
import sys

MIGRATIONS = (
    "create table people (name text primary key, password text not null)",
    "create table answers (id text primary key, person text, question text, text text, outcome text)",
    "alter table answers add column words integer not null default 0",
)


def connect() -> sqlite3.Connection:
    connection = sqlite3.connect(os.environ["HELPDESK_DB"], timeout=5, isolation_level=None)
    connection.execute("pragma journal_mode = wal")
    return connection


def migrate() -> int:
    """The version it ends at."""
    with connect() as connection:
        (version,) = connection.execute("pragma user_version").fetchone()
        for number, statement in enumerate(MIGRATIONS[version:], version + 1):
            connection.execute(statement)
            connection.execute(f"pragma user_version = {number}")
    return len(MIGRATIONS)


def seed(people: int) -> None:
    with connect() as connection:
        rows = [(f"person{n}", f"word-{n}") for n in range(people)]
        connection.executemany("insert or ignore into people values (?, ?)", rows)


def store(answer_id: str, person: str, question: str, text: str, outcome: str, words: int) -> None:
    with connect() as connection:
        values = (answer_id, person, question, text, outcome, words)
        connection.execute("insert into answers values (?, ?, ?, ?, ?, ?)", values)


if __name__ == "__main__":
    if sys.argv[1] == "migrate":
        migrate()
    else:
        seed(int(sys.argv[2]))
