"""One WebSocket: at most one run at a time, a reader that never stops reading, and one end.

    idle       no run of this connection          chat -> starting
    starting   the order is being admitted        refused -> idle; started -> streaming
    streaming  the frames of its run are sent     terminal frame sent -> idle
    closing    one side closed, or is too slow    nothing more is read or sent

A second chat in starting or streaming is refused with `stream_busy` and changes nothing. In `closing` a run
that is still going on is released: its `on_disconnect` decides what becomes of it.
"""

from __future__ import annotations

from typing import Final

import anyio
from anyio.abc import TaskGroup

from backend import telemetry
from backend.api.client_frames import Cancel, Chat, ClientFrame, Ping, read_frame, request_id_of
from backend.api.socket import Gone, Socket, count_sent
from backend.errors import ErrorCode, Problem
from backend.runs.admission import Repeated
from backend.runs.manager import Runs
from backend.runs.order import Order, Stop
from backend.runs.subscriber import SlowConsumer, Subscriber
from backend.runs.task import RunTask
from backend.storage.models import Transport
from backend.storage.users import Viewer

log = telemetry.logger(__name__)

INTERNAL_ERROR: Final = 1011


class Connection:
    def __init__(self, socket: Socket, runs: Runs, viewer: Viewer, agent_id: str) -> None:
        self._socket = socket
        self._runs = runs
        self._viewer = viewer
        self._agent_id = agent_id
        self._starting: Order | None = None
        self._run: RunTask | None = None
        self._cancel_at_start = False
        self._lost: Stop = Stop.DISCONNECTED
        self._group: TaskGroup

    async def serve(self) -> None:
        """Returns when the connection is over."""
        async with anyio.create_task_group() as self._group:
            try:
                await self._read()
            except Gone:
                log.debug("client_gone")
            except SlowConsumer:
                self._give_up()
            self._group.cancel_scope.cancel()

    async def _read(self) -> None:
        while True:
            message = await self._socket.receive()
            if isinstance(message, bytes):
                await self._fail(Problem(ErrorCode.UNSUPPORTED_MEDIA_TYPE))  # F5
                return
            try:
                frame = read_frame(message)
                telemetry.ws_frames_total.labels("in", frame.type).inc()
                await self._handle(frame)
            except Problem as problem:
                telemetry.ws_frames_total.labels("in", "refused").inc()
                await self._refuse(problem, request_id_of(message))

    async def _handle(self, frame: ClientFrame) -> None:
        match frame:
            case Chat():
                self._chat(frame)
            case Cancel():
                await self._cancel(frame)
            case Ping():
                await self._socket.send(
                    type="pong", nonce=frame.nonce, ts=telemetry.wire_time(telemetry.utc_now())
                )
            case _:
                raise Problem(ErrorCode.RESUME_NOT_FOUND)

    def _chat(self, frame: Chat) -> None:
        if self._starting is not None or self._run is not None:
            raise Problem(ErrorCode.STREAM_BUSY)  # F9 F15
        order = frame.order(self._runs, self._viewer.user_id, self._agent_id, Transport.WS)
        self._starting = order
        self._cancel_at_start = False
        # In a task of its own: the reader must see pongs, cancels and closes while the storage is slow.
        self._group.start_soon(self._turn, order)

    async def _turn(self, order: Order) -> None:
        try:
            run = await self._runs.start(order, self)
        except Problem as problem:
            self._starting = None
            await self._tell(problem, order.request_id)
            return
        except Repeated:
            self._starting = None
            await self._tell(Problem(ErrorCode.IDEMPOTENCY_MISMATCH), order.request_id)
            return
        self._starting, self._run = None, run
        if self._cancel_at_start:
            run.stop(Stop.CLIENT)
        await self._follow(run, 0)

    async def _follow(self, run: RunTask, after_seq: int) -> None:
        """Sends the frames of the run; gives it up if the connection ends first."""
        subscriber = Subscriber(
            run.log,
            self._socket.send_raw,
            send_timeout_s=self._runs.settings.send_timeout,
            after_seq=after_seq,
        )
        try:
            await subscriber.follow()
        except Gone:
            self._group.cancel_scope.cancel()
        except SlowConsumer:
            self._give_up()
            self._group.cancel_scope.cancel()
        finally:
            self._run = None
            self._runs.release(run, self, self._lost)
            count_sent(run.log.after(after_seq)[: subscriber.cursor - after_seq])

    async def _cancel(self, frame: Cancel) -> None:
        starting, run = self._starting, self._run
        if starting is not None and frame.request_id is not None and frame.request_id == starting.request_id:
            self._cancel_at_start = True
            return
        if run is None or frame.execution_id != run.execution_id:
            run = self._runs.find_own(self._viewer.user_id, frame.execution_id, frame.request_id)
        if run is None:
            raise Problem(ErrorCode.NOT_FOUND)  # C8
        if not run.stop(Stop.CLIENT):
            await self._socket.send(type="ack", of="cancel", noop=True)  # C8 C9

    async def _tell(self, problem: Problem, request_id: str | None) -> None:
        """An error frame from a task that is not the reader."""
        try:
            await self._refuse(problem, request_id)
        except Gone:
            self._group.cancel_scope.cancel()
        except SlowConsumer:
            self._give_up()
            self._group.cancel_scope.cancel()

    async def _refuse(self, problem: Problem, request_id: str | None = None, *, fatal: bool = False) -> None:
        named = {} if request_id is None else {"request_id": request_id}
        error = problem.body(telemetry.correlation_id())
        await self._socket.send(type="error", **named, error=error, fatal=fatal, done=True)

    async def _fail(self, problem: Problem) -> None:
        """A fatal error frame, then the close that carries its code."""
        await self._refuse(problem, fatal=True)
        await self._socket.close(problem.row.close or INTERNAL_ERROR, problem.code.value)

    def _give_up(self) -> None:
        telemetry.slow_consumers_total.inc()
        self._lost = Stop.SLOW
        self._socket.abort()

    def superseded(self) -> None:
        """Another connection took the run of this one."""
