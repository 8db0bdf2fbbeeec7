"""SQLite: many readers, one writer, and a write-ahead log so that they do not wait for each other."""

from __future__ import annotations

import sqlite3
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event

__all__ = ["reader", "writer"]


def reader(url: URL, connections: int, lock_timeout_s: float) -> Engine:
    """Connections that cannot write."""
    engine = _engine(
        url, connections, lock_timeout_s, isolation_level="AUTOCOMMIT", skip_autocommit_rollback=True
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "connect", _only_read)
    return engine


def writer(url: URL, lock_timeout_s: float) -> Engine:
    """The one connection that writes."""
    engine = _engine(url, 1, lock_timeout_s)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin_immediate)
    return engine


def _engine(url: URL, connections: int, lock_timeout_s: float, **options: Any) -> Engine:
    return create_engine(
        url.set(drivername="sqlite"),
        pool_size=connections,
        max_overflow=0,
        # Not bound to the thread that opened it: the pool hands it to whichever is free.
        connect_args={"timeout": lock_timeout_s, "isolation_level": None, "check_same_thread": False},
        **options,
    )


def _prepare(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA foreign_keys=ON")


def _only_read(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA query_only=ON")


def _begin_immediate(connection: Connection) -> None:
    # A transaction that reads first and writes later cannot wait for another writer; this one waits at once.
    connection.exec_driver_sql("BEGIN IMMEDIATE")
