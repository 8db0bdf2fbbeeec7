"""The outermost layer: ids, header rules, common headers, the access log, an answer to the unexpected.

Pure ASGI: a middleware that buffers or hides disconnects would change what the streams inside it do.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend import telemetry
from backend.api.answers import problem_response
from backend.errors import ErrorCode, Problem
from backend.storage.ids import new_id

__all__ = ["Edge"]

log = telemetry.logger(__name__)

MAX_HEADERS: Final = 128
MAX_HEADER_BYTES: Final = 65_536
_CORRELATION_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TRACEPARENT: Final = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_GONE: Final = 499  # the client left before it could be answered


class Edge:
    """Wraps the whole application."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        ids = _ids(scope["headers"])
        with telemetry.bind(**ids):
            if scope["type"] == "websocket":
                await self.app(scope, receive, _with_headers(send, ids["correlation_id"]))
            else:
                await _Exchange(scope, ids["correlation_id"]).run(self.app, receive, send)


class _Exchange:
    """One HTTP request and its answer."""

    def __init__(self, scope: Scope, correlation_id: str) -> None:
        self.scope = scope
        self.correlation_id = correlation_id
        self.status: int | None = None  # None: the answer has not begun

    async def run(self, app: ASGIApp, receive: Receive, send: Send) -> None:
        began = time.monotonic()

        async def send_and_note(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.status = message["status"]
            await send(message)

        answer = _with_headers(send_and_note, self.correlation_id)
        try:
            _check_headers(self.scope)
            await app(self.scope, receive, answer)
        except ClientDisconnect:  # C10
            self.status = self.status or _GONE
        except Problem as problem:
            await self._answer(problem, receive, answer)
        except Exception as error:
            log.error("unexpected_error", exc_info=error)
            await self._answer(Problem(ErrorCode.INTERNAL), receive, answer)  # S6
        finally:
            self._record(time.monotonic() - began)

    async def _answer(self, problem: Problem, receive: Receive, send: Send) -> None:
        if self.status is not None:
            raise problem  # the answer has begun: all that is left is to break the connection
        await problem_response(problem)(self.scope, receive, send)

    def _record(self, seconds: float) -> None:
        route = getattr(self.scope.get("route"), "path", "unmatched")
        method = self.scope["method"] if self.scope["method"] in _METHODS else "OTHER"
        status = self.status or 500
        telemetry.http_requests_total.labels(route, method, str(status)).inc()
        telemetry.http_request_seconds.observe(seconds)
        log.info(
            "http_request",
            extra={"route": route, "method": method, "status": status, "duration_ms": round(seconds * 1000)},
        )


def _ids(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """The correlation id of the client or a new one, and its trace if it sent a valid one."""
    ids = {"correlation_id": ""}
    for name, value in headers:
        if name == b"x-correlation-id" and _CORRELATION_ID.fullmatch(value.decode("latin-1")):
            ids["correlation_id"] = value.decode("latin-1")
        elif name == b"traceparent" and _TRACEPARENT.fullmatch(value.decode("latin-1")):
            ids["traceparent"] = value.decode("latin-1")
    ids["correlation_id"] = ids["correlation_id"] or new_id("cor")
    return ids


def _check_headers(scope: Scope) -> None:
    """What the HTTP library lets through: headers without end, no `Host`, HTTP/0.9."""
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    size_bytes = sum(len(name) + len(value) for name, value in headers)
    if len(headers) > MAX_HEADERS or size_bytes > MAX_HEADER_BYTES:
        raise Problem(ErrorCode.HEADERS_TOO_LARGE)  # H13
    if scope["http_version"] not in ("1.0", "1.1") or not any(name == b"host" for name, _ in headers):
        raise Problem(ErrorCode.INVALID_REQUEST, "HTTP/1.1 with a Host is required", status=400)  # L17


def _with_headers(send: Send, correlation_id: str) -> Send:
    """Puts the common headers on whatever starts an answer."""

    async def with_headers(message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.http.response.start", "websocket.accept"):
            message.setdefault("headers", [])  # optional in websocket.accept
            headers = MutableHeaders(scope=message)
            headers["X-Correlation-Id"] = correlation_id
            if message["type"] != "websocket.accept":
                headers["X-Content-Type-Options"] = "nosniff"
                headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return with_headers
