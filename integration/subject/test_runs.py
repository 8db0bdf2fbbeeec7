"""One run, one answer: what is sent, what is stored, when, and how a run is ended from outside.

Ids `inv_…` are the invariants: R1 one terminal frame, last; R2 numbers without a gap; R3 deltas = answer =
stored text; R5 a terminal status never changes; R6 frame and row agree; R8 times are in order.
Long because all of it is about the one life of a run.
"""

from __future__ import annotations

import json
import socket as sockets
import sqlite3
import struct
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio
import pytest
from sqlalchemy.engine import make_url
from websockets.asyncio.client import ClientConnection

from integration.clocks import Clocks
from integration.subject.clients import Agent, Caller, Frame, Service, answer_of, first, hear, say, text_of
from integration.timing import MS, eventually_async

pytestmark = pytest.mark.anyio

TERMINAL_STATUS = {"done": "COMPLETED", "error": "FAILED", "cancelled": "CANCELLED"}


def database_file(service: Service) -> Path:
    return Path(make_url(service.target.database_url or "").database or "")


@contextmanager
def write_lock(service: Service) -> Generator[Callable[[], None], None, None]:
    """A second connection that holds the database's one write lock until it is told to let go."""
    connection = sqlite3.connect(database_file(service), isolation_level=None, timeout=5)
    connection.execute("BEGIN IMMEDIATE")

    def let_go() -> None:
        connection.execute("ROLLBACK")

    try:
        yield let_go
    finally:
        connection.close()


def assert_contiguous(frames: list[Frame]) -> None:
    """R1 and R2: 1, 2, 3 …, one execution, one terminal frame, at the end."""
    assert [frame["seq"] for frame in frames] == list(range(1, len(frames) + 1))
    assert len({frame["execution_id"] for frame in frames}) == 1
    assert [frame["done"] for frame in frames] == [False] * (len(frames) - 1) + [True]


async def test_inv_R1_R2_frames_are_numbered_without_a_gap(service: Service, user: Caller) -> None:
    """Thirty deltas, thirty-two frames, numbered 1 to 32, one of them terminal: the last."""
    agent = service.agent(tokens=30, interval_ms=2)
    frames = await service.converse(agent, user.person)

    assert len(frames) == 32
    assert_contiguous(frames)
    assert service.run(frames[0]["execution_id"])["last_seq"] == 32


async def test_inv_R3_deltas_are_the_answer_and_the_stored_text(service: Service, user: Caller) -> None:
    """What was streamed, what `done` says, what the row holds and what a message holds are one text."""
    agent = service.agent(tokens=30, interval_ms=2)
    frames = await service.converse(agent, user.person)

    text = text_of(frames)
    assert len(text.split()) == 30
    assert frames[-1]["response"] == text
    assert service.run(frames[0]["execution_id"])["output_text"] == text
    [stored] = service.rows(
        "SELECT content, truncated FROM chat_messages WHERE execution_id = :id AND author = 'assistant'",
        id=frames[0]["execution_id"],
    )
    assert (stored["content"], stored["truncated"]) == (text, 0)


async def test_no_delta_is_sent_twice(service: Service, user: Caller) -> None:
    """The echo model gives every word once, so a repeated or missing delta shows in the text."""
    agent = service.agent(model="embedded/echo-1", interval_ms=2)
    message = " ".join(f"word{n}" for n in range(20))
    frames = await service.converse(agent, user.person, message)

    assert text_of(frames) == message
    assert len([frame for frame in frames if frame["type"] == "delta"]) == 20


@pytest.mark.parametrize(
    "text", ["🙂🙃 ünïcödé 日本語", "e\u0301 combining", "\u200dfamily 👩‍👩‍👧", "ends with 🙂"]
)
async def test_no_delta_splits_a_character(service: Service, user: Caller, text: str) -> None:
    """Each delta is valid text by itself, and the whole is what was said."""
    agent = service.agent(model="embedded/echo-1", interval_ms=0)
    frames = await service.converse(agent, user.person, text)

    assert text_of(frames) == text.strip()


