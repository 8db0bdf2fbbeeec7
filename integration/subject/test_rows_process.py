"""Rows S: signals, limits, exceptions nobody expected, and what is left after a thousand streams.

Long because the rows S share how a server is started, signalled and looked at.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import httpx2
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from integration.clocks import Clocks
from integration.covered import Measured
from integration.subject import stage
from integration.subject.ahead import Ahead, Server
from integration.subject.clients import (
    AGENTCHAT,
    Agent,
    Caller,
    Frame,
    Person,
    Service,
    answer_of,
    first,
    hear,
    say,
    text_of,
)
from integration.subject.raising import SECRET
from integration.subject.stage import assert_row, assert_whole, ended
from integration.timing import MS, PATIENCE_S, SCALE, eventually_async
from integration.upstream import Upstream
from load.faults.database import Faults, open_database
from load.target.child import Death
from load.target.config import ROOT, TargetConfig

pytestmark = pytest.mark.anyio

FLOOD = " ".join("x" * 3999 for _ in range(120))


def kill(service: Service, number: signal.Signals) -> None:
    os.kill(service.target.pid, number)


@dataclass(frozen=True, slots=True)
class End:
    """Of a process, from the signal on."""

    code: int
    """0 after a drained SIGTERM: the launcher makes it so."""
    took_s: float
    own_s: float
    """Without the time in which it was ready to run and the machine ran something else."""


class Ending:
    """Sends the signal and watches what comes of it."""

    def __init__(self, service: Service, number: signal.Signals) -> None:
        self._target = service.target
        self._waited_s = self._began_waited_s = waited_s(service.target.pid)
        self.began_at = time.monotonic()
        kill(service, number)

    async def over(self, within_s: float) -> End:
        death = await eventually_async(self._look, "the end of the process", within_s)
        assert death is not None
        took_s = time.monotonic() - self.began_at
        return End(death.returncode, took_s, took_s - (self._waited_s - self._began_waited_s))

    def _look(self) -> Death | None:
        self._waited_s = max(self._waited_s, waited_s(self._target.pid))
        return self._target.death()


def waited_s(pid: int) -> float:
    """How long its main thread has waited for a processor so far; 0 where no kernel tells."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (FileNotFoundError, ProcessLookupError):
        return 0.0


async def rest(connection: ClientConnection) -> list[Frame]:
    """Everything up to the close."""
    frames = []
    with anyio.fail_after(PATIENCE_S):
        try:
            while True:
                frames.append(json.loads(await connection.recv()))
        except ConnectionClosed:
            return frames


async def assert_next_is_served(service: Service, user: Caller, agent: Agent) -> None:
    frames = await service.converse(agent, user.person)
    assert frames[-1]["type"] == "done"
    assert_whole(frames)


def not_ready(service: Service) -> dict[str, str] | None:
    """The checks of a process that does not want any more requests."""
    answer = service.http.get("/health/ready")
    checks: dict[str, str] = answer.json()["checks"]
    return checks if answer.status_code == 503 else None


# S1, S2, S3: SIGTERM

DRAIN_MS = 1200
DRAIN_S = DRAIN_MS / 1000
DRAIN = Server(
    "drain",
    {
        **stage.GENEROUS,
        "BACKEND_DRAIN_TIMEOUT": str(DRAIN_S),
        "BACKEND_MESSAGE_MAX_CHARS": "1000000",
        "BACKEND_WS_MAX_MESSAGE_BYTES": "1000000",
    },
    covered=False,
)
HURRY = Server("hurry", {**stage.GENEROUS, "BACKEND_DRAIN_TIMEOUT": "60"}, provided=True)


