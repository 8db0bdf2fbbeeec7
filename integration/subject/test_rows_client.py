"""Rows C: what clients do in the middle of an answer. They leave, return, cancel, crowd, do not read.

Long because the rows C share one server and the same few helpers.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from typing import Any

import anyio
import anyio.to_thread
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from integration.clocks import Clocks
from integration.subject import stage
from integration.subject.ahead import Ahead, Server
from integration.subject.clients import (
    AGENTCHAT,
    Agent,
    Caller,
    Frame,
    Service,
    answer_of,
    first,
    hear,
    say,
    text_of,
)
from integration.subject.stage import Story, assert_row, assert_whole, ended
from integration.timing import MS, PATIENCE_S, eventually, eventually_async
from integration.upstream import Upstream

pytestmark = pytest.mark.anyio

GRACE_MS = 1200
REPLAY_MS = 1000
SEND_MS = 600
SETTINGS = {
    "BACKEND_RESUME_GRACE": "1.2",
    "BACKEND_REPLAY_TTL": "1",
    "BACKEND_SEND_TIMEOUT": str(SEND_MS / 1000),
    "BACKEND_CLOSE_GRACE": "0.2",
    "BACKEND_HEARTBEAT_INTERVAL": "600",
    # One message must fill the buffers of a reader that never reads: the echo model says it again.
    "BACKEND_MESSAGE_MAX_CHARS": "1000000",
    "BACKEND_WS_MAX_MESSAGE_BYTES": "1000000",
    "BACKEND_HTTP_MAX_BODY_BYTES": "1000000",
}


AHEAD = (Server("client", stage.GENEROUS | SETTINGS, provided=True),)


@pytest.fixture(scope="module")
def service(ahead: Ahead) -> Iterator[Service]:
    with ahead.running(*AHEAD) as running:
        yield running


@pytest.fixture(scope="module")
def quick(service: Service) -> Agent:
    return service.agent()


@pytest.fixture(scope="module")
def brisk(service: Service) -> Agent:
    """Twenty words in 400 ms."""
    return service.agent(tokens=20, interval_ms=20)


@pytest.fixture
def told(service: Service, upstream: Upstream) -> Story:
    """A provider's answer that goes on for 40 s unless it is stopped."""
    return stage.story(service, upstream)


async def begin(connection: ClientConnection, deltas: int = 3, **more: Any) -> tuple[str, list[Frame]]:
    """Starts a run and reads some deltas: its id, and the frames so far."""
    await say(connection, type="chat", message="Hello", **more)
    frames = [await first(connection, "started")]
    frames += [await first(connection, "delta") for _ in range(deltas)]
    return frames[0]["execution_id"], frames


async def end(service: Service, execution_id: str) -> dict[str, Any]:
    """The row of a run once it is terminal, while other tasks go on."""
    return await anyio.to_thread.run_sync(ended, service, execution_id)


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


# C1, C2, C3, C4: the controller is lost


@pytest.mark.parametrize("leave", [stage.reset, stage.hang_up], ids=["rst", "fin"])
async def test_C1_reset_mid_stream_is_cancelled(
    service: Service, user: Caller, quick: Agent, told: Story, leave: Callable[[ClientConnection], None]
) -> None:
    """RST and FIN in the middle of an answer end its run with what had come, and the provider's stream."""
    async with service.connect(told.agent, user.person) as connection:
        execution_id, seen = await begin(connection)
        left_ns = time.monotonic_ns()
        leave(connection)
    row = await end(service, execution_id)

    assert_row(row, "CANCELLED", "client_disconnected")
    assert row["output_text"].startswith(text_of(seen))
    assert row["last_seq"] == 2 + len(row["output_text"].split())
    told.assert_cut_off(left_ns)
    await assert_next_is_served(service, user, quick)