async def test_inv_R6_frame_and_row_agree_for_every_end(
    service: Service, user: Caller, slow: Agent, quick: Agent
) -> None:
    """`done`, `error` and `cancelled` are COMPLETED, FAILED and CANCELLED in the row, with the same code."""
    done = (await service.converse(quick, user.person))[-1]
    error = (await service.converse(service.agent(model="none/x"), user.person))[-1]
    async with service.connect(slow, user.person) as socket:
        await say(socket, message="Hello")
        await first(socket, "delta")
        await say(socket, type="cancel", execution_id=(await first(socket, "delta"))["execution_id"])
        cancelled = await first(socket, "cancelled")

    for frame, code in ((done, None), (error, "no_provider"), (cancelled, "cancelled")):
        row = service.run(frame["execution_id"])
        assert row["status"] == TERMINAL_STATUS[frame["type"]]
        assert row["error_code"] == code
        assert row["last_seq"] == frame["seq"]


async def test_inv_R8_times_of_a_run_are_in_order(service: Service, user: Caller, quick: Agent) -> None:
    """Queued, started, first token, completed; the first token not after the end."""
    done = (await service.converse(quick, user.person))[-1]
    row = service.run(done["execution_id"])

    moments = [row["queued_at"], row["started_at"], row["first_token_at"], row["completed_at"]]
    assert moments == sorted(moments, key=datetime.fromisoformat)
    assert 0 < row["first_token_ms"] <= row["duration_ms"]
    assert (row["first_token_ms"], row["duration_ms"]) == (done["first_token_ms"], done["duration_ms"])


async def test_terminal_frame_comes_after_the_commit(service: Service, user: Caller) -> None:
    """While another connection holds the write lock no `done` arrives; with `done` the row is there.

    The lock is taken in the middle of the stream and held 500 ms beyond its end; the service waits a second
    for a lock and tries again, so the run ends well.
    """
    agent = service.agent(tokens=6, interval_ms=60)
    async with service.connect(agent, user.person) as socket:
        await say(socket, message="Hello")
        started = await first(socket, "started")
        await first(socket, "delta")
        with write_lock(service) as let_go:
            deltas = [await first(socket, "delta") for _ in range(5)]
            with anyio.move_on_after(500 * MS) as waiting:
                early: Frame | None = await hear(socket)
            if waiting.cancelled_caught:
                early = None
            before = service.run(started["execution_id"])
            let_go()
        done = early or await hear(socket)
        after = service.run(started["execution_id"])

    assert early is None
    assert before["status"] == "RUNNING"
    assert len(deltas) == 5
    assert done["type"] == "done"
    assert after["status"] == "COMPLETED"
    assert after["output_text"] == done["response"]


async def test_first_token_timeout(service: Service, user: Caller, quick: Agent, clocks: Clocks) -> None:
    """Silence before the first token ends in `first_token_timeout`; the row is TIMED_OUT without a text."""
    mute = service.agent(first_token_ms=60_000)
    frames = await service.converse(mute, user.person)

    assert [frame["type"] for frame in frames] == ["started", "error"]
    assert_timed_out(service, frames, clocks, "first_token_timeout", 1000)
    assert "partial" not in frames[-1]
    assert (await service.converse(quick, user.person))[-1]["type"] == "done"


async def test_inter_chunk_timeout(service: Service, user: Caller, quick: Agent, clocks: Clocks) -> None:
    """Silence between two tokens ends in `inter_chunk_timeout`; what had come is kept."""
    stalling = service.agent(interval_ms=5000)
    frames = await service.converse(stalling, user.person)

    assert [frame["type"] for frame in frames] == ["started", "delta", "error"]
    assert_timed_out(service, frames, clocks, "inter_chunk_timeout", 800)
    assert frames[-1]["partial"] == text_of(frames)
    assert (await service.converse(quick, user.person))[-1]["type"] == "done"


async def test_deadline_exceeded(service: Service, user: Caller, quick: Agent, clocks: Clocks) -> None:
    """An answer that is slow but never silent ends with the total deadline; what had come is kept."""
    endless = service.agent(tokens=1000, interval_ms=100)
    frames = await service.converse(endless, user.person)

    assert len(frames) > 10
    assert_timed_out(service, frames, clocks, "deadline_exceeded", 3000)
    assert frames[-1]["partial"] == text_of(frames)
    assert (await service.converse(quick, user.person))[-1]["type"] == "done"


def assert_timed_out(service: Service, frames: list[Frame], clocks: Clocks, code: str, limit_ms: int) -> None:
    assert_contiguous(frames)
    problem = frames[-1]["error"]
    assert problem["code"] == code
    assert problem["status"] == 504
    assert problem["retryable"] is True
    assert problem["limit_ms"] == limit_ms
    clocks.fired(code, limit_ms, problem["elapsed_ms"])
    row = service.run(frames[0]["execution_id"])
    assert (row["status"], row["error_code"]) == ("TIMED_OUT", code)
    assert (row["output_text"] or "") == text_of(frames)
    assert row["last_seq"] == frames[-1]["seq"]


