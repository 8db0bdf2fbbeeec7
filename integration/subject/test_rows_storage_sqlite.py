"""Rows D that need a file: a full disk, and databases that are none, cannot be written, or are nowhere."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType

import anyio.to_thread
import pytest

from integration.covered import Measured
from integration.subject import stage
from integration.subject.ahead import Ahead, Server, Work
from integration.subject.clients import Agent, Caller, answer_of, first, say, text_of
from integration.subject.databases import count
from integration.subject.stage import assert_row, assert_whole, ended
from load.target.config import bundled

pytestmark = pytest.mark.anyio

SETTINGS = {
    "BACKEND_DB_LOCK_TIMEOUT": "0.4",
    "BACKEND_LEASE_TTL": "1.5",
    "BACKEND_MESSAGE_MAX_CHARS": "60000",
}
CEILING_KIB = 2048
"""The seed has a quarter of it."""

FULL = Server("full", stage.GENEROUS | SETTINGS, limit=f"-f {CEILING_KIB}")


@pytest.fixture(autouse=True)
def counted(pytestconfig: pytest.Config) -> None:
    count(pytestconfig, "sqlite")


async def test_D10_disk_full(measured: Measured, ahead: Ahead) -> None:
    """A run that began ends as with a lock that never clears; new ones are 503; room makes all good again.

    No file of the process may grow beyond the limit: the log of the database reaches it in the middle of
    an answer.
    """
    with ahead.running(FULL) as service:
        user = service.caller()
        slow = service.agent(tokens=4, interval_ms=600)
        quick = service.agent(model="embedded/echo-1", interval_ms=0)
        async with service.connect(slow, user.person) as connection:
            await say(connection, message="Hello")
            frames = [await first(connection, "started"), await first(connection, "delta")]
            filling = [await anyio.to_thread.run_sync(fill, user, quick)]
            frames += await answer_of(connection)
        reading = await anyio.to_thread.run_sync(user.get, f"/api/agents/{quick.id}")
        execution_id = frames[0]["execution_id"]
        open_row = service.run(execution_id)
        stage.end(service)
    with stage.running(measured, FULL.name, SETTINGS, fresh=False) as service:
        row = await anyio.to_thread.run_sync(ended, service, execution_id)
        again = await service.converse(quick, service.caller().person)

    assert filling == [(503, "storage_unavailable")]
    assert_whole(frames)
    assert frames[-1]["type"] == "error"
    assert frames[-1]["error"]["code"] == "storage_unavailable"
    assert frames[-1]["partial"] == text_of(frames)
    assert reading.status_code == 200
    assert open_row["status"] == "RUNNING"
    assert_row(row, "INTERRUPTED", "server_shutdown")
    assert again[-1]["type"] == "done"


def fill(user: Caller, agent: Agent) -> tuple[int, str]:
    """Chats with long texts until one is refused: its status and code."""
    for _ in range(200):
        answer = user.chat(agent, "x" * 50_000)
        if answer.status_code != 200:
            return answer.status_code, answer.json()["code"]
    raise AssertionError("the disk was never full")


def corrupt(database: Path) -> None:
    database.write_bytes(b"This is no database. " * 500)


def read_only(database: Path) -> None:
    database.chmod(0o444)
    database.parent.chmod(0o555)


def nowhere(database: Path) -> None:
    shutil.rmtree(database.parent)


SPOILT: Mapping[str, Callable[[Path], None]] = MappingProxyType(
    {"corrupt": corrupt, "read_only": read_only, "nowhere": nowhere}
)


@dataclass(frozen=True, slots=True)
class Start:
    """A start on a database file that was spoilt before, and what the file held before and after."""

    done: subprocess.CompletedProcess[str]
    before: bytes | None
    after: bytes | None


def start(how: str, measured: Measured) -> Start:
    folder = measured.folder / f"bad-file-{how}"
    source = stage.sqlite_seed(measured).file
    assert source is not None
    database = folder / "data" / "backend.db"
    database.parent.mkdir(parents=True)
    shutil.copy(source, database)
    SPOILT[how](database)
    before = database.read_bytes() if database.exists() else None
    config = bundled(1, {"BACKEND_DATABASE_URL": f"sqlite:///{database}"})
    config = replace(config, python=unprivileged_python(folder))
    done = measured.run(config, folder.name, "backend", "serve")
    if database.parent.exists():
        database.parent.chmod(0o755)
    return Start(done, before, database.read_bytes() if database.exists() else None)


STARTS = {how: Work(partial(start, how)) for how in SPOILT}
AHEAD = (FULL, *STARTS.values())


@pytest.mark.parametrize("how", SPOILT)
def test_D13_bad_database_file_is_78(ahead: Ahead, how: str) -> None:
    """One line that names the database, no traceback; the file is as it was."""
    start = ahead.result(STARTS[how])

    assert start.done.returncode == 78
    assert start.done.stdout == ""
    [line] = start.done.stderr.strip().splitlines()
    assert line.startswith("database: ")
    assert start.after == start.before


def unprivileged_python(folder: Path) -> Path:
    """An interpreter that may not write what is read-only, also when the tests run as root."""
    if os.geteuid() != 0:
        return Path(sys.executable)
    script = folder / "python"
    drop = "setpriv --bounding-set=-dac_override,-dac_read_search --"
    script.write_text(f'#!/bin/sh\nexec {drop} {shlex.quote(sys.executable)} "$@"\n')
    script.chmod(0o755)
    return script
