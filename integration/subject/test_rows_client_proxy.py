"""Rows C12 and C13: clients behind a network that is slow, or gone without a word."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import anyio
import anyio.to_thread
import pytest
from websockets.asyncio.client import connect

from integration.clocks import Clocks
from integration.covered import Measured
from integration.proxied import Proxy, proxied
from integration.subject import stage
from integration.subject.clients import (
    Agent,
    Caller,
    Service,
    answer_of,
    first,
    say,
    text_of,
    to_the_close,
)
from integration.subject.stage import assert_row, assert_whole, ended
from integration.timing import eventually_async

pytestmark = [pytest.mark.anyio, pytest.mark.holds]
"""A reader at 1 KB/s takes its time."""

PING_MS = 500
SETTINGS = {
    "BACKEND_WS_PING_INTERVAL": "0.5",
    "BACKEND_WS_PING_TIMEOUT": "0.5",
    "BACKEND_CLOSE_GRACE": "0.2",
    "BACKEND_RESUME_GRACE": "30",
    "BACKEND_HEARTBEAT_INTERVAL": "600",
}
RATE = 1024
TURNS = 8

Lead = Callable[[Service], Proxy]


@pytest.fixture(scope="module")
def pinging(measured: Measured) -> Iterator[Service]:
    """A server that soon wants a sign of life."""
    with stage.running(measured, "pinging", SETTINGS) as running:
        yield running


@pytest.fixture
def lead(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lead]:
    """Starts a proxy to a service."""
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("proxy")
        yield lambda service: stack.enter_context(proxied(folder, "--to", service.target.url))


def behind(proxy: Proxy, agent: Agent, user: Caller) -> connect:
    """A stream by way of the proxy; the client answers pings, also while no test reads, and sends none."""
    return connect(
        f"ws://{proxy.address}/api/agents/{agent.id}/stream",
        additional_headers={"Authorization": f"Bearer {user.person.token}"},
        compression=None,
        ping_interval=None,
        max_queue=None,
        close_timeout=0.1,
        proxy=None,
    )


async def turn_ms(service: Service, agent: Agent, user: Caller) -> float:
    """How long a whole turn takes on a connection of its own."""
    began = time.monotonic()
    frames = await service.converse(agent, user.person)
    assert frames[-1]["type"] == "done"
    return (time.monotonic() - began) * 1000


async def test_C12_slow_reader_gets_all(service: Service, user: Caller, lead: Lead) -> None:
    """At 1 KB/s every frame arrives, late; the run is not held up by its reader, and nobody else is."""
    agent, quick = service.agent(tokens=8, interval_ms=10), service.agent()
    proxy = lead(service)
    other, more = service.caller(), service.caller()
    alone_ms = [await turn_ms(service, quick, other) for _ in range(TURNS)]
    async with behind(proxy, agent, user) as slow:
        proxy.ask("/fault", fault=f"rate {RATE} down")
        began = time.monotonic()
        await say(slow, message="Hello")
        frames = [await first(slow, "started")]
        beside_ms = [await turn_ms(service, quick, more) for _ in range(TURNS)]
        row = await anyio.to_thread.run_sync(ended, service, frames[0]["execution_id"])
        stored_s = time.monotonic() - began
        frames += await answer_of(slow)
        took_s = time.monotonic() - began

    assert_whole(frames)
    assert_row(row, "COMPLETED", None, text_of(frames))
    # Frames are sent without blanks between their members.
    size = sum(len(json.dumps(frame, separators=(",", ":"))) for frame in frames)
    assert size / RATE - 0.2 <= took_s <= size / RATE + 2
    assert stored_s < took_s
    # Medians of eight, for single turns vary more than that on a shared machine.
    assert sorted(beside_ms)[TURNS // 2] < 3 * sorted(alone_ms)[TURNS // 2] + 50


ENDS = pytest.mark.parametrize(
    ("on_disconnect", "status", "code"),
    [("cancel", "CANCELLED", "client_disconnected"), ("continue", "COMPLETED", None)],
)


@ENDS
async def test_C13_no_way_back_is_1011(
    pinging: Service, lead: Lead, clocks: Clocks, on_disconnect: str, status: str, code: str | None
) -> None:
    """Pings go out and no pong comes back: 1011 after interval and timeout, and the run as it was asked for.

    Only what the client sends is lost, so that it can tell what the service said.
    """
    # 1.8 s: nearly twice as long as the service waits.
    agent, user, proxy = pinging.agent(tokens=45, interval_ms=40), pinging.caller(), lead(pinging)
    # Before connecting: the service counts from the handshake, which the client hears of later.
    began = time.monotonic()
    async with behind(proxy, agent, user) as connection:
        await say(connection, message="Hello", on_disconnect=on_disconnect)
        frames = [await first(connection, "started")]
        proxy.ask("/fault", fault="blackhole up")
        rest, close_code, _ = await to_the_close(connection)
        took_ms = (time.monotonic() - began) * 1000
    row = await anyio.to_thread.run_sync(ended, pinging, frames[0]["execution_id"])

    assert close_code == 1011
    clocks.fired("ping interval + timeout", 2 * PING_MS, round(took_ms))
    assert_row(row, status, code)
    assert row["output_text"].startswith(text_of(rest))
    assert (await pinging.converse(agent, user.person, max_tokens=1))[-1]["type"] == "done"


@ENDS
async def test_C13_pulled_cable(
    pinging: Service, lead: Lead, on_disconnect: str, status: str, code: str | None
) -> None:
    """Nothing passes either way, not even the end: the service gives the connection up by itself."""
    agent, user, proxy = pinging.agent(tokens=45, interval_ms=40), pinging.caller(), lead(pinging)
    others = stage.peers(pinging)
    async with behind(proxy, agent, user) as connection:
        [own] = stage.peers(pinging) - others
        await say(connection, message="Hello", on_disconnect=on_disconnect)
        started = await first(connection, "started")
        proxy.ask("/fault", fault="blackhole")
        row = await anyio.to_thread.run_sync(ended, pinging, started["execution_id"])
        await eventually_async(lambda: own not in stage.peers(pinging), "the end of the connection")
        heard_of_it = connection.close_code

    assert heard_of_it is None
    assert_row(row, status, code)
    assert (await pinging.converse(agent, user.person, max_tokens=1))[-1]["type"] == "done"
