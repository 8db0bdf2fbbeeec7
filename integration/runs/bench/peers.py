"""`python -m integration.runs.bench.peers NAME PORT STREAMS SECONDS OUT`: another client doing the same work.

Each keeps STREAMS answers under way, parses the JSON of every chunk, checks its number and times it after the
read, as load tools written around such clients do. What it timed is written to OUT.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

BODY: Final = {"message": "Tell me a story."}
TEXT: Final = json.dumps(BODY)
FOUND: Final[dict[str, list[int]]] = {}


class Answer:
    """One answer: what every client does with a message."""

    def __init__(self) -> None:
        self.name = ""
        self.seq = 0
        self.arrivals: list[int] = []

    def take(self, message: str | bytes) -> bool:
        """Whether it was the last."""
        at = time.perf_counter_ns()
        frame: dict[str, Any] = LOADS(message)
        if frame["seq"] != self.seq + 1:
            raise AssertionError(f"{frame['seq']} behind {self.seq}")
        self.seq += 1
        if frame["type"] == "delta":
            self.arrivals.append(at)
        elif frame["type"] == "started":
            self.name = frame["execution_id"]
        else:
            FOUND[self.name] = self.arrivals
            return True
        return False


def orjson_or_json() -> Callable[[str | bytes], Any]:
    import orjson

    return orjson.loads


LOADS: Final = orjson_or_json()


def asynchronous(user: Callable[[int, float], Any], port: int, streams: int, until: float) -> None:
    import uvloop

    async def all_of_them() -> None:
        await asyncio.gather(*(user(port, until) for _ in range(streams)))

    uvloop.run(all_of_them())


def under_gevent(user: Callable[[int, float], None], port: int, streams: int, until: float) -> None:
    import gevent

    gevent.joinall([gevent.spawn(user, port, until) for _ in range(streams)], raise_error=True)


async def websockets_asyncio(port: int, until: float) -> None:
    from websockets.asyncio.client import connect

    async with connect(f"ws://127.0.0.1:{port}/", proxy=None, compression=None, close_timeout=2) as socket:
        while time.monotonic() < until:
            answer = Answer()
            await socket.send(TEXT)
            while not answer.take(await socket.recv(decode=False)):
                pass


def websockets_sync(port: int, until: float) -> None:
    from websockets.sync.client import connect

    with connect(f"ws://127.0.0.1:{port}/", proxy=None, compression=None, close_timeout=2) as socket:
        while time.monotonic() < until:
            answer = Answer()
            socket.send(TEXT)
            while not answer.take(socket.recv(decode=False)):
                pass


def websocket_client(port: int, until: float) -> None:
    import websocket

    socket = websocket.create_connection(f"ws://127.0.0.1:{port}/")
    while time.monotonic() < until:
        answer = Answer()
        socket.send(TEXT)
        while not answer.take(socket.recv()):
            pass
    socket.close()


async def picows(port: int, until: float) -> None:
    import picows as library  # type: ignore[import-not-found,unused-ignore]

    class Listener(library.WSListener):  # type: ignore[misc]
        def on_ws_connected(self, transport: Any) -> None:
            self.answer = Answer()
            transport.send(library.WSMsgType.TEXT, TEXT.encode())

        def on_ws_frame(self, transport: Any, frame: Any) -> None:
            if frame.msg_type == library.WSMsgType.TEXT and self.answer.take(
                frame.get_payload_as_memoryview()
            ):
                self.answer = Answer()
                if time.monotonic() < until:
                    transport.send(library.WSMsgType.TEXT, TEXT.encode())
                else:
                    transport.disconnect()

    transport, _ = await library.ws_connect(Listener, f"ws://127.0.0.1:{port}/")
    await transport.wait_disconnected()


async def aiohttp_sse(port: int, until: float) -> None:
    import aiohttp

    async with aiohttp.ClientSession() as session:
        while time.monotonic() < until:
            answer = Answer()
            async with session.post(f"http://127.0.0.1:{port}/", json=BODY) as response:
                async for line in response.content:
                    if line.startswith(b"data: "):
                        answer.take(line[6:])


PEERS: Final[dict[str, tuple[str, str, Any]]] = {
    "websockets-asyncio": ("websockets", "ws", websockets_asyncio),
    "websockets-sync-gevent": ("websockets", "ws", websockets_sync),
    "websocket-client-gevent": ("websocket-client", "ws", websocket_client),
    "picows": ("picows", "ws", picows),
    "aiohttp": ("aiohttp", "sse", aiohttp_sse),
}
"""Name -> its distribution, its wire, what one user does."""


def main(name: str, port: int, streams: int, seconds: float, out: str) -> None:
    user = PEERS[name][2]
    drive = asynchronous if asyncio.iscoroutinefunction(user) else under_gevent
    drive(user, port, streams, time.monotonic() + seconds)
    Path(out).write_text(json.dumps(FOUND))


if __name__ == "__main__":
    if sys.argv[1].endswith("gevent"):
        from gevent import monkey

        monkey.patch_all()
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), sys.argv[5])