async def test_C1_close_frame_mid_stream_is_cancelled(
    service: Service, user: Caller, quick: Agent, told: Story
) -> None:
    """A client that says goodbye gets its close answered with 1000; the run ends as if it had vanished."""
    async with service.connect(told.agent, user.person) as connection:
        execution_id, seen = await begin(connection)
        left_ns = time.monotonic_ns()
        await connection.close()
    row = await end(service, execution_id)

    assert connection.close_code == 1000
    assert_row(row, "CANCELLED", "client_disconnected")
    assert row["output_text"].startswith(text_of(seen))
    told.assert_cut_off(left_ns)
    await assert_next_is_served(service, user, quick)


async def test_C1_dropped_event_stream_is_cancelled(
    service: Service, user: Caller, quick: Agent, told: Story
) -> None:
    """The request that started a run over SSE is its controller: without it the run ends."""

    def read_two() -> tuple[str, int]:
        with stream(user, told.agent) as response:
            events = stage.events(response)
            next(events)
            return str(next(events).frame["execution_id"]), time.monotonic_ns()

    execution_id, left_ns = await anyio.to_thread.run_sync(read_two)
    row = await end(service, execution_id)

    assert_row(row, "CANCELLED", "client_disconnected")
    told.assert_cut_off(left_ns)
    await assert_next_is_served(service, user, quick)


async def cancel(connection: ClientConnection, execution_id: str) -> None:
    await say(connection, type="cancel", execution_id=execution_id)


async def vanish(connection: ClientConnection, _: str) -> None:
    stage.reset(connection)


CLOSED_WITHIN_MS = 250


@pytest.mark.parametrize("leave", [cancel, vanish])
async def test_C1_C8_provider_is_closed_in_time(
    service: Service,
    user: Caller,
    upstream: Upstream,
    leave: Callable[[ClientConnection, str], Awaitable[None]],
) -> None:
    """The best of three: it takes some milliseconds, or a machine that is busy had something else to do."""
    took_ms = []
    for _ in range(3):
        told = stage.story(service, upstream)
        async with service.connect(told.agent, user.person) as connection:
            execution_id, _ = await begin(connection)
            left_ns = time.monotonic_ns()
            await leave(connection, execution_id)
            [request] = await anyio.to_thread.run_sync(told.requests)
        took_ms.append((request["peer_closed_at_ns"] - left_ns) / 1e6)

    assert min(took_ms) < CLOSED_WITHIN_MS


async def test_C2_resumed_within_the_grace(
    service: Service, user: Caller, quick: Agent, brisk: Agent
) -> None:
    """With `continue` a lost client finds its run again: `resumed`, what it missed, then live to `done`."""
    async with service.connect(brisk, user.person) as connection:
        execution_id, seen = await begin(connection, on_disconnect="continue", request_id="turn")
        stage.reset(connection)
    async with service.connect(brisk, user.person, subprotocols=AGENTCHAT) as back:
        await first(back, "ready")
        await say(back, type="resume", execution_id=execution_id, last_seq=4)
        resumed = await hear(back)
        seen += await answer_of(back)

    assert resumed == {
        "type": "resumed",
        "execution_id": execution_id,
        "request_id": "turn",
        "from_seq": 5,
        "status": "RUNNING",
    }
    assert_whole(seen)
    assert seen[-1]["type"] == "done"
    assert seen[-1]["response"] == text_of(seen)
    assert_row(service.run(execution_id), "COMPLETED", None, text_of(seen))
    await assert_next_is_served(service, user, quick)


async def test_C3_grace_passes(
    service: Service, user: Caller, quick: Agent, told: Story, clocks: Clocks
) -> None:
    """Nobody came back: the run ends like a lost one, once the grace is over and not before."""
    async with service.connect(told.agent, user.person) as connection:
        execution_id, seen = await begin(connection, on_disconnect="continue")
        left_at = time.time()
        stage.reset(connection)
    row = await end(service, execution_id)

    assert_row(row, "CANCELLED", "client_disconnected")
    assert row["output_text"].startswith(text_of(seen))
    completed_at = datetime.fromisoformat(row["completed_at"]).timestamp()
    told.assert_cut_off(time.monotonic_ns())
    clocks.fired("resume_grace", GRACE_MS, round((completed_at - left_at) * 1000))
    await assert_next_is_served(service, user, quick)