def test_timeout_over_http_is_504_with_the_text_so_far(
    service: Service, user: Caller, clocks: Clocks
) -> None:
    """HTTP carries the same problem, with the run and its partial text."""
    stalling = service.agent(interval_ms=5000)
    response = user.chat(stalling)

    assert response.status_code == 504
    problem = response.json()
    assert problem["code"] == "inter_chunk_timeout"
    assert problem["limit_ms"] == 800
    clocks.fired("inter_chunk_timeout", 800, problem["elapsed_ms"])
    row = service.run(problem["execution_id"])
    assert row["status"] == "TIMED_OUT"
    assert row["output_text"] == problem["partial"]
    assert len(problem["partial"].split()) == 1


async def start(socket: ClientConnection, deltas: int = 2, request_id: str = "mine") -> tuple[str, str]:
    """Starts a run and reads some deltas; its id and the text so far."""
    await say(socket, message="Hello", request_id=request_id)
    execution_id: str = (await first(socket, "started"))["execution_id"]
    text = ""
    for _ in range(deltas):
        text += (await first(socket, "delta"))["delta"]
    return execution_id, text


async def test_C8_cancel_by_execution_id(service: Service, user: Caller, slow: Agent) -> None:
    """A cancel ends the run with one `cancelled` frame; partial text is stored; the connection goes on."""
    async with service.connect(slow, user.person) as socket:
        execution_id, text = await start(socket)
        await say(socket, type="cancel", execution_id=execution_id)
        rest = await answer_of(socket)
        row = service.run(execution_id)
        await say(socket, message="Next", max_tokens=1)
        after = await answer_of(socket)

    cancelled = rest[-1]
    assert cancelled["type"] == "cancelled"
    assert cancelled["reason"] == "client"
    assert cancelled["request_id"] == "mine"
    assert cancelled["partial"] == text + text_of(rest)
    assert cancelled["usage"]["completion_tokens"] == len(cancelled["partial"].split())
    assert (row["status"], row["error_code"]) == ("CANCELLED", "cancelled")
    assert row["output_text"] == cancelled["partial"]
    assert row["last_seq"] == cancelled["seq"]
    assert after[-1]["type"] == "done"


async def test_C8_cancel_by_request_id(service: Service, user: Caller, slow: Agent) -> None:
    """A client that has not read `started` yet cancels by the id it chose itself."""
    async with service.connect(slow, user.person) as socket:
        await say(socket, message="Hello", request_id="chosen")
        await say(socket, type="cancel", request_id="chosen")
        frames = await answer_of(socket)

    assert frames[-1]["type"] == "cancelled"
    assert_contiguous(frames)
    assert service.run(frames[0]["execution_id"])["status"] == "CANCELLED"


async def test_C8_second_cancel_changes_nothing(service: Service, user: Caller, slow: Agent) -> None:
    """inv_R5: a cancel after the end is answered with `ack noop`, and the row stays as it was."""
    async with service.connect(slow, user.person) as socket:
        execution_id, _ = await start(socket)
        await say(socket, type="cancel", execution_id=execution_id)
        await answer_of(socket)
        before = service.run(execution_id)
        await say(socket, type="cancel", execution_id=execution_id)
        ack = await hear(socket)
        after = service.run(execution_id)

    assert ack["type"] == "ack"
    assert (ack["of"], ack["noop"]) == ("cancel", True)
    assert after == before


async def test_C8_cancel_after_the_end_is_a_noop(service: Service, user: Caller, quick: Agent) -> None:
    """A cancel that comes after `done` does not undo it."""
    async with service.connect(quick, user.person) as socket:
        await say(socket, message="Hello")
        done = (await answer_of(socket))[-1]
        await say(socket, type="cancel", execution_id=done["execution_id"])
        ack = await hear(socket)
        await say(socket, message="Next")
        after = await answer_of(socket)

    assert (ack["type"], ack["noop"]) == ("ack", True)
    assert service.run(done["execution_id"])["status"] == "COMPLETED"
    assert after[-1]["type"] == "done"


