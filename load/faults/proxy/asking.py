"""The client's side of an HTTP connection: which requests ask for a stream, and the refusal of one.

A connection is counted, and its plan dealt, when it first asks for a stream.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from load.faults.proxy.eventstream import HEAD_END, LINE_END, headers_of
from load.faults.proxy.journal import Journal
from load.faults.proxy.pump import Link, Over, Sink

CODES: Final = {
    401: "unauthenticated",
    403: "governance_denied",
    404: "not_found",
    409: "agent_paused",
    426: "upgrade_required",
    429: "rate_limited",
    503: "capacity",
}
"""What the service says with this status in answer to a handshake; `internal` with any other."""
EXTENSIONS: Final = b"sec-websocket-extensions"


class Asking:
    """The stage of requests. back: to the client. count: gives the connection its number and operations."""

    def __init__(
        self, sink: Sink, back: Sink, link: Link, journal: Journal, count: Callable[[Link], None]
    ) -> None:
        self._sink = sink
        self._back = back
        self._link = link
        self._journal = journal
        self._count = count
        self._buffer = b""
        self._body_left: int | None = 0
        """Of the request that is passing; None when all the rest passes."""

    async def take(self, data: bytes, arrived_ns: int) -> None:
        self._buffer += data
        while self._buffer:
            if self._body_left != 0:
                size = len(self._buffer) if self._body_left is None else self._body_left
                body, self._buffer = self._buffer[:size], self._buffer[size:]
                if self._body_left is not None:
                    self._body_left -= len(body)
                await self._sink.write(body)
                continue
            head, end, rest = self._buffer.partition(HEAD_END)
            if not end:
                return
            self._buffer = rest
            await self._request(head)

    async def end(self) -> None:
        if self._buffer:
            await self._sink.write(self._buffer)
        self._sink.finish()

    async def _request(self, head: bytes) -> None:
        _, headers = headers_of(head)
        upgrade = headers.get(b"upgrade", b"").lower() == b"websocket"
        if upgrade or b"text/event-stream" in headers.get(b"accept", b""):
            if self._link.number == 0:
                self._count(self._link)
            await self._refuse()
        if upgrade or b"transfer-encoding" in headers:
            self._body_left = None
        else:
            length = headers.get(b"content-length", b"0")
            self._body_left = int(length) if length.isdigit() else None
        if upgrade:
            lines = head.split(LINE_END)
            kept = [line for line in lines if line.partition(b":")[0].strip().lower() != EXTENSIONS]
            head = LINE_END.join(kept)
        await self._sink.write(head + HEAD_END)

    async def _refuse(self) -> None:
        """Answers in the service's place, if that is planned."""
        for operation in self._link.operations:
            if operation.kind == "refuse":
                self._link.operations.remove(operation)
                self._journal.write(self._link.number, str(operation))
                await self._back.write(refusal(operation.amount))
                raise Over("fin")


def refusal(status: int) -> bytes:
    """A whole response with a problem in it."""
    phrase = HTTPStatus(status).phrase if status in {*HTTPStatus} else "Refused"
    code = CODES.get(status, "internal")
    problem = {"type": f"/problems/{code}", "title": phrase, "status": status, "code": code}
    body = json.dumps({**problem, "retryable": False, "detail": "planted by the proxy"}).encode()
    head = [
        f"HTTP/1.1 {status} {phrase}",
        "Content-Type: application/problem+json",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    return "\r\n".join([*head, "", ""]).encode() + body