async def test_C4_run_ends_first(service: Service, user: Caller, quick: Agent) -> None:
    """A detached run that ends keeps its log for `REPLAY_TTL`; afterwards its record alone is left."""
    agent = service.agent(tokens=6, interval_ms=30)
    async with service.connect(agent, user.person) as connection:
        execution_id, seen = await begin(connection, 1, on_disconnect="continue")
        stage.reset(connection)
    row = await end(service, execution_id)
    ended_at = time.monotonic()
    async with service.connect(agent, user.person) as back:
        await say(back, type="resume", execution_id=execution_id, last_seq=0)
        log = await answer_of(back)
        # Half a second is what the clock of one process may be read later than the other's row.
        await anyio.sleep(max(0.0, ended_at + (REPLAY_MS + 500) * MS - time.monotonic()))
        await say(back, type="resume", execution_id=execution_id, last_seq=0)
        gap = await hear(back)
        await say(back, message="Hello")
        after = await answer_of(back)

    assert_whole(log)
    assert log[:2] == seen
    assert log[-1]["type"] == "done"
    assert_row(row, "COMPLETED", None, log[-1]["response"])
    assert gap["type"] == "error"
    assert gap["error"]["code"] == "resume_gap"
    assert gap["error"]["status"] == 410
    assert gap["error"]["execution_id"] == execution_id
    assert gap["error"]["run_status"] == "COMPLETED"
    assert gap["error"]["record"] == f"/api/executions/{execution_id}"
    assert (gap["fatal"], gap["done"]) == (False, True)
    assert after[-1]["type"] == "done"
    await assert_next_is_served(service, user, quick)


# C5, C6, C7: resume


async def test_C5_resume_that_cannot_be(service: Service, user: Caller, quick: Agent, brisk: Agent) -> None:
    """A seq of the future, a negative one, an unknown and a foreign run: each its code, the run unharmed."""
    other = service.caller()
    async with service.connect(brisk, user.person) as connection:
        execution_id, seen = await begin(connection)
        async with service.connect(brisk, user.person) as second:
            await say(second, type="resume", execution_id=execution_id, last_seq=10_000)
            future = await hear(second)
            await say(second, type="resume", execution_id=execution_id, last_seq=-1)
            negative = await hear(second)
            await say(second, type="resume", execution_id="exe_" + "0" * 32, last_seq=0)
            unknown = await hear(second)
            await say(second, message="Hello")
            usable = await answer_of(second)
        async with service.connect(brisk, other.person) as third:
            await say(third, type="resume", execution_id=execution_id, last_seq=0)
            foreign = await hear(third)
        seen += await answer_of(connection)

    assert [one["error"]["code"] for one in (future, negative, unknown, foreign)] == [
        "resume_invalid_seq",
        "malformed_frame",
        "resume_not_found",
        "resume_not_found",
    ]
    assert future["error"]["status"] == 416
    assert len(seen) > future["error"]["last_seq_available"] >= 4
    for one in (unknown, foreign):
        del one["error"]["correlation_id"]
    assert unknown == foreign
    assert usable[-1]["type"] == "done"
    assert_whole(seen)
    assert_row(service.run(execution_id), "COMPLETED", None, text_of(seen))
    await assert_next_is_served(service, user, quick)


