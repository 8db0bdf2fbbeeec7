"""The frames of a run as server-sent events: `id:` is the seq, `event:` the type, `data:` the frame."""

from __future__ import annotations

from typing import Final

import anyio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from backend import telemetry
from backend.api.socket import count_sent
from backend.runs.manager import Runs
from backend.runs.order import Stop
from backend.runs.parts import Parts
from backend.runs.subscriber import SlowConsumer, Subscriber
from backend.runs.task import RunTask

_HEADERS: Final = [(b"content-type", b"text/event-stream; charset=utf-8")]
_HEARTBEAT: Final = b": hb\n\n"


def event(seq: int, frame: bytes) -> bytes:
    """A frame as an event; each frame begins with `{"type":"…`."""
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (seq, frame[9 : frame.index(b'"', 9)], frame)


class EventStream(Response):
    """The frames above a seq, up to the terminal one. `controls`: this request started the run.

    A reader that comes while a run has no controller becomes it; other readers only read.
    """

    def __init__(self, runs: Runs, run: RunTask, after_seq: int, *, controls: bool = False) -> None:
        super().__init__()
        self._runs = runs
        self._run = run
        self._first = after_seq
        self._seq = after_seq
        self._lost = Stop.DISCONNECTED
        self._send: Send
        self._parts = Parts()
        if not controls and run.outcome is None and not run.control.held:
            run.control.take(self)

    def superseded(self) -> None:
        """It goes on as a reader: events have no way to say that another one steers now."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._send = send
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        try:
            async with self._parts as parts:
                parts.start(self._watch, receive)
                parts.start(self._beat)
                await parts.do(self._follow, scope)
                parts.end()
            if self._run.log.closed and self._seq == self._run.log.last_seq:
                await self._put(b"", more=False)
        finally:
            self._runs.release(self._run, self, self._lost)
            count_sent(self._run.log.after(self._first)[: self._seq - self._first])

    async def _follow(self, scope: Scope) -> None:
        timeout_s = self._runs.settings.send_timeout
        try:
            await Subscriber(
                self._run.log, self._event, send_timeout_s=timeout_s, after_seq=self._first
            ).follow()
        except SlowConsumer:  # C11
            self._give_up(scope)

    async def _event(self, frame: bytes) -> None:
        await self._put(event(self._seq + 1, frame))
        self._seq += 1

    async def _beat(self) -> None:
        while True:
            await anyio.sleep(self._runs.settings.heartbeat_interval)
            # Without a clock: who takes nothing any more is found by the frames.
            await self._put(_HEARTBEAT)

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._parts.end()

    async def _put(self, data: bytes, *, more: bool = True) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": more})

    def _give_up(self, scope: Scope) -> None:
        telemetry.slow_consumers_total.inc()
        self._lost = Stop.SLOW
        abort = scope.get("state", {}).get("abort")
        if abort is not None:
            abort()
        self._parts.end()
