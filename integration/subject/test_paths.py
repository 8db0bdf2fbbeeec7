"""Ways of failing that no row of docs/errors.md names: rows that somebody else changes, clients that are gone
before they are answered, storage that fails between two looks at it."""

from __future__ import annotations

import base64
import os
import signal
import time
from collections.abc import Iterator

import anyio
import anyio.to_thread
import httpx2
import pytest
from websockets.frames import Opcode

from integration.covered import Measured
from integration.subject import stage
from integration.subject.ahead import Ahead, Server
from integration.subject.clients import AGENTCHAT, Caller, Service, answer_of, first, hear, say, to_the_close
from integration.subject.stage import RawClient, assert_row, assert_whole, cut, ended
from integration.timing import PATIENCE_S, eventually, eventually_async
from integration.upstream import Upstream
from load.faults.database import Faults, open_database

pytestmark = pytest.mark.anyio

IDLE_S = 1.0
STUCK = Server(
    "stuck",
    {
        **stage.GENEROUS,
        "BACKEND_SEND_TIMEOUT": "0.8",
        "BACKEND_WS_FIRST_FRAME_TIMEOUT": str(IDLE_S),
        "BACKEND_SOCKET_SNDBUF": "2048",
        "BACKEND_DB_LOCK_TIMEOUT": "5",
        "BACKEND_RECHECK_INTERVAL": "60",
    },
    provided=True,
)
AHEAD = (STUCK,)


@pytest.fixture(scope="module")
def stuck(ahead: Ahead) -> Iterator[Service]:
    with ahead.running(STUCK) as running:
        yield running


async def assert_next_is_served(service: Service, user: Caller) -> None:
    frames = await service.converse(service.agent(), user.person)
    assert frames[-1]["type"] == "done"
    assert_whole(frames)


# Rows that another process changes


async def test_run_that_somebody_else_ended_does_not_start(narrow: Service) -> None:
    """A queued run that was interrupted from outside is told so when its slot comes."""
    user, agent = narrow.caller(), narrow.agent()
    holder_agent = narrow.agent(tokens=2000, interval_ms=25)
    async with (
        narrow.connect(holder_agent, narrow.person()) as holder,
        narrow.connect(agent, user.person) as socket,
    ):
        await say(holder, type="chat", message="Hello")
        held = await first(holder, "started")
        await say(socket, message="Hello")
        [queued] = await eventually_async(lambda: narrow.runs_of(user.person), "the run is stored")
        stage.write(
            narrow,
            "UPDATE agent_executions SET status = 'INTERRUPTED', error_code = 'server_shutdown',"
            f" completed_at = queued_at WHERE id = '{queued['id']}'",
        )
        await say(holder, type="cancel", execution_id=held["execution_id"])
        frames = await answer_of(socket)

    assert [frame["type"] for frame in frames] == ["error"]
    assert frames[0]["error"]["code"] == "server_shutdown"
    assert narrow.run(queued["id"])["status"] == "INTERRUPTED"


async def test_run_whose_row_is_gone_ends_as_internal(service: Service, user: Caller) -> None:
    """Nobody may delete it; who does gets no silence, and the next turn is served."""
    agent = service.agent(tokens=20, interval_ms=25)
    async with service.connect(agent, user.person) as socket:
        await say(socket, message="Hello")
        started = await first(socket, "started")
        stage.write(service, f"DELETE FROM agent_executions WHERE id = '{started['execution_id']}'")
        frames = await answer_of(socket)

    assert frames[-1]["type"] == "error"
    assert (frames[-1]["error"]["code"], frames[-1]["fatal"]) == ("internal", True)
    await assert_next_is_served(service, user)


async def test_L12_request_of_a_run_elsewhere(narrow: Service) -> None:
    """Its row says RUNNING and its frames are not here: the stream says so, and nothing runs twice."""
    user, agent = narrow.caller(), narrow.agent()
    asked = {"message": "Hello", "request_id": "elsewhere"}
    async with narrow.connect(agent, user.person) as socket:
        await say(socket, **asked)
        execution_id = (await answer_of(socket))[0]["execution_id"]
    eventually(lambda: not_kept(narrow, user, execution_id), "the run is forgotten")
    stage.write(
        narrow,
        f"UPDATE agent_executions SET status = 'RUNNING', completed_at = NULL WHERE id = '{execution_id}'",
    )
    async with narrow.connect(agent, user.person) as socket:
        await say(socket, **asked)
        frame = await hear(socket)

    assert frame["type"] == "error"
    assert frame["error"]["code"] == "resume_gap"
    assert len(narrow.runs_of(user.person)) == 1
    stage.write(
        narrow,
        "UPDATE agent_executions SET status = 'COMPLETED', completed_at = queued_at"
        f" WHERE id = '{execution_id}'",
    )