async def test_C8_cancel_of_a_foreign_run_is_not_found(service: Service, user: Caller, slow: Agent) -> None:
    """Nobody ends the run of another: foreign and unknown ids get the same frame, the run goes on."""
    other = service.person()
    async with service.connect(slow, other) as theirs, service.connect(slow, user.person) as mine:
        execution_id, _ = await start(theirs)
        answers = []
        for target in (execution_id, "exe_" + "0" * 32):
            await say(mine, type="cancel", execution_id=target)
            answers.append(await hear(mine))
        during = service.run(execution_id)
        await say(theirs, type="cancel", execution_id=execution_id)
        frames = await answer_of(theirs)

    assert answers[0] == answers[1]
    assert answers[0]["error"]["code"] == "not_found"
    assert answers[0]["fatal"] is False
    assert during["status"] == "RUNNING"
    assert frames[-1]["type"] == "cancelled"


def reset(connection: ClientConnection) -> None:
    """An RST: nothing that was sent or is still to come counts any more."""
    raw = connection.transport.get_extra_info("socket")
    raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, struct.pack("ii", 1, 0))
    connection.transport.abort()


def end_of_file(connection: ClientConnection) -> None:
    """A FIN without a close frame."""
    connection.transport.abort()


@pytest.mark.parametrize("leave", [reset, end_of_file], ids=["rst", "fin"])
async def test_C1_lost_client_cancels_its_run(
    service: Service, user: Caller, slow: Agent, leave: Callable[[ClientConnection], None]
) -> None:
    """A connection that breaks in mid-stream ends its run, with the text so far; others are served."""
    async with service.connect(slow, user.person) as socket:
        execution_id, text = await start(socket)
        leave(socket)

    row = await ended(service, execution_id)
    assert (row["status"], row["error_code"]) == ("CANCELLED", "client_disconnected")
    assert row["output_text"].startswith(text)
    assert len(row["output_text"].split()) < 40
    assert (await service.converse(slow, user.person, max_tokens=1))[-1]["type"] == "done"


async def test_C1_closing_client_cancels_its_run(service: Service, user: Caller, slow: Agent) -> None:
    """A close frame in mid-stream is answered, and ends the run."""
    async with service.connect(slow, user.person) as socket:
        execution_id, text = await start(socket)
        await socket.close()
        code = socket.close_code

    assert code == 1000
    row = await ended(service, execution_id)
    assert (row["status"], row["error_code"]) == ("CANCELLED", "client_disconnected")
    assert row["output_text"].startswith(text)
    assert (await service.converse(slow, user.person, max_tokens=1))[-1]["type"] == "done"


async def test_lost_clients_leave_no_run_behind(service: Service, user: Caller, slow: Agent) -> None:
    """Slots of a user whose connections broke are free again: as many runs as before can start."""
    for round_ in range(2):
        lost = []
        for number in range(4):
            async with service.connect(slow, user.person) as socket:
                lost.append((await start(socket, deltas=1, request_id=f"{round_}.{number}"))[0])
                reset(socket)
        for execution_id in lost:
            await ended(service, execution_id)

    assert [run["status"] for run in service.runs_of(user.person)] == ["CANCELLED"] * 8
    assert (await service.converse(slow, user.person, max_tokens=1))[-1]["type"] == "done"


async def ended(service: Service, execution_id: str) -> dict[str, Any]:
    """The row once it is terminal."""

    def look() -> dict[str, Any] | None:
        row = service.run(execution_id)
        return row if row["completed_at"] is not None else None

    row = await eventually_async(look, f"the end of {execution_id}")
    assert row is not None
    return row


async def test_deltas_come_as_they_are_made(service: Service, user: Caller) -> None:
    """An answer that takes a second is not held back to its end: the first delta long before the last."""
    agent = service.agent(tokens=6, interval_ms=200)
    async with service.connect(agent, user.person) as socket:
        await say(socket, message="Hello")
        await first(socket, "delta")
        begun = anyio.current_time()
        await answer_of(socket)
        took_s = anyio.current_time() - begun

    # Five intervals of 200 ms follow the first delta; half of that is more than any hold-up at its side.
    assert took_s > 0.5


async def test_execution_is_read_back_by_its_owner(service: Service, user: Caller, quick: Agent) -> None:
    """The run over REST says what the stream said, with its one attempt."""
    done = (await service.converse(quick, user.person, request_id="r1"))[-1]
    read = user.get(f"/api/executions/{done['execution_id']}").json()

    assert read["status"] == "COMPLETED"
    assert read["transport"] == "WS"
    assert read["output_text"] == done["response"]
    assert read["request_id"] == "r1"
    [attempt] = read["attempts"]
    assert (attempt["attempt"], attempt["provider"], attempt["outcome"]) == (1, "embedded", "ok")
    assert attempt["tokens"] == 4


