"""The schema and its revisions: `migrate` changes it, `check` tells a server whether it may start on it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, create_engine, event, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from backend.settings import StartupRefused

__all__ = ["check", "migrate"]

_ADVICE = "run: python -m backend migrate"


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


def migrate(database_url: str, revision: str = "head") -> str:
    """Brings the schema up or down to a revision and gives the one it has then; else `StartupRefused`."""
    config = _config()
    down = revision.startswith("-") or revision == "base"
    try:
        with _transaction(database_url) as connection:
            config.attributes["connection"] = connection
            (command.downgrade if down else command.upgrade)(config, revision)
            return _stored_revision(connection)
    except CommandError as error:
        raise StartupRefused(f"migrate: {error}") from error


def check(database_url: str) -> None:
    """Raises `StartupRefused` unless the database answers, can be written and has the newest schema.

    In a writing transaction: a file that can only be read must end the start, not the first request.
    """
    head = ScriptDirectory.from_config(_config()).get_current_head()
    with _transaction(database_url) as connection:
        found = _stored_revision(connection)
    if found != head:
        raise StartupRefused(f"database: schema revision is {found}, not {head}; {_ADVICE}")  # D12


@contextmanager
def _transaction(database_url: str) -> Iterator[Connection]:
    """One blocking transaction on a connection of its own; whatever the database refuses ends the start."""
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url.set(drivername="sqlite"), connect_args={"isolation_level": None})
        event.listen(engine, "connect", _use_wal)
        event.listen(engine, "begin", _begin_immediate)
    else:
        engine = create_engine(url, connect_args={"connect_timeout": 5})
    try:
        with engine.begin() as connection:
            yield connection
    except DBAPIError as error:
        raise StartupRefused(f"database: {_one_line(error.orig)}") from error  # D4 D13
    finally:
        engine.dispose()


def _stored_revision(connection: Connection) -> str:
    if not inspect(connection).has_table("alembic_version"):
        return "none"
    row = connection.execute(text("SELECT version_num FROM alembic_version")).first()
    return "none" if row is None else str(row[0])


def _one_line(error: object) -> str:
    return " ".join(str(error).split())[:300]


def _use_wal(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA journal_mode=WAL")


def _begin_immediate(connection: Connection) -> None:
    # The driver begins no transaction for DDL by itself: a killed migration would stay half done.
    connection.exec_driver_sql("BEGIN IMMEDIATE")
