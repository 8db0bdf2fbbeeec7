"""A server with room for one run: who waits, who is turned away, who leaves: rows L3 to L5."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.client import ClientConnection

from integration.clocks import Clocks
from integration.subject.clients import Agent, Caller, Service, answer_of, first, hear, say
from integration.subject.stage import THE_END, story
from integration.timing import eventually_async
from integration.upstream import Upstream

pytestmark = pytest.mark.anyio

QUEUE_MS = 1000


@asynccontextmanager
async def the_slot_taken(narrow: Service, words: int) -> AsyncGenerator[ClientConnection, None]:
    """The one run slot is busy for `words` times 100 ms, or until the connection is closed."""
    agent = narrow.agent(tokens=words, interval_ms=100)
    async with narrow.connect(agent, narrow.person()) as holder:
        await say(holder, message="Hello")
        await first(holder, "delta")
        yield holder


async def test_L3_a_slot_that_frees_in_time_serves_who_waits(narrow: Service) -> None:
    """The run is stored as QUEUED, starts when the first has ended, and completes."""
    agent, user = narrow.agent(), narrow.caller()
    async with the_slot_taken(narrow, 6) as holder, narrow.connect(agent, user.person) as socket:
        await say(socket, message="Hello")
        [queued] = await eventually_async(lambda: narrow.runs_of(user.person), "the run is stored")
        held = (await answer_of(holder))[-1]
        frames = await answer_of(socket)

    row = narrow.run(queued["id"])
    assert queued["status"] == "QUEUED"
    assert queued["started_at"] is None
    assert held["type"] == "done"
    assert frames[-1]["type"] == "done"
    assert row["status"] == "COMPLETED"
    assert row["started_at"] >= narrow.run(held["execution_id"])["completed_at"]
    # Waiting is not part of the answer: the clocks of the run begin with its start.
    assert row["duration_ms"] < QUEUE_MS


async def test_L4_waiting_too_long_over_http_is_503(narrow: Service, clocks: Clocks) -> None:
    """After the queue timeout the run is FAILED with `capacity`, and the answer says how long it was."""
    agent, user = narrow.agent(), narrow.caller()
    async with the_slot_taken(narrow, 25) as holder:
        response = user.chat(agent)
        still = await hear(holder)

    problem = response.json()
    assert response.status_code == 503
    assert problem["code"] == "capacity"
    assert problem["retryable"] is True
    assert response.headers["Retry-After"] == "1"
    assert problem["limit_ms"] == QUEUE_MS
    clocks.fired("queue", QUEUE_MS, problem["elapsed_ms"])
    [row] = narrow.runs_of(user.person)
    assert (row["status"], row["error_code"], row["started_at"]) == ("FAILED", "capacity", None)
    assert still["type"] == "delta"
    assert await served(narrow, agent, user)


async def test_L4_waiting_too_long_on_a_stream_is_an_error(narrow: Service, clocks: Clocks) -> None:
    """The stream gets the same problem, without `started`, and goes on."""
    agent, user = narrow.agent(), narrow.caller()
    async with narrow.connect(agent, user.person) as socket:
        async with the_slot_taken(narrow, 25):
            await say(socket, message="Hello", request_id="waits")
            frames = await answer_of(socket)
        await say(socket, message="Again")
        after = await answer_of(socket)

    [error] = frames
    assert error["type"] == "error"
    assert error["error"]["code"] == "capacity"
    assert error["request_id"] == "waits"
    clocks.fired("queue", QUEUE_MS, error["error"]["elapsed_ms"])
    assert after[-1]["type"] == "done"
    rows = narrow.runs_of(user.person)
    assert [(row["status"], row["error_code"]) for row in rows] == [
        ("FAILED", "capacity"),
        ("COMPLETED", None),
    ]


async def test_L5_client_leaves_while_queued(narrow: Service, upstream: Upstream) -> None:
    """Its run is CANCELLED at once, never started, and its place in the queue is not leaked.

    No provider is asked.
    """
    told, user = story(narrow, upstream, [["delta", "Hello"], *THE_END]), narrow.caller()
    agent = told.agent
    async with the_slot_taken(narrow, 15) as holder:
        async with narrow.connect(agent, user.person) as socket:
            await say(socket, message="Hello")
            await eventually_async(lambda: narrow.runs_of(user.person), "the run is stored")
        left = time.monotonic()
        await eventually_async(lambda: narrow.runs_of(user.person)[0]["completed_at"], "the run is over")
        took_s = time.monotonic() - left
        still = await hear(holder)
        await answer_of(holder)

    [row] = narrow.runs_of(user.person)
    assert (row["status"], row["error_code"]) == ("CANCELLED", "client_disconnected")
    assert row["started_at"] is None
    assert row["output_text"] is None
    assert took_s < QUEUE_MS / 1000  # it did not wait for its timeout
    assert still["type"] == "delta"  # the slot was not given away under the run that has it
    assert told.requests() == []
    assert await served(narrow, agent, user)


async def served(narrow: Service, agent: Agent, user: Caller) -> bool:
    """Two runs after each other find the slot free."""
    ends = [(await narrow.converse(agent, user.person))[-1]["type"] for _ in range(2)]
    return ends == ["done", "done"]
