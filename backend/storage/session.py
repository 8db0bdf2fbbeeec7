"""The way to the database: short transactions, one writer at a time on SQLite, a name for each failure."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import anyio
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import (
    DatabaseError,
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    ProgrammingError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import QueuePool

from backend import telemetry
from backend.errors import ErrorCode, Problem
from backend.settings import Settings
from backend.storage import sqlite
from backend.storage.threads import Threads, TooLate

__all__ = ["Database", "StorageUnavailable", "retrying"]

T = TypeVar("T")
log = telemetry.logger(__name__)

# What may succeed when it is simply tried again.
_TRANSIENT: Final = frozenset({"busy", "deadlock", "serialization"})
_SQLSTATES: Final = {
    "40P01": "deadlock",
    "40001": "serialization",
    "55P03": "busy",  # lock_timeout
    "57014": "statement_timeout",
    "53100": "full",
    "53300": "connections",
}
_SQLITE_CODES: Final = {
    sqlite3.SQLITE_BUSY: "busy",
    sqlite3.SQLITE_LOCKED: "busy",
    sqlite3.SQLITE_FULL: "full",  # D10
    sqlite3.SQLITE_IOERR: "io",  # D10
    sqlite3.SQLITE_READONLY: "readonly",
    sqlite3.SQLITE_CORRUPT: "corrupt",
    sqlite3.SQLITE_NOTADB: "corrupt",
    sqlite3.SQLITE_CANTOPEN: "unreachable",
}
_PAUSES_S: Final = (0.05, 0.1, 0.2)


class StorageUnavailable(Problem):
    """The database is locked, full, down or out of connections; `kind` says which."""

    def __init__(self, kind: str) -> None:
        super().__init__(ErrorCode.STORAGE_UNAVAILABLE)
        self.kind = kind
        self.transient = kind in _TRANSIENT


class Database:
    """Engines with their threads and limits. `read()` and `write()` are the only ways in.

    Both are shielded from cancellation: a transaction that is cut in two would keep its lock, and each is
    bounded by the lock, statement and pool timeouts. `work` runs in a thread: it uses its connection and
    nothing that belongs to the event loop, and is short: no send, no provider.
    """

    def __init__(self, settings: Settings) -> None:
        url = make_url(settings.database_url)
        size, patience_s = settings.db_pool_size, settings.db_pool_timeout
        self._readers = Threads("database", size, patience_s)
        if url.get_backend_name() == "sqlite":
            self._reader = sqlite.reader(url, size, settings.db_lock_timeout)
            self._writer = sqlite.writer(url, settings.db_lock_timeout)
            # One thread: writers queue here, in order and bounded, instead of polling the file's lock.
            self._writers = Threads("database-writer", 1, patience_s)
        else:
            limits = {
                "lock_timeout": round(settings.db_lock_timeout * 1000),
                "statement_timeout": round(settings.db_statement_timeout * 1000),
                "timezone": "UTC",
            }
            self._writer = create_engine(
                url,
                pool_size=size,
                max_overflow=0,
                pool_timeout=patience_s,
                pool_pre_ping=True,  # D6
                connect_args={
                    "connect_timeout": 2,
                    "options": " ".join(f"-c {name}={value}" for name, value in limits.items()),
                },
            )
            self._reader = self._writer.execution_options(isolation_level="AUTOCOMMIT")
            self._writers = self._readers

    async def read(self, work: Callable[[Connection], T]) -> T:
        """What `work` reads, without a transaction: each statement sees its own snapshot."""

        def reading() -> T:
            with self._reader.connect() as connection:
                return work(connection)

        return await _in(self._readers, reading)

    async def write(self, work: Callable[[Connection], T]) -> T:
        """What `work` gives, in a transaction that commits at its end and rolls back when it raises.

        `IntegrityError` passes through: the caller knows which rule it means.
        """

        def writing() -> T:
            with self._writer.begin() as connection:
                return work(connection)

        return await _in(self._writers, writing)

    def in_use(self) -> int:
        """Connections that are checked out at this moment."""
        pools = {self._writer.pool, self._reader.pool}
        return sum(pool.checkedout() for pool in pools if isinstance(pool, QueuePool))

    async def ping(self) -> None:
        await self.read(lambda connection: connection.execute(text("SELECT 1")))

    async def close(self) -> None:
        """Ends every connection; nothing is under way any more."""

        def dispose() -> None:
            self._writer.dispose()
            self._reader.dispose()

        with anyio.CancelScope(shield=True):
            await self._readers.run(dispose)
        for threads in {self._writers, self._readers}:
            threads.end()


async def _in(threads: Threads, work: Callable[[], T]) -> T:
    try:
        with anyio.CancelScope(shield=True):
            result = await threads.run(work)
    except _STORAGE_ERRORS as error:
        raise _unavailable(error) from error  # D1 D2 D7 D10
    return result


async def retrying(work: Callable[[], Awaitable[T]]) -> T:
    """Runs a unit of work, and again up to three times while it fails for a reason that passes by itself."""
    for pause_s in _PAUSES_S:
        try:
            return await work()
        except StorageUnavailable as error:
            if not error.transient:
                raise
            await anyio.sleep(pause_s)  # D2
    return await work()


_STORAGE_ERRORS: Final = (DBAPIError, TooLate, PoolTimeoutError, OSError)


def _unavailable(error: Exception) -> Exception:
    """What a storage error means to the caller; the error itself if the fault is ours."""
    if isinstance(error, IntegrityError | DataError | ProgrammingError):
        return error
    kind = _kind(error)
    telemetry.db_errors_total.labels(kind).inc()
    log.warning("storage_unavailable", extra={"kind": kind, "reason": type(error).__name__})
    return StorageUnavailable(kind)  # D1


def _kind(error: Exception) -> str:
    if isinstance(error, TooLate | PoolTimeoutError):
        return "pool_timeout"  # D7
    if not isinstance(error, DBAPIError):
        return "unreachable"  # a bare OSError of the driver
    cause = error.orig
    sqlite_code = getattr(cause, "sqlite_errorcode", None)
    if sqlite_code is not None:
        return _SQLITE_CODES.get(sqlite_code & 0xFF, "other")
    state = getattr(cause, "sqlstate", None)
    if state is not None:
        return _SQLSTATES.get(state, "lost" if state.startswith(("08", "57P")) else "other")
    return "lost" if isinstance(error, DatabaseError | InterfaceError) else "other"