async def test_C6_second_connection_takes_over(
    service: Service, user: Caller, quick: Agent, brisk: Agent
) -> None:
    """The newer connection gets the run, the older one `superseded` and 4409."""
    async with service.connect(brisk, user.person) as old:
        execution_id, seen = await begin(old)
        async with service.connect(brisk, user.person) as new:
            await say(new, type="resume", execution_id=execution_id, last_seq=0)
            taken = await answer_of(new)
            left = await rest(old)

    assert_whole(taken)
    assert taken[: len(seen)] == seen
    superseded = left.pop()
    assert left == taken[len(seen) : len(seen) + len(left)]
    assert superseded["type"] == "error"
    assert superseded["error"]["code"] == "superseded"
    assert superseded["fatal"] is True
    assert (old.close_code, old.close_reason) == (4409, "superseded")
    assert_row(service.run(execution_id), "COMPLETED", None, text_of(taken))
    await assert_next_is_served(service, user, quick)


async def test_C7_resume_storm(service: Service, user: Caller, quick: Agent, told: Story) -> None:
    """Two hundred connections, eight at a time, take one run from each other; the last one has it whole.

    The provider has been asked once.
    """
    draw = random.Random(7)
    turns = iter(range(200))
    views: list[list[Frame]] = []
    codes: list[int | None] = []

    async def take(execution_id: str) -> None:
        async with service.connect(told.agent, user.person) as connection:
            await say(connection, type="resume", execution_id=execution_id, last_seq=draw.randrange(5))
            frames = [await hear(connection)]
            if draw.random() < 0.5:
                stage.reset(connection)
            else:
                frames += await rest(connection)
                codes.append(connection.close_code)
            views.append([frame for frame in frames if frame["type"] != "error"])

    async def take_in_turns(execution_id: str) -> None:
        for _ in turns:
            await take(execution_id)

    async with (
        service.connect(told.agent, user.person) as starter,
        service.connect(told.agent, user.person) as last,
        anyio.create_task_group() as group,
    ):
        execution_id, seen = await begin(starter, on_disconnect="continue")
        for _ in range(8):
            group.start_soon(take_in_turns, execution_id)
        # One of them may be left with the run: it waits for the last.
        await eventually_async(lambda: len(views) >= 199, "the storm", 4 * PATIENCE_S)
        await say(last, type="resume", execution_id=execution_id, last_seq=0)
        log = [await first(last, "started")]
        left_ns = time.monotonic_ns()
        await say(last, type="cancel", execution_id=execution_id)
        log += await answer_of(last)
        codes.append((await rest(starter), starter.close_code)[1])

    assert_whole(log)
    assert log[-1]["type"] == "cancelled"
    assert log[-1]["partial"] == text_of(log)
    assert len(views) == 200
    for view in [*views, seen]:
        start = view[0]["seq"] - 1 if view else 0
        assert view == log[start : start + len(view)]
    assert set(codes) == {4409}
    [row] = service.runs_of(user.person)
    assert_row(row, "CANCELLED", "cancelled", text_of(log))
    assert row["attempts"] == 1
    told.assert_cut_off(left_ns)
    await assert_next_is_served(service, user, quick)


# C8, C9, C10: cancel


async def test_C8_cancel_over_rest(service: Service, user: Caller, quick: Agent, told: Story) -> None:
    """202 while it runs, 409 once it has ended, 404 for a stranger; the stream is told who cancelled."""
    other = service.caller()
    async with service.connect(told.agent, user.person) as connection:
        execution_id, seen = await begin(connection)
        path = f"/api/executions/{execution_id}/cancel"
        foreign = await anyio.to_thread.run_sync(other.post, path)
        left_ns = time.monotonic_ns()
        accepted = await anyio.to_thread.run_sync(user.post, path)
        seen += await answer_of(connection)
        again = await anyio.to_thread.run_sync(user.post, path)
    row = service.run(execution_id)

    assert (foreign.status_code, foreign.json()["code"]) == (404, "not_found")
    assert accepted.status_code == 202
    assert accepted.json()["status"] == "RUNNING"
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    assert_whole(seen)
    assert (seen[-1]["type"], seen[-1]["reason"]) == ("cancelled", "api")
    assert seen[-1]["partial"] == text_of(seen)
    assert_row(row, "CANCELLED", "cancelled", text_of(seen))
    told.assert_cut_off(left_ns)
    await assert_next_is_served(service, user, quick)


