"""One accepted WebSocket as raw frames: whole messages in, encoded frames out, each send under a deadline.

open     frames go both ways
closed   a close was sent or received, or the transport was aborted; further sends are dropped
"""

from __future__ import annotations

from collections import Counter

import anyio
import orjson
from starlette.websockets import WebSocket, WebSocketDisconnect

from backend import telemetry
from backend.runs.subscriber import SlowConsumer

log = telemetry.logger(__name__)


class Gone(Exception):
    """The client is not there any more."""


class Socket:
    def __init__(self, websocket: WebSocket, send_timeout_s: float) -> None:
        self._websocket = websocket
        self._send_timeout_s = send_timeout_s
        self.closed = False

    async def receive(self) -> str | bytes:
        """The next message; raises `Gone` when there will be none. Only one task may stand here."""
        # Raw, because receive_text() raises KeyError on a binary message.
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            self.closed = True
            code = message.get("code", 1005)
            telemetry.ws_closes_total.labels(str(code), "client").inc()
            raise Gone  # C1 F14
        text: str | None = message.get("text")
        if text is not None:
            return text
        data: bytes = message["bytes"]
        return data

    async def send_raw(self, frame: bytes) -> None:
        """One frame, without a deadline of its own; raises `Gone`."""
        if self.closed:
            raise Gone
        try:
            await self._websocket.send({"type": "websocket.send", "text": frame.decode()})
        except (WebSocketDisconnect, RuntimeError) as lost:
            # Which of them it is depends on whether the transport or the protocol knew first.
            self.closed = True
            raise Gone from lost

    async def send(self, **frame: object) -> None:
        """One frame of the connection; raises `Gone`, or `SlowConsumer` after the send timeout."""
        telemetry.ws_frames_total.labels("out", str(frame["type"])).inc()
        try:
            with anyio.fail_after(self._send_timeout_s):
                await self.send_raw(orjson.dumps(frame))
        except TimeoutError as late:
            raise SlowConsumer from late

    async def close(self, code: int, reason: str = "") -> None:
        if self.closed:
            return
        self.closed = True
        telemetry.ws_closes_total.labels(str(code), "server").inc()
        try:
            with anyio.fail_after(self._send_timeout_s):
                await self._websocket.close(code, reason)
        except TimeoutError:
            self.abort()
        except (WebSocketDisconnect, RuntimeError):
            log.debug("close_after_disconnect")

    def abort(self) -> None:
        """Drops the connection at once: a close would wait for a buffer that nobody empties."""
        self.closed = True
        abort = self._websocket.scope.get("state", {}).get("abort")
        if abort is not None:
            abort()


def count_sent(frames: list[bytes]) -> None:
    """Counts frames of a run by type; each begins with `{"type":"…`."""
    for kind, number in Counter(frame[9 : frame.index(b'"', 9)] for frame in frames).items():
        telemetry.ws_frames_total.labels("out", kind.decode()).inc(number)