def not_kept(service: Service, user: Caller, execution_id: str) -> bool:
    """Whether no frames of that run are there any more."""
    return user.get(f"/api/executions/{execution_id}/events").status_code != 200


async def test_C8_cancel_of_a_run_that_is_forgotten(narrow: Service) -> None:
    """Only its row is left: 409, as while it is remembered; of nobody's run 404."""
    user, agent = narrow.caller(), narrow.agent()
    execution_id = user.chat(agent).json()["execution_id"]
    eventually(lambda: not_kept(narrow, user, execution_id), "the run is forgotten")
    known = user.post(f"/api/executions/{execution_id}/cancel")
    foreign = narrow.caller().post(f"/api/executions/{execution_id}/cancel")

    assert (known.status_code, known.json()["code"]) == (409, "conflict")
    assert (foreign.status_code, foreign.json()["code"]) == (404, "not_found")


# Storage between two looks


async def test_D11_race_on_a_session(stuck: Service) -> None:
    """Two turns make the same session at once: both are answered, and there is one session."""
    user, agent = stuck.caller(), stuck.agent()
    faults = Faults(open_database(stuck.target.database_url or ""), None)
    answers: list[httpx2.Response] = []

    async def ask() -> None:
        answers.append(await anyio.to_thread.run_sync(lambda: user.chat(agent, session_id="ours")))

    faults.lock(30)
    async with anyio.create_task_group() as group:
        for _ in range(2):
            group.start_soon(ask)
        # Both have looked for the session by the time both want to write.
        await eventually_async(lambda: stuck.metrics()["db_pool_in_use"] >= 1, "a writer waits")
        await anyio.sleep(0.3)
        faults.unlock()

    assert [answer.status_code for answer in answers] == [200, 200]
    assert {answer.json()["session_id"] for answer in answers} == {"ours"}
    stored = stuck.rows("SELECT count(*) AS n FROM chat_sessions WHERE user_id = :id", id=user.person.id)
    assert stored == [{"n": 1}]


async def test_A5_resume_with_a_token_that_was_revoked(stuck: Service, upstream: Upstream) -> None:
    """The token is looked at again before a run is handed over."""
    user = stuck.caller()
    told = stage.story(stuck, upstream)
    token = user.post("/api/tokens", {"name": "short"}).json()
    async with stuck.connect(told.agent, user.person) as socket:
        await say(socket, message="Hello", on_disconnect="continue")
        started = await first(socket, "started")
    person = type(user.person)(user.person.id, user.person.email, token["token"])
    async with stuck.connect(told.agent, person, subprotocols=AGENTCHAT) as socket:
        await first(socket, "ready")
        assert user.delete(f"/api/tokens/{token['id']}").status_code == 204
        await say(socket, type="resume", execution_id=started["execution_id"], last_seq=0)
        frame = await first(socket, "error")

    assert frame["error"]["code"] == "auth_expired"
    user.post(f"/api/executions/{started['execution_id']}/cancel")


async def test_cursor_that_is_too_long_is_refused(user: Caller) -> None:
    """L15: even one that would have a place; 200 characters are the most."""
    cursor = base64.urlsafe_b64encode(b"2026-01-01T00:00:00+00:00 ses_" + b"x" * 120).decode().rstrip("=")
    longer = base64.urlsafe_b64encode(b"2026-01-01T00:00:00+00:00 ses_" + b"x" * 121).decode().rstrip("=")
    answers = [user.get("/api/sessions", params={"cursor": one}) for one in (cursor, longer)]

    assert [len(one) for one in (cursor, longer)] == [200, 202]
    assert [answer.status_code for answer in answers] == [200, 400]
    assert answers[1].json()["code"] == "invalid_cursor"


async def test_cursor_without_a_time_zone_is_refused(user: Caller) -> None:
    """Nothing that this service made; two such moments cannot be compared."""
    cursor = base64.urlsafe_b64encode(b"2026-01-01T00:00:00 ses_x").decode().rstrip("=")
    answer = user.get("/api/sessions", params={"cursor": cursor})

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


