"""Drivers leave nothing for a search for cycles to find: there is none while streams are measured."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator

import pytest

from integration.instrument.agentchat import LIMITS, answer, end, events, follow, frames
from integration.instrument.script_server import Peer, Script, ScriptServer
from load.drivers.base import Driver
from load.drivers.dialects.reading import preset
from load.drivers.mapped_http import MappedHttpDriver
from load.drivers.mapped_websocket import MappedWebSocketDriver
from load.drivers.sse import SseDriver
from load.drivers.websocket import WebSocketDriver

TURNS = 5
OURS = ("load.", "httptools.", "websockets.")
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n"


def over_websocket(peer: Peer) -> None:
    peer.shake()
    for turn in range(TURNS):
        peer.message()
        peer.send(*frames(*answer("abc", f"exe_{turn}")))
    peer.gone()


def over_http(peer: Peer) -> None:
    for turn in range(TURNS):
        peer.request()
        body = b"".join(events(*answer("abc", f"exe_{turn}")))
        peer.send(HEAD % len(body), body)
    peer.gone()


@pytest.fixture
def kept() -> Iterator[Callable[[], set[str]]]:
    """Types of ours that a search for cycles finds from now on."""

    def found() -> set[str]:
        gc.collect()
        names = {f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.garbage}
        return {name for name in names if name.startswith(OURS)}

    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    yield found
    gc.set_debug(0)
    gc.garbage.clear()
    gc.enable()


@pytest.mark.parametrize(
    ("script", "make"),
    [
        (over_websocket, lambda at: WebSocketDriver(f"ws://{at}/", {}, LIMITS)),
        (
            over_websocket,
            lambda at: MappedWebSocketDriver(
                f"http://{at}", {}, LIMITS, preset("agentchat-ws"), {"model": "m"}
            ),
        ),
        (over_http, lambda at: SseDriver(f"http://{at}", {}, LIMITS)),
        (
            over_http,
            lambda at: MappedHttpDriver(f"http://{at}", {}, LIMITS, preset("agentchat-sse"), {"model": "m"}),
        ),
    ],
    ids=["ws", "ws by table", "sse", "sse by table"],
)
def test_turns_leave_no_cycles(
    script: Script, make: Callable[[str], Driver], kept: Callable[[], set[str]]
) -> None:
    """Several on one connection, which is still open when it is looked."""
    with ScriptServer(script) as server:
        user = make(f"127.0.0.1:{server.port}")
        ends = [end(follow(user)) for _ in range(TURNS)]
        left = kept()
        user.close()

    assert (ends, left) == ([("DONE", None, {})] * TURNS, set())
