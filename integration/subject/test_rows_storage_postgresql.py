"""Rows D that need a database server: it is down, it goes down, it ends connections."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import anyio
import anyio.to_thread
import pytest

from integration.covered import Measured
from integration.subject import stage
from integration.subject.ahead import Ahead, Server
from integration.subject.clients import Agent, Caller, Service, answer_of, first, say, text_of
from integration.subject.databases import count
from integration.subject.postgres import Postgres, postgres
from integration.subject.stage import assert_row, assert_whole, ended
from integration.timing import eventually, eventually_async
from load.faults.database import Faults, open_database
from load.target.config import bundled

pytestmark = pytest.mark.anyio

SETTINGS = {
    "BACKEND_DB_LOCK_TIMEOUT": "0.4",
    "BACKEND_DB_POOL_TIMEOUT": "1",
    "BACKEND_LEASE_TTL": "1.5",
    "BACKEND_RECHECK_INTERVAL": "0.3",
}
AHEAD = (Server("outage", stage.GENEROUS | SETTINGS, kind="postgresql"),)


@pytest.fixture(autouse=True)
def counted(pytestconfig: pytest.Config) -> None:
    count(pytestconfig, "postgresql")


@pytest.fixture(scope="module")
def server(measured: Measured) -> Postgres:
    return postgres(measured)


@pytest.fixture(scope="module")
def service(ahead: Ahead) -> Iterator[Service]:
    with ahead.running(*AHEAD) as running:
        yield running


@pytest.fixture
def down(server: Postgres) -> Iterator[Postgres]:
    """The server, which runs again when the test is over."""
    yield server
    server.start()


@pytest.fixture(scope="module")
def quick(service: Service) -> Agent:
    return service.agent()


def readiness(service: Service) -> tuple[int, dict[str, Any]]:
    answer = service.http.get("/health/ready")
    return answer.status_code, answer.json()["checks"]


def serve_again(service: Service, user: Caller, agent: Agent) -> None:
    eventually(lambda: readiness(service)[0] == 200, "readiness")
    answer = user.chat(agent)
    assert answer.status_code == 200
    assert_row(service.run(answer.json()["execution_id"]), "COMPLETED", None, answer.json()["response"])


async def test_D4_database_down(
    measured: Measured, service: Service, user: Caller, quick: Agent, down: Postgres
) -> None:
    """At a start: 78 and one line, no traceback.

    While running: readiness says so, liveness goes on, requests are 503; with the database all of it comes
    back.
    """
    before = readiness(service)
    await anyio.to_thread.run_sync(down.stop)
    starts: list[subprocess.CompletedProcess[str]] = []

    def start() -> None:
        config = bundled(1, {"BACKEND_DATABASE_URL": service.target.database_url or ""})
        starts.append(measured.run(config, "down-at-start", "backend", "serve"))

    async with anyio.create_task_group() as group:
        group.start_soon(anyio.to_thread.run_sync, start)
        await eventually_async(lambda: readiness(service)[0] == 503, "the failed check")
        checks = readiness(service)[1]
        live = service.http.get("/health/live")
        answer = await anyio.to_thread.run_sync(user.chat, quick)
    await anyio.to_thread.run_sync(down.start)

    [started] = starts
    assert started.returncode == 78
    assert started.stdout == ""
    [line] = started.stderr.strip().splitlines()
    assert line.startswith("database: ")
    assert before == (200, {"schema": "ok", "database": "ok", "draining": "ok", "run_slots": "ok"})
    assert checks == {"schema": "ok", "database": "failed", "draining": "ok", "run_slots": "ok"}
    assert live.status_code == 200
    assert answer.status_code == 503
    assert answer.json()["code"] == "storage_unavailable"
    await anyio.to_thread.run_sync(serve_again, service, user, quick)


async def test_token_cannot_be_looked_at_again(
    service: Service, user: Caller, quick: Agent, down: Postgres
) -> None:
    """An idle connection outlives the outage: that its token is over is not known, so it is not."""
    async with service.connect(quick, user.person) as connection:
        await anyio.to_thread.run_sync(down.stop)
        await eventually_async(lambda: "recheck_failed" in service.target.log.read_text(), "a failed look")
        await anyio.to_thread.run_sync(down.start)
        await eventually_async(lambda: readiness(service)[0] == 200, "the database")
        await say(connection, message="Hello")
        frames = await answer_of(connection)

    assert frames[-1]["type"] == "done"
    assert_whole(frames)


async def test_sweep_that_breaks_is_tried_again(service: Service, user: Caller, quick: Agent) -> None:
    """A table that is not there is nothing that a sweep expects; runs go on, and the next sweep works."""
    stage.write(service, "ALTER TABLE agent_executions RENAME TO elsewhere")
    try:
        await eventually_async(lambda: "sweep_broke" in service.target.log.read_text(), "a broken sweep")
    finally:
        stage.write(service, "ALTER TABLE elsewhere RENAME TO agent_executions")

    assert user.chat(quick).status_code == 200


async def test_D5_database_down_during_a_run(
    service: Service, user: Caller, quick: Agent, down: Postgres
) -> None:
    """The answer goes on to its end, which cannot be stored: the frame says so, a sweep stores it later."""
    slow = service.agent(tokens=4, interval_ms=200)
    async with service.connect(slow, user.person) as connection:
        await say(connection, message="Hello")
        frames = [await first(connection, "started"), await first(connection, "delta")]
        await anyio.to_thread.run_sync(down.stop)
        frames += await answer_of(connection)
        await anyio.to_thread.run_sync(down.start)
    row = await anyio.to_thread.run_sync(ended, service, frames[0]["execution_id"])

    assert_whole(frames)
    assert [frame["type"] for frame in frames] == ["started", *["delta"] * 4, "error"]
    assert frames[-1]["error"]["code"] == "storage_unavailable"
    assert frames[-1]["partial"] == text_of(frames)
    assert_row(row, "INTERRUPTED", "storage_unavailable", text_of(frames))
    await anyio.to_thread.run_sync(serve_again, service, user, quick)


def test_D6_idle_connections_are_killed(service: Service, user: Caller, quick: Agent) -> None:
    """Nobody notices: a connection is tried before it is used."""
    assert user.chat(quick).status_code == 200
    killed = Faults(open_database(service.target.database_url or ""), None).kill("idle")
    errors = service.metrics().get('db_errors_total{kind="lost"}', 0)
    answers = [user.chat(quick).status_code for _ in range(3)]

    assert killed["killed"] != 0
    assert answers == [200, 200, 200]
    assert service.metrics().get('db_errors_total{kind="lost"}', 0) == errors
    assert [row["status"] for row in service.runs_of(user.person)] == ["COMPLETED"] * 4