async def test_H10_S1_S2_sigterm(ahead: Ahead, clocks: Clocks) -> None:
    """Twenty runs and a reader that never reads: half of the runs finish within the drain, half do not.

    Each client is told before and gets its terminal frame and 1012; a late one gets a refusal it can read.
    The process is gone within the drain and 2 s, and the rows agree with what was told.
    """
    with ahead.running(DRAIN) as service:
        user = service.caller()
        short = service.agent(tokens=20, interval_ms=25)
        long = service.agent(tokens=2000, interval_ms=25)
        echo = service.agent(model="embedded/echo-1", interval_ms=5)
        views: dict[int, tuple[list[Frame], int | None]] = {}
        started: list[int] = []

        async def follow(number: int) -> None:
            protocols = AGENTCHAT if number < 18 else None
            agent = short if number % 2 == 0 else long
            async with service.connect(agent, user.person, subprotocols=protocols) as connection:
                await say(connection, type="chat", message="Hello")
                frames = [await first(connection, "started")]
                started.append(number)
                frames += await rest(connection)
                views[number] = (frames, connection.close_code)

        with stage.RawClient(service, receive_buffer=4096) as stuck:
            stuck.upgrade(echo, user.person)
            stuck.say(type="chat", message=FLOOD)
            async with anyio.create_task_group() as group:
                for number in range(20):
                    group.start_soon(follow, number)
                await eventually_async(lambda: len(started) == 20, "twenty runs")
                told_at = datetime.now(UTC)
                ending = Ending(service, signal.SIGTERM)
                ready = await eventually_async(lambda: not_ready(service), "drain")
                status, refusal, headers = await service.refusal(short, user.person)
                chat = await anyio.to_thread.run_sync(user.chat, short)
            end = await ending.over(DRAIN_S + PATIENCE_S)
        rows = {row["id"]: row for row in service.runs_of(user.person)}

    assert end.code == 0
    assert end.took_s >= DRAIN_S
    assert end.own_s <= DRAIN_S + 2
    assert (status, refusal["code"]) == (503, "server_shutdown")
    assert headers["Retry-After"] == "1"
    assert (chat.status_code, chat.json()["code"]) == (503, "server_shutdown")
    assert ready == {"schema": "ok", "database": "ok", "draining": "failed", "run_slots": "ok"}
    assert {close_code for _, close_code in views.values()} == {1012}
    for number, (frames, _) in views.items():
        notices = [frame for frame in frames if frame["type"] == "going_away"]
        own = [frame for frame in frames if frame["type"] != "going_away"]
        row = rows.pop(own[0]["execution_id"])
        assert_whole(own)
        expected = {"type": "going_away", "reason": "shutdown", "drain_ms": round(DRAIN_S * 1000)}
        assert notices == ([expected] if number < 18 else [])
        if number % 2 == 0:
            assert own[-1]["type"] == "done"
            assert_row(row, "COMPLETED", None, text_of(own))
        else:
            assert (own[-1]["type"], own[-1]["fatal"]) == ("error", True)
            assert own[-1]["error"]["code"] == "server_shutdown"
            assert own[-1]["partial"] == text_of(own)
            assert_row(row, "INTERRUPTED", "server_shutdown", text_of(own))
            drained = datetime.fromisoformat(row["completed_at"]).replace(tzinfo=UTC) - told_at
            clocks.fired("drain", DRAIN_MS, drained // timedelta(milliseconds=1))
    # What is left is the run of the reader that never read; it was at its end or in the middle.
    [left] = rows.values()
    assert left["completed_at"] is not None


async def test_S2_S3_second_sigterm(ahead: Ahead, upstream: Upstream) -> None:
    """The drain is cut short: what runs is interrupted at once, and told so; its provider sees the end."""
    with ahead.running(HURRY) as service:
        user, told = service.caller(), stage.story(service, upstream)
        async with service.connect(told.agent, user.person, subprotocols=AGENTCHAT) as connection:
            await say(connection, type="chat", message="Hello")
            frames = [await first(connection, "started")]
            kill(service, signal.SIGTERM)
            while frames[-1]["type"] != "going_away":
                frames.append(await hear(connection))
            ending = Ending(service, signal.SIGTERM)
            frames += await rest(connection)
        end = await ending.over(PATIENCE_S)
        row = service.run(frames[0]["execution_id"])

    assert end.code == 0
    assert end.own_s <= 2
    own = [frame for frame in frames if frame["type"] != "going_away"]
    assert len(own) == len(frames) - 1
    assert_whole(own)
    assert own[-1]["error"]["code"] == "server_shutdown"
    assert own[-1]["fatal"] is True
    assert connection.close_code == 1012
    assert_row(row, "INTERRUPTED", "server_shutdown", text_of(own))
    told.assert_cut_off(round(ending.began_at * 1e9))


# S4: SIGKILL

LEASE_MS = 1500
KILLED_SETTINGS = {"BACKEND_LEASE_TTL": str(LEASE_MS / 1000), "BACKEND_REPLAY_TTL": "60"}
KILLED = {kills: Server(f"killed-{kills}", stage.GENEROUS | KILLED_SETTINGS) for kills in (2, 20)}


@pytest.mark.parametrize(
    "kills", [pytest.param(2), pytest.param(20, marks=[pytest.mark.holds, pytest.mark.timeout(600)])]
)
async def test_S4_sigkill(measured: Measured, ahead: Ahead, kills: int) -> None:
    """Killed under eight writers, again and again: what was told is stored, once, and nothing stays open."""
    name = KILLED[kills].name
    draw = random.Random(4)
    told: dict[str, Frame] = {}
    lost: list[Frame] = []
    for number in range(kills + 1):
        again = stage.running(measured, name, KILLED_SETTINGS, fresh=False)
        with ahead.running(KILLED[kills]) if number == 0 else again as service:
            served_at = time.time()
            user = Caller(service.http, service.person())
            if lost:
                await assert_interrupted(service, user, lost, served_at)
                lost.clear()
            agent = service.agent(tokens=3, interval_ms=2)
            if number < kills:
                await write_until_killed(service, user.person, agent, f"{number}", told, lost, draw)
            else:
                await assert_next_is_served(service, user, agent)
                stored = {row["request_id"]: row for row in service.runs_of(user.person)}
                messages = service.rows(
                    "SELECT execution_id, count(*) AS n FROM chat_messages"
                    " WHERE author = 'assistant' GROUP BY execution_id"
                )
                # A lease that was renewed in the moment of the kill expires last.
                await eventually_async(
                    lambda: not service.rows("SELECT id FROM agent_executions WHERE completed_at IS NULL"),
                    "the end of every run",
                    LEASE_MS / 1000 * 4 / 3 + SCALE,
                )

    assert len(told) > 8 * kills
    for request_id, done in told.items():
        assert_row(stored[request_id], "COMPLETED", None, done["response"])
        assert stored[request_id]["id"] == done["execution_id"]
    assert {row["n"] for row in messages} == {1}
    assert {done["execution_id"] for done in told.values()} <= {row["execution_id"] for row in messages}


async def write_until_killed(
    service: Service,
    person: Person,
    agent: Agent,
    label: str,
    told: dict[str, Frame],
    lost: list[Frame],
    draw: random.Random,
) -> None:
    """Eight connections chat without a pause, a ninth follows a long run; all see 1006 in the end."""
    long = service.agent(tokens=2000, interval_ms=25)
    codes: list[int | None] = []
    before = len(told)

    async def write(number: int) -> None:
        async with service.connect(agent, person) as connection:
            try:
                for turn in range(10_000):
                    request_id = f"{label}-{number}-{turn}"
                    await say(connection, message="Hello", request_id=request_id)
                    told[request_id] = (await answer_of(connection))[-1]
            except ConnectionClosed:
                codes.append(connection.close_code)

    async with service.connect(long, person) as connection, anyio.create_task_group() as group:
        await say(connection, message="Hello")
        lost.append(await first(connection, "started"))
        for number in range(8):
            group.start_soon(write, number)
        await eventually_async(lambda: len(told) >= before + 16, "sixteen turns")
        await anyio.sleep(draw.uniform(0, 300) * MS)
        kill(service, signal.SIGKILL)
        await rest(connection)
        codes.append(connection.close_code)
    assert codes == [1006] * 9


async def assert_interrupted(service: Service, user: Caller, lost: list[Frame], served_at: float) -> None:
    """Within a lease and a sweep of the new process; the client is told that its frames are gone."""
    [started] = lost
    row = await anyio.to_thread.run_sync(ended, service, started["execution_id"])
    # The lease was renewed at most its whole length before the kill; the sweeps are a third of it apart.
    assert time.time() - served_at <= LEASE_MS / 1000 * 4 / 3 + SCALE
    assert_row(row, "INTERRUPTED", "server_shutdown")
    async with service.connect(started["agent_id"], user.person) as connection:
        await say(connection, type="resume", execution_id=row["id"], last_seq=1)
        gap = await hear(connection)
    assert (gap["error"]["code"], gap["error"]["run_status"]) == ("resume_gap", "INTERRUPTED")


# S4, S5, S6, S9: one process that goes on

LEASE_S = 0.6
PROCESS = Server(
    "process",
    {
        **stage.GENEROUS,
        "BACKEND_LEASE_TTL": str(LEASE_S),
        "BACKEND_DB_LOCK_TIMEOUT": "10",
        "BACKEND_DB_POOL_TIMEOUT": "10",
        "BACKEND_FIRST_TOKEN_TIMEOUT": "1.2",
        "BACKEND_INTER_CHUNK_TIMEOUT": "60",
        "BACKEND_REPLAY_TTL": "0.5",
        "BACKEND_HEARTBEAT_INTERVAL": "0.25",
        # Each connection has a page cache that fills up to 2 MB: few of them are soon full.
        "BACKEND_DB_POOL_SIZE": "2",
    },
)
FEW_DESCRIPTORS = Server("few-descriptors", stage.GENEROUS, limit="-n 256")
AHEAD = (DRAIN, HURRY, KILLED[2], PROCESS, FEW_DESCRIPTORS)


@pytest.fixture(scope="module")
def service(ahead: Ahead) -> Iterator[Service]:
    with ahead.running(PROCESS) as running:
        yield running


@pytest.fixture(scope="module")
def quick(service: Service) -> Agent:
    return service.agent(tokens=2, first_token_ms=0, interval_ms=0)


async def test_S4_slow_storage_is_no_dead_process(service: Service, user: Caller) -> None:
    """A run whose row waited for longer than a lease is alive: the sweep that waited behind it lets it be."""
    agent = service.agent(tokens=20, interval_ms=50)
    faults = Faults(open_database(service.target.database_url or ""), None)
    async with service.connect(agent, user.person) as connection:
        faults.lock(30)
        await say(connection, message="Hello")
        await anyio.sleep(2 * LEASE_S)
        faults.unlock()
        frames = await answer_of(connection)

    assert frames[-1]["type"] == "done", frames[-1]
    assert_whole(frames)
    assert_row(service.run(frames[0]["execution_id"]), "COMPLETED", None, text_of(frames))
    assert service.metrics()["run_transition_conflicts_total"] == 0


@pytest.mark.parametrize(
    "stopped_s", [pytest.param(2.0), pytest.param(30, marks=[pytest.mark.holds, pytest.mark.timeout(120)])]
)
async def test_S5_stopped_and_continued(
    service: Service, user: Caller, quick: Agent, clocks: Clocks, stopped_s: float
) -> None:
    """A process that stood still: a clock that ran out fires once, other runs go on and are not swept."""
    mute = service.agent(first_token_ms=60_000)
    steady = service.agent(tokens=int(stopped_s * 10) + 10, interval_ms=100)
    async with (
        service.connect(mute, user.person) as silent,
        service.connect(steady, user.person, subprotocols=AGENTCHAT) as connection,
    ):
        await say(connection, type="chat", message="Hello")
        frames = [await first(connection, "started"), await first(connection, "delta")]
        await say(silent, message="Hello")
        late = [await hear(silent)]
        kill(service, signal.SIGSTOP)
        await anyio.sleep(stopped_s)
        kill(service, signal.SIGCONT)
        late += await answer_of(silent)
        beats = 0
        while not frames[-1].get("done"):
            frame = await hear(connection)
            beats += frame["type"] == "heartbeat"
            if frame["type"] != "heartbeat":
                frames.append(frame)
        await say(silent, type="ping", nonce="still there")
        pong = await hear(silent)

    assert [frame["type"] for frame in late] == ["started", "error"]
    problem = late[1]["error"]
    assert (problem["code"], problem["limit_ms"]) == ("first_token_timeout", 1200)
    assert problem["elapsed_ms"] >= stopped_s * 1000 - 100
    assert pong["type"] == "pong"
    assert_whole(frames)
    assert frames[-1]["type"] == "done"
    # A second of quarter-second beats, and one for the time that stood still; a storm would be one for each.
    assert beats <= 7
    timed_out, completed = service.run(late[0]["execution_id"]), service.run(frames[0]["execution_id"])
    assert_row(timed_out, "TIMED_OUT", "first_token_timeout", "")
    assert_row(completed, "COMPLETED", None, text_of(frames))
    for row in (timed_out, completed):
        assert row["duration_ms"] >= stopped_s * 1000 - 100
        moments = [row["queued_at"], row["started_at"], row["completed_at"]]
        assert moments == sorted(moments)
    assert service.metrics()["run_transition_conflicts_total"] == 0
    await assert_next_is_served(service, user, quick)


async def test_S6_run_that_breaks(service: Service, user: Caller, quick: Agent) -> None:
    """A stored agent whose pace no clock can hold: `internal`, 1011, FAILED, and not a word of the reason."""
    agent = service.agent()
    pace = json.dumps({"embedded": {"first_token_ms": 10**400}})
    stage.write(service, f"UPDATE agent_registry SET configuration = '{pace}' WHERE id = '{agent.id}'")
    async with service.connect(agent, user.person) as connection:
        await say(connection, message="Hello")
        frames = await rest(connection)
    answer = user.chat(agent)

    assert_whole(frames)
    assert [frame["type"] for frame in frames] == ["started", "error"]
    assert (frames[1]["error"]["code"], frames[1]["fatal"]) == ("internal", True)
    assert connection.close_code == 1011
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    for told in (json.dumps(frames), answer.text):
        assert "Overflow" not in told
        assert "Traceback" not in told
    rows = service.runs_of(user.person)
    assert [(row["status"], row["error_code"]) for row in rows] == [("FAILED", "internal")] * 2
    await assert_next_is_served(service, user, quick)


async def test_S6_endpoint_that_raises(measured: Measured) -> None:
    """Whatever an application inside the service's outer layers raises, the wire says `internal`."""
    config = TargetConfig(
        app="integration.subject.raising:create_app",
        app_dir=ROOT,
        server="backend.server:make_server",
        env={"BACKEND_PORT": "0"},
        source=("backend",),
        drop_env=("BACKEND_",),
    )
    target = measured.launch(config, "raising")
    address = f"ws{target.url.removeprefix('http')}"
    with httpx2.Client(base_url=target.url, timeout=PATIENCE_S, trust_env=False) as http:
        answer = http.get("/at-once")
        with pytest.raises(httpx2.RemoteProtocolError):
            http.get("/begun")
        with pytest.raises(InvalidStatus) as refused:
            async with connect(f"{address}/at-once", proxy=None):
                pass
        async with connect(f"{address}/begun", proxy=None) as connection:
            frames = await rest(connection)
        async with connect(f"{address}/over", proxy=None) as over:
            nothing = await rest(over)
        before = target.log.read_text().count(SECRET)
        for path in ("late", "begun-late"):
            gone(target.url, path)
        await eventually_async(lambda: target.log.read_text().count(SECRET) >= before + 2, "they raised")
        again = http.get("/at-once")
    target.stop()

    assert answer.status_code == again.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "internal"
    response = refused.value.response
    assert response.status_code == 500
    assert json.loads(response.body or b"")["code"] == "internal"
    assert [(frame["type"], frame["fatal"]) for frame in frames] == [("error", True)]
    assert frames[0]["error"]["code"] == "internal"
    assert connection.close_code == 1011
    assert (nothing, over.close_code) == ([], 1000)
    for told in (answer.text, (response.body or b"").decode(), json.dumps(frames)):
        assert SECRET not in told
        assert "Traceback" not in told
    log = target.log.read_text()
    assert log.count(SECRET) >= 5
    # Only an HTTP answer that has begun is left to the server: breaking it off is all there is.
    assert log.count("Exception in ASGI application") == 1


def gone(url: str, path: str) -> None:
    """A client that asks for a stream and is reset before anything is told."""
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as wire:
        wire.sendall(
            f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        stage.cut(wire, reset=True)


# S7: descriptors


async def test_S7_descriptor_limit(ahead: Ahead) -> None:
    """Under `ulimit -n 256` the 129th connection is refused in words; streams go on, room is used again."""
    with ahead.running(FEW_DESCRIPTORS) as service:
        user = service.caller()
        agent = service.agent()
        ready = service.http.get("/health/ready").json()
        async with AsyncExitStack() as stack:
            connections = [
                await stack.enter_async_context(service.connect(agent, user.person)) for _ in range(128)
            ]
            status, refusal, headers = await service.refusal(agent, user.person)
            await say(connections[0], message="Hello")
            streamed = await answer_of(connections[0])
            chat = await anyio.to_thread.run_sync(user.chat, agent)
            await connections[1].close()
            await eventually_async(lambda: service.metrics()["ws_connections"] == 127, "the freed place")
            again = await service.converse(agent, user.person)
        rows = service.runs_of(user.person)

    assert ready["connection_cap"] == 128
    assert (status, refusal["code"], refusal["retryable"]) == (503, "capacity", True)
    assert int(headers["Retry-After"]) >= 1
    assert streamed[-1]["type"] == "done"
    assert chat.status_code == 200
    assert again[-1]["type"] == "done"
    assert [row["status"] for row in rows] == ["COMPLETED"] * 3


# S9: leaks

GAUGES = ("runs_active", "runs_unsettled", "ws_connections", "run_frame_log_bytes", "db_pool_in_use")


@pytest.mark.parametrize(
    ("warm", "streams"),
    [
        # The first hundreds fill the caches: of statements, of pages, of the allocator.
        pytest.param(300, 1000, id="1000"),
        pytest.param(300, 10_000, id="10000", marks=[pytest.mark.holds, pytest.mark.timeout(900)]),
    ],
)
async def test_S9_leak_check(service: Service, user: Caller, quick: Agent, warm: int, streams: int) -> None:
    """After many short streams of every kind descriptors, gauges and memory are where they were."""
    long = service.agent(tokens=2000, interval_ms=25)
    await use(service, user, quick, long, warm)
    before = await at_rest(service)
    await use(service, user, quick, long, streams)
    after = await at_rest(service)

    assert after["gauges"] == before["gauges"]
    assert after["descriptors"] <= before["descriptors"]
    assert after["resident"] <= 1.05 * before["resident"], (
        f"{before['resident']} -> {after['resident']} bytes"
    )
    ends = service.rows(
        "SELECT status, count(*) AS n FROM agent_executions WHERE user_id = :id GROUP BY 1 ORDER BY 1",
        id=user.person.id,
    )
    assert ends == [
        {"status": "CANCELLED", "n": (warm + streams) // 5},
        {"status": "COMPLETED", "n": (warm + streams) * 4 // 5},
    ]
    await assert_next_is_served(service, user, quick)


async def at_rest(service: Service) -> dict[str, Any]:
    """What the process holds once it holds nothing for a client."""

    def look() -> dict[str, float] | None:
        metrics = service.metrics()
        gauges = {name: metrics[name] for name in GAUGES}
        return None if any(gauges.values()) else gauges

    return {
        # The values of the moment of rest: a sweep borrows a connection every now and then.
        "gauges": await eventually_async(look, "rest"),
        "descriptors": stage.descriptors(service),
        "resident": stage.resident_bytes(service),
    }


async def use(service: Service, user: Caller, quick: Agent, long: Agent, streams: int) -> None:
    """Of ten streams six go over a WebSocket, two over SSE; one is cancelled, one reset; eight at a time."""
    gate = anyio.CapacityLimiter(8)

    async def talk(turns: int) -> None:
        async with gate, service.connect(quick, user.person) as connection:
            for _ in range(turns):
                await say(connection, message="Hello")
                end = (await answer_of(connection))[-1]
                assert end["type"] == "done", end

    async def leave(reset: bool) -> None:
        async with gate, service.connect(long, user.person) as connection:
            await say(connection, message="Hello", request_id=None)
            started = await first(connection, "started")
            if reset:
                stage.reset(connection)
            else:
                await say(connection, type="cancel", execution_id=started["execution_id"])
                end = (await answer_of(connection))[-1]
                assert end["type"] == "cancelled", end

    async def read_events() -> None:
        async with (
            gate,
            http.stream(
                "POST",
                f"/api/agents/{quick.id}/chat",
                json={"message": "Hello", "stream": True},
                headers={"Authorization": f"Bearer {user.person.token}"},
            ) as response,
        ):
            body = await response.aread()
            assert b"event: done" in body

    async with (
        httpx2.AsyncClient(base_url=service.target.url, timeout=PATIENCE_S, trust_env=False) as http,
        anyio.create_task_group() as group,
    ):
        for _ in range(streams // 10):
            group.start_soon(talk, 5)
            group.start_soon(talk, 1)
            group.start_soon(read_events)
            group.start_soon(read_events)
            group.start_soon(leave, True)
            group.start_soon(leave, False)
