"""Reads what the launcher's own database says about executions: plain SQL, columns of docs/protocol.md."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import orjson

from load.errors import UsageError

SCHEMES = ("sqlite+aiosqlite:///", "sqlite:///")


@dataclass(frozen=True, slots=True)
class ExecutionRow:
    """One stored execution. word: the first of its message, empty if that has none."""

    id: str
    status: str
    error_code: str | None
    model: str
    word: str


def read_executions(database_url: str) -> list[ExecutionRow]:
    """All executions in order of their ids; safe beside a running server (read-only, WAL)."""
    # A plain read-only URI; `immutable` would miss what still lies in the WAL.
    location = f"file:{quote(str(sqlite_file(database_url)))}?mode=ro"
    with closing(sqlite3.connect(location, uri=True, timeout=5.0)) as connection:
        found = connection.execute(
            "SELECT id, status, error_code, model, input_data FROM agent_executions ORDER BY id"
        )
        return [
            ExecutionRow(row_id, status, code, model, _first_word(asked))
            for row_id, status, code, model, asked in found
        ]


def _first_word(input_data: str) -> str:
    message = orjson.loads(input_data)["message"]
    return next(iter(str(message).split(maxsplit=1)), "")


def sqlite_file(database_url: str) -> Path:
    """The file behind an SQLite URL. Raises `UsageError` for any other database."""
    for scheme in SCHEMES:
        if database_url.startswith(scheme):
            return Path(database_url.removeprefix(scheme).partition("?")[0])
    name = database_url.partition(":")[0]
    raise UsageError(f"executions can be read from SQLite only, not from {name}")
