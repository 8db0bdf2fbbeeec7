"""Row S8: the server restarts, and everybody comes back at once."""

from __future__ import annotations

import os
import signal

import anyio
import pytest

from integration.covered import Measured
from integration.subject import stage
from integration.subject.ahead import Ahead, Server
from integration.subject.clients import Caller, Frame, Service, answer_of, first, say
from integration.subject.stage import assert_row, assert_whole
from integration.timing import PATIENCE_S, eventually_async

pytestmark = pytest.mark.anyio

SETTINGS = stage.GENEROUS | {
    "BACKEND_DRAIN_TIMEOUT": "0.5",
    "BACKEND_MAX_CONNECTIONS_PER_USER": "1000",
    "BACKEND_MAX_RUNS_PER_USER": "1000",
    "BACKEND_MAX_RUNS": "1000",
    # How long the last of them waits for the one writer of SQLite is up to the machine.
    "BACKEND_DB_POOL_TIMEOUT": "60",
}
STORMS = {sockets: Server(f"storm-{sockets}", SETTINGS, covered=False) for sockets in (60, 500)}
AHEAD = (STORMS[60],)

STORM_S = PATIENCE_S * 4
"""How long the last of all may wait for its turn."""

RUNNING = 20
"""So many of the sockets follow a run when the server is told to stop; the others are idle."""


@pytest.mark.parametrize(
    "sockets", [pytest.param(60), pytest.param(500, marks=[pytest.mark.holds, pytest.mark.timeout(300)])]
)
async def test_S8_reconnect_storm(measured: Measured, ahead: Ahead, sockets: int) -> None:
    """All are told 1012, all come back in the same moment and are served, and no terminal state is lost."""
    with ahead.running(STORMS[sockets]) as service:
        user = service.caller()
        told = await until_told(service, user, sockets)
        rows = {row["id"]: row for row in service.runs_of(user.person)}
    name = STORMS[sockets].name
    with stage.running(measured, name, SETTINGS, fresh=False, covered=False) as service:
        again = Caller(service.http, user.person)
        answers = await all_at_once(service, again, sockets)
        open_rows = service.rows("SELECT id FROM agent_executions WHERE completed_at IS NULL")

    assert len(told) == RUNNING
    for frame in told:
        assert frame["error"]["code"] == "server_shutdown"
        assert_row(rows[frame["execution_id"]], "INTERRUPTED", "server_shutdown", frame["partial"])
    assert [frames[-1] for frames in answers if frames[-1]["type"] != "done"] == []
    assert len(answers) == sockets
    for frames in answers:
        assert_whole(frames)
    assert open_rows == []


async def until_told(service: Service, user: Caller, sockets: int) -> list[Frame]:
    """The terminal frames of the runs that the stop cut short; every socket was closed with 1012."""
    long = service.agent(tokens=2000, interval_ms=25)
    ready: list[int] = []
    codes: list[int | None] = []
    terminal: list[Frame] = []

    async def wait(number: int) -> None:
        async with service.connect(long, user.person, open_timeout=STORM_S) as connection:
            if number < RUNNING:
                await say(connection, message="Hello")
                await first(connection, "started")
            ready.append(number)
            if number < RUNNING:
                terminal.append((await answer_of(connection))[-1])
            with anyio.fail_after(PATIENCE_S):
                await connection.wait_closed()
            codes.append(connection.close_code)

    async with anyio.create_task_group() as group:
        for number in range(sockets):
            group.start_soon(wait, number)
        await eventually_async(lambda: len(ready) == sockets, "every socket", STORM_S)
        os.kill(service.target.pid, signal.SIGTERM)
    await eventually_async(service.target.death, "the end of the process", PATIENCE_S)
    assert codes == [1012] * sockets
    return terminal


async def all_at_once(service: Service, user: Caller, sockets: int) -> list[list[Frame]]:
    """Everybody connects in the same moment; a chat each."""
    quick = service.agent(tokens=3, interval_ms=1)
    answers: list[list[Frame]] = []

    async def come_back() -> None:
        async with service.connect(quick, user.person, open_timeout=STORM_S) as connection:
            await say(connection, message="Here I am again")
            answers.append(await answer_of(connection, STORM_S))

    async with anyio.create_task_group() as group:
        for _ in range(sockets):
            group.start_soon(come_back)
    return answers
