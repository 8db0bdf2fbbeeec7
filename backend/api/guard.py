"""The outermost layer of a WebSocket: an exception that nobody expected still ends it by the book.

Without it the client sees 1006, as if the network had failed.
"""

from __future__ import annotations

from typing import Final

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend import telemetry
from backend.api.answers import problem_response
from backend.errors import ErrorCode, Problem

log = telemetry.logger(__name__)

_INTERNAL_ERROR: Final = 1011


class WebSocketGuard:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await self.app(scope, receive, send)
            return
        said: set[str] = set()

        async def noting(message: Message) -> None:
            await send(message)
            said.add(message["type"])

        try:
            await self.app(scope, receive, noting)
        except Exception:
            log.exception("unexpected_error")
            await _end(scope, receive, send, said)


async def _end(scope: Scope, receive: Receive, send: Send, said: set[str]) -> None:
    problem = Problem(ErrorCode.INTERNAL)  # S6
    if "websocket.close" in said or "websocket.http.response.start" in said:
        return
    if "websocket.accept" not in said:
        await problem_response(problem)(scope, receive, send)
        return
    frame = {
        "type": "error",
        "error": problem.body(telemetry.correlation_id()),
        "fatal": True,
        "done": True,
    }
    try:
        await send({"type": "websocket.send", "text": orjson.dumps(frame).decode()})
        await send({"type": "websocket.close", "code": _INTERNAL_ERROR, "reason": problem.code.value})
    except OSError:
        log.debug("client_gone")