async def test_C8_cancel_by_an_admin(service: Service, user: Caller, quick: Agent, told: Story) -> None:
    """An administrator may end anybody's run; the stream says that it was one."""
    async with service.connect(told.agent, user.person) as connection:
        execution_id, seen = await begin(connection)
        path = f"/api/executions/{execution_id}/cancel"
        left_ns = time.monotonic_ns()
        accepted = await anyio.to_thread.run_sync(service.admin.post, path)
        seen += await answer_of(connection)

    assert accepted.status_code == 202
    assert (seen[-1]["type"], seen[-1]["reason"]) == ("cancelled", "admin")
    assert_row(service.run(execution_id), "CANCELLED", "cancelled", text_of(seen))
    told.assert_cut_off(left_ns)
    await assert_next_is_served(service, user, quick)


async def test_C9_cancel_before_the_first_token(service: Service, user: Caller, quick: Agent) -> None:
    """A run that has said nothing yet ends with an empty text."""
    mute = service.agent(first_token_ms=10_000)
    async with service.connect(mute, user.person) as connection:
        await say(connection, message="Hello", request_id="mute")
        started = await hear(connection)
        await say(connection, type="cancel", request_id="mute")
        cancelled = await hear(connection)

    assert (started["type"], started["seq"]) == ("started", 1)
    assert (cancelled["type"], cancelled["seq"], cancelled["partial"]) == ("cancelled", 2, "")
    assert cancelled["usage"]["completion_tokens"] == 0
    row = service.run(started["execution_id"])
    assert_row(row, "CANCELLED", "cancelled", "")
    assert row["first_token_ms"] is None
    await assert_next_is_served(service, user, quick)


@pytest.mark.parametrize(
    "rounds", [pytest.param(12), pytest.param(125, marks=[pytest.mark.holds, pytest.mark.timeout(300)])]
)
async def test_C9_cancel_at_the_instant_of_finish(
    service: Service, user: Caller, quick: Agent, rounds: int
) -> None:
    """Whoever wins, there is one terminal frame, and the row agrees with it. Eight connections race."""
    draw = random.Random(9)
    ends: list[Frame] = []
    acks: list[Frame] = []

    async def race(number: int) -> None:
        async with service.connect(quick, user.person) as connection:
            for turn in range(rounds):
                name = f"race-{rounds}-{number}-{turn}"
                await say(connection, message="Hello", request_id=name)
                frames = [await hear(connection)]
                await anyio.sleep(draw.uniform(0, 40) * MS)
                await say(connection, type="cancel", request_id=name)
                while not frames[-1].get("done"):
                    frames.append(await hear(connection))
                # What comes before the pong is all that the turn had to say.
                await say(connection, type="ping", nonce=name)
                while frames[-1]["type"] != "pong":
                    frames.append(await hear(connection))
                own = [frame for frame in frames if frame["type"] not in ("pong", "ack")]
                assert_whole(own)
                ends.append(own[-1])
                acks.extend(frame for frame in frames if frame["type"] == "ack")

    async with anyio.create_task_group() as group:
        for number in range(8):
            group.start_soon(race, number)

    kinds = [frame["type"] for frame in ends]
    assert set(kinds) == {"done", "cancelled"}
    assert len(ends) == 8 * rounds
    assert acks == [{"type": "ack", "of": "cancel", "noop": True}] * kinds.count("done")
    for frame in ends:
        row = service.run(frame["execution_id"])
        assert row["status"] == stage.TERMINAL[frame["type"]]
        assert (row["output_text"] or "") == frame.get("response", frame.get("partial"))
    await assert_next_is_served(service, user, quick)


