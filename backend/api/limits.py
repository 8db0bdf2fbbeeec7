"""Bounds on a request body, in bytes and in time, with or without a `Content-Length`."""

from __future__ import annotations

import math
import time

import anyio
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.errors import ErrorCode, Problem
from backend.runs import clocks
from backend.settings import Settings

__all__ = ["BodyLimit"]


class BodyLimit:
    """Raises out of `receive`, so nothing is refused before somebody wants the body.

    The server reads and drops the rest of a body that is too large: were the connection closed at once, the
    client would see a reset instead of the answer.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.max_bytes = settings.http_max_body_bytes
        self.timeout_s = settings.http_body_timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "0")
        size_bytes = 0
        began: float | None = None
        complete = False

        async def limited() -> Message:
            nonlocal size_bytes, began, complete
            if complete:
                return await receive()  # waits for the client to leave, as long as it likes
            if declared.isdecimal() and int(declared) > self.max_bytes:
                raise Problem(ErrorCode.PAYLOAD_TOO_LARGE)  # L13
            now = time.monotonic()
            began = now if began is None else began
            try:
                with anyio.fail_after(clocks.full(max(0.001, began + self.timeout_s - now))):
                    message = await receive()
            except TimeoutError:  # L16
                raise Problem(
                    ErrorCode.REQUEST_TIMEOUT,
                    headers={"Connection": "close"},
                    limit_ms=round(self.timeout_s * 1000),
                    elapsed_ms=math.ceil((time.monotonic() - began) * 1000),
                ) from None  # L16
            size_bytes += len(message.get("body", b""))
            if size_bytes > self.max_bytes:
                raise Problem(ErrorCode.PAYLOAD_TOO_LARGE)  # L13
            complete = not message.get("more_body", False)
            return message

        await self.app(scope, limited, send)
