"""An application that raises, inside the layers that the service puts around its own."""

from __future__ import annotations

from typing import NoReturn

import anyio
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.api.edge import Edge
from backend.api.guard import WebSocketGuard

SECRET = "what nobody outside may read"


def create_app() -> ASGIApp:
    return Edge(WebSocketGuard(raising))


async def raising(scope: Scope, receive: Receive, send: Send) -> None:
    """`/begun` raises in the middle of its answer, `/over` behind the end of its connection, anything else at
    once; what ends in `late` later."""
    if scope["type"] == "lifespan":
        await live(receive, send)
        return
    await receive()
    begun = scope["path"].startswith("/begun")
    if begun and scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
    elif begun:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"so far", "more_body": True})
    if scope["path"] == "/over":
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 1000})
    if scope["path"].endswith("late"):
        await anyio.sleep(0.3)
    fail()


async def live(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


def fail() -> NoReturn:
    raise RuntimeError(SECRET)
