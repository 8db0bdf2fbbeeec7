"""The outermost layer of a WebSocket: an exception that nobody expected still ends it by the book.

Without it the client sees 1006, as if the network had failed.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

import orjson
from starlette.types import ASGIApp, Receive, Scope, Send

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
        try:
            await self.app(scope, receive, send)
        except Exception:
            log.exception("unexpected_error")
            await _end(scope, receive, send)


async def _end(scope: Scope, receive: Receive, send: Send) -> None:
    """As far as the connection had come: not at all, accepted, or over."""
    problem = Problem(ErrorCode.INTERNAL)  # S6
    error = problem.body(telemetry.correlation_id())
    frame = orjson.dumps({"type": "error", "error": error, "fatal": True, "done": True})
    try:
        await send({"type": "websocket.send", "text": frame.decode()})
        await send({"type": "websocket.close", "code": _INTERNAL_ERROR, "reason": problem.code.value})
    except OSError:
        log.debug("client_gone")
    except RuntimeError:
        # The server knows the state better than a wrapper around each frame would, and it costs nothing.
        with suppress(RuntimeError, OSError):
            await problem_response(problem)(scope, receive, send)