async def test_C10_http_client_disconnects(service: Service, user: Caller, quick: Agent, told: Story) -> None:
    """A client that hangs up while its answer is generated ends the generation."""

    def ask_and_leave() -> tuple[str, int]:
        with stage.RawClient(service) as client:
            path = f"/api/agents/{told.agent.id}/chat"
            client.request("POST", path, user.person, b'{"message": "Hello"}')
            row = eventually(lambda: running_of(service, user), "the run")
            eventually(lambda: told.upstream.journal(told.name), "the request to the provider")
            return str(row["id"]), time.monotonic_ns()

    execution_id, left_ns = await anyio.to_thread.run_sync(ask_and_leave)
    row = await end(service, execution_id)

    assert_row(row, "CANCELLED", "client_disconnected")
    told.assert_cut_off(left_ns)
    await assert_next_is_served(service, user, quick)


async def test_C10_http_chat_cancelled_from_elsewhere(
    service: Service, user: Caller, quick: Agent, told: Story
) -> None:
    """The waiting request is answered 409 `cancelled` with the text so far."""
    answers = []

    async def ask() -> None:
        answers.append(await anyio.to_thread.run_sync(user.chat, told.agent))

    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        await eventually_async(lambda: running_of(service, user), "the run")
        await eventually_async(lambda: told.upstream.journal(told.name), "the request to the provider")
        execution_id = running_of(service, user)["id"]
        path = f"/api/executions/{execution_id}/cancel"
        left_ns = time.monotonic_ns()
        accepted = await anyio.to_thread.run_sync(user.post, path)
    [answer] = answers
    row = service.run(execution_id)

    assert accepted.status_code == 202
    assert answer.status_code == 409
    assert answer.json()["code"] == "cancelled"
    assert answer.json()["execution_id"] == execution_id
    assert_row(row, "CANCELLED", "cancelled", answer.json().get("partial", ""))
    told.assert_cut_off(left_ns)
    await assert_next_is_served(service, user, quick)


def running_of(service: Service, user: Caller) -> dict[str, Any]:
    """The user's one run that is RUNNING; empty as long as there is none."""
    runs = [row for row in service.runs_of(user.person) if row["status"] == "RUNNING"]
    return runs[0] if runs else {}


# C11: a reader that never reads


FLOOD = " ".join("x" * 3999 for _ in range(120))
"""The echo model makes 120 deltas of it: four times what all buffers between the two processes hold."""


@pytest.mark.parametrize("on_disconnect", ["cancel", pytest.param("continue", marks=pytest.mark.holds)])
@pytest.mark.parametrize("transport", ["websocket", "sse"])
async def test_C11_reader_never_reads(
    service: Service, user: Caller, quick: Agent, clocks: Clocks, transport: str, on_disconnect: str
) -> None:
    """It is given up on after `SEND_TIMEOUT`; descriptor and memory come back, and the run goes its way."""
    # Ends by itself long after it is cancelled, or before the grace of a lost reader is over.
    message, pace_ms = (f"{FLOOD} {FLOOD}", 5) if on_disconnect == "cancel" else (FLOOD, 10)
    echo = service.agent(model="embedded/echo-1", interval_ms=pace_ms)
    before = service.metrics()
    chat = {"message": message, "on_disconnect": on_disconnect}
    with stage.RawClient(service, receive_buffer=4096) as client:
        if transport == "websocket":
            client.upgrade(echo, user.person)
            client.say(type="chat", **chat)
        else:
            body = json.dumps({**chat, "stream": True}).encode()
            client.request("POST", f"/api/agents/{echo.id}/chat", user.person, body)
        await eventually_async(
            lambda: service.metrics()["slow_consumers_total"] == before["slow_consumers_total"] + 1,
            "the slow reader's end",
        )
        await assert_next_is_served(service, user, quick)
        # The client still holds its end: the server gives up its own.
        await eventually_async(lambda: not stage.holds(service, client), "the descriptor's return")
    [row, _] = service.runs_of(user.person)
    row = await end(service, row["id"])

    if on_disconnect == "cancel":
        assert_row(row, "CANCELLED", "slow_consumer")
        assert message.startswith(row["output_text"])
        clocks.fired("send, and buffers filled", SEND_MS, row["duration_ms"], before_ms=500)
    else:
        assert_row(row, "COMPLETED", None, message)
    await eventually_async(
        lambda: service.metrics()["run_frame_log_bytes"] <= 10_000, "the return of the frames' memory"
    )