async def test_failed_and_cancelled_runs_name_their_attempt(
    service: Service, user: Caller, slow: Agent
) -> None:
    """An attempt that a cancel ended is not called ok; a run nobody served had none."""
    async with service.connect(slow, user.person) as socket:
        execution_id, _ = await start(socket)
        await say(socket, type="cancel", execution_id=execution_id)
        await answer_of(socket)
    orphan = user.chat(service.agent(model="none/x")).json()["execution_id"]

    assert [one["outcome"] for one in user.get(f"/api/executions/{execution_id}").json()["attempts"]] == [
        "cancelled"
    ]
    assert user.get(f"/api/executions/{orphan}").json()["attempts"] == []


async def test_inv_N1_walking_executions_by_cursor(service: Service, user: Caller) -> None:
    """Every run once, newest first, also when a new one comes in between."""
    agent = service.agent(tokens=1)
    made = [user.chat(agent).json()["execution_id"] for _ in range(7)]
    path = f"/api/agents/{agent.id}/executions"

    walked, cursor = [], None
    while True:
        page = user.get(path, params={"limit": 3} | ({"cursor": cursor} if cursor else {})).json()
        walked += [one["id"] for one in page["items"]]
        if cursor is None:
            user.chat(agent)  # arrives behind the reader's back
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert walked == made[::-1]


def test_executions_by_status(service: Service, user: Caller) -> None:
    """The list of an agent can be narrowed to one status."""
    agent = service.agent(tokens=1)
    user.chat(agent)
    path = f"/api/agents/{agent.id}/executions"

    assert len(user.get(path, params={"status": "COMPLETED"}).json()["items"]) == 1
    assert user.get(path, params={"status": "FAILED"}).json() == {"items": [], "next_cursor": None}
    assert user.get(path, params={"status": "DONE"}).status_code == 422


def test_sessions_and_their_messages(service: Service, user: Caller, quick: Agent) -> None:
    """A conversation is listed with its messages in order, and a cancelled answer is marked."""
    answer = user.chat(quick, "One", session_id="talk").json()
    user.chat(quick, "Two", session_id="talk")

    [session] = user.get("/api/sessions").json()["items"]
    messages = user.get(f"/api/sessions/{session['id']}/messages").json()["items"]

    assert session["session_id"] == "talk"
    assert session["message_count"] == 4
    assert [one["author"] for one in messages] == ["user", "assistant", "user", "assistant"]
    assert messages[0]["content"] == "One"
    assert messages[1]["content"] == answer["response"]


def test_inv_N1_walking_messages_by_cursor(service: Service, user: Caller) -> None:
    """Every message once, in order, also when a turn comes in between."""
    agent = service.agent(tokens=1)
    for text in ("One", "Two", "Three"):
        user.chat(agent, text, session_id="long")
    [session] = user.get("/api/sessions").json()["items"]

    seqs, cursor = [], None
    while True:
        query = {"limit": 4} | ({"cursor": cursor} if cursor else {})
        page = user.get(f"/api/sessions/{session['id']}/messages", params=query).json()
        seqs += [one["seq"] for one in page["items"]]
        if cursor is None:
            user.chat(agent, "Four", session_id="long")
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert seqs == [1, 2, 3, 4, 5, 6, 7, 8]


def test_the_conversation_is_the_prompt(service: Service, user: Caller, quick: Agent) -> None:
    """The second turn of a session is answered with the first in mind: more prompt, another text."""
    first_turn, second_turn = (user.chat(quick, "Hello", session_id="memory").json() for _ in range(2))

    assert second_turn["usage"]["prompt_tokens"] > first_turn["usage"]["prompt_tokens"]
    assert second_turn["response"] != first_turn["response"]


def test_input_data_holds_what_was_asked(service: Service, user: Caller, quick: Agent) -> None:
    """The row keeps message, options and metadata as they came."""
    user.chat(quick, "Keep", max_tokens=2, temperature=0.5, metadata={"ticket": 7})

    [run] = service.runs_of(user.person)
    kept = json.loads(run["input_data"])
    assert kept["message"] == "Keep"
    assert kept["max_tokens"] == 2
    assert kept["temperature"] == 0.5
    assert kept["metadata"] == {"ticket": 7}