async def test_P11_answer_whose_body_does_not_end(stuck: Service, upstream: Upstream) -> None:
    """Behind the end mark nobody waits for the end of the body for long."""
    told = stage.story(stuck, upstream, [["delta", "Hello"], ["finish", "stop"], ["done"], ["sleep", 2000]])
    user = stuck.caller()
    began = time.monotonic()
    frames = await stuck.converse(told.agent, user.person)
    took_s = time.monotonic() - began

    assert frames[-1]["type"] == "done"
    assert took_s < 1.5
    assert_row(ended(stuck, frames[0]["execution_id"]), "COMPLETED", None, "Hello")


# Clients that take nothing, or are not there any more


async def test_C11_client_that_reads_no_pong(stuck: Service) -> None:
    """Answers to its own pings fill its connection: it is ended, and others are served."""
    user, agent = stuck.caller(), stuck.agent()
    before = stuck.metrics()["slow_consumers_total"]
    with RawClient(stuck, receive_buffer=4096) as client:
        client.upgrade(agent, user.person)
        client.socket.settimeout(0.2)
        ping = b'{"type":"ping","nonce":"%s"}' % (b"x" * 60)
        try:
            for _ in range(50_000):
                client.send_frame(Opcode.TEXT, ping)
        except OSError:
            pass  # it takes no more, or it has ended the connection
        await eventually_async(lambda: stuck.metrics()["slow_consumers_total"] == before + 1, "its end")
    await assert_next_is_served(stuck, user)


@pytest.mark.parametrize("leaves", [False, True], ids=["stays", "leaves"])
async def test_close_that_nobody_takes(stuck: Service, leaves: bool) -> None:
    """Pongs of the protocol fill a connection that is then closed for being idle: the close waits for as long
    as any frame may, or until the client is gone, and then nothing is left."""
    user, agent = stuck.caller(), stuck.agent()
    closes = 'ws_closes_total{code="4408",side="server"}'
    before = stuck.metrics().get(closes, 0)
    with RawClient(stuck, receive_buffer=4096) as client:
        client.upgrade(agent, user.person)
        for _ in range(2000):
            client.send_frame(Opcode.PING, b"x" * 125)
        await eventually_async(lambda: stuck.metrics().get(closes, 0) == before + 1, "the close")
        if leaves:
            cut(client.socket, reset=True)
            client.socket.close()
        else:
            await eventually_async(lambda: not stage.holds(stuck, client), "the end of the connection")
    await eventually_async(lambda: stuck.metrics()["ws_connections"] == 0, "none is left")
    await assert_next_is_served(stuck, user)


async def test_S2_shutdown_while_the_database_is_locked(measured: Measured) -> None:
    """A run that cannot be stored keeps nobody waiting for long; with the lock gone all of it ends."""
    settings = {"BACKEND_DRAIN_TIMEOUT": "0", "BACKEND_DB_LOCK_TIMEOUT": "5"}
    with stage.running(measured, "locked-end", settings) as service:
        user, agent = service.caller(), service.agent(tokens=2000, interval_ms=25)
        faults = Faults(open_database(service.target.database_url or ""), None)
        async with service.connect(agent, user.person) as socket:
            await say(socket, message="Hello")
            started = await first(socket, "started")
            faults.lock(30)
            os.kill(service.target.pid, signal.SIGTERM)
            await to_the_close(socket)
            faults.unlock()
        await eventually_async(service.target.death, "the end of the process")
        row = service.run(started["execution_id"])

    assert socket.close_code == 1012
    assert_row(row, "INTERRUPTED", "server_shutdown")


async def test_clients_that_are_gone_before_their_handshake_is_answered(stuck: Service) -> None:
    """Accepted or refused, there is nobody to tell: nothing is left of them."""
    user, agent = stuck.caller(), stuck.agent()
    for wanted in (agent.id, "agt_00000000000000000000000000000000"):
        for _ in range(10):
            with RawClient(stuck) as client:
                client.ask_to_upgrade(wanted, user.person)
                cut(client.socket, reset=True)
    await eventually_async(lambda: stuck.metrics()["ws_connections"] == 0, "none is left", PATIENCE_S)
    await assert_next_is_served(stuck, user)