# C14: server-sent events


def stream(user: Caller, agent: Agent, **more: Any) -> Any:
    """An open SSE chat, to be used as a context."""
    return user.http.stream(
        "POST",
        f"/api/agents/{agent.id}/chat",
        json={"message": "Hello", "stream": True, **more},
        headers={"Authorization": f"Bearer {user.person.token}"},
    )


def watch(user: Caller, execution_id: str, last_event_id: object) -> Any:
    return user.http.stream(
        "GET",
        f"/api/executions/{execution_id}/events",
        headers={
            "Authorization": f"Bearer {user.person.token}",
            "Last-Event-ID": str(last_event_id),
        },
    )


def drop_after(user: Caller, agent: Agent, number: int) -> list[stage.Event]:
    """The first events of a run that goes on when its stream is dropped."""
    with stream(user, agent, on_disconnect="continue") as response:
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        events = stage.events(response)
        return [next(events) for _ in range(number)]


def test_C14_event_stream_continues(service: Service, user: Caller, quick: Agent, brisk: Agent) -> None:
    """Behind `Last-Event-ID` the events go on, without a gap, to the terminal one and the end."""
    seen = drop_after(user, brisk, 4)
    execution_id = seen[0].frame["execution_id"]
    with watch(user, execution_id, 4) as response:
        assert response.status_code == 200
        seen += stage.events(response)
    frames = [event.frame for event in seen]

    assert_whole(frames)
    assert frames[-1]["type"] == "done"
    assert frames[-1]["response"] == text_of(frames)
    assert_row(service.run(execution_id), "COMPLETED", None, text_of(frames))
    assert user.chat(quick).status_code == 200


def test_C14_event_of_the_future_is_416(service: Service, user: Caller, quick: Agent, brisk: Agent) -> None:
    """Beyond the newest event there is nothing to continue; the run is not touched."""
    seen = drop_after(user, brisk, 2)
    execution_id = seen[0].frame["execution_id"]
    with watch(user, execution_id, 10_000) as response:
        problem = json.loads(response.read())
        assert response.status_code == 416
    with watch(user, execution_id, "two") as response:
        assert json.loads(response.read())["code"] == "invalid_request"
        assert response.status_code == 422
    with watch(user, execution_id, 2) as response:
        seen += stage.events(response)

    assert problem["code"] == "resume_invalid_seq"
    assert problem["last_seq_available"] >= 2
    assert_row(service.run(execution_id), "COMPLETED", None, text_of([event.frame for event in seen]))
    assert user.chat(quick).status_code == 200


def test_C14_evicted_events_are_410(service: Service, user: Caller, quick: Agent) -> None:
    """Once the frames are gone the problem says how the run ended and where its record is."""
    with stream(user, quick) as response:
        frames = [event.frame for event in stage.events(response)]
    execution_id = frames[0]["execution_id"]

    def gone() -> dict[str, Any] | None:
        with watch(user, execution_id, 1) as response:
            body = response.read()
            return json.loads(body) if response.status_code == 410 else None

    problem = eventually(gone, "the eviction")

    assert problem is not None
    assert problem["code"] == "resume_gap"
    assert problem["run_status"] == "COMPLETED"
    record = user.get(problem["record"])
    assert record.json()["output_text"] == frames[-1]["response"]
    assert_row(service.run(execution_id), "COMPLETED", None, frames[-1]["response"])
    assert user.chat(quick).status_code == 200
