"""One WebSocket: at most one run at a time, a reader that never stops reading, and one end.

    idle       no run of this connection          chat, resume -> starting
    starting   admission, or looking for the run  refused -> idle; found -> streaming
    streaming  the frames of its run are sent     terminal frame sent -> idle
    closing    one side closed, or is too slow    nothing more is read or sent

A second chat in starting or streaming is refused with `stream_busy` and changes nothing. A close that the
server decides waits for `idle`, but for slow readers, floods and a run that was taken over. In `closing` a
run that still goes on is released: its `on_disconnect` decides what becomes of it.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Final

import anyio

from backend import telemetry
from backend.api.client_frames import Cancel, Chat, ClientFrame, Ping, Resume, read_frame, request_id_of
from backend.api.member import Member
from backend.api.socket import Gone, Socket
from backend.api.strikes import Strikes
from backend.api.turn import Turn
from backend.errors import ErrorCode, Problem
from backend.runs.clocks import ran_out, wind
from backend.runs.order import Stop
from backend.runs.parts import Parts
from backend.runs.subscriber import SlowConsumer

log = telemetry.logger(__name__)

_INTERNAL_ERROR: Final = 1011
_RESTART: Final = 1012


class Connection:
    def __init__(self, socket: Socket, member: Member) -> None:
        self._socket = socket
        self._member = member
        self._settings = member.runs.settings
        self._strikes = Strikes(self._settings)
        self._turn: Turn | None = None
        self._free = anyio.Event()  # set while there is no turn
        self._free.set()
        self._pending: Problem | None = None  # closes the connection as soon as it is idle
        self._idle_clock = anyio.CancelScope()
        self._idle_limit_s = self._settings.ws_first_frame_timeout
        self._idle_since_ns = time.monotonic_ns()
        self._parts = Parts()

    @property
    def user_id(self) -> str:
        return self._member.viewer.user_id

    async def serve(self) -> None:
        """Returns when the connection is over."""
        self._member.runs.connections.add(self)
        try:
            async with self._parts as parts:
                parts.start(self._guarded, self._watch_member)
                if self._member.speaks_v1:
                    await self._guarded(lambda: self._socket.send(**self._member.ready()))
                    parts.start(self._guarded, self._beat)
                await parts.do(self._guarded, self._read)
                parts.end()
        finally:
            self._member.runs.connections.remove(self)

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        """Any part may find that the client is gone, or does not read: then all parts end."""
        try:
            await work()
        except Gone:
            log.debug("client_gone")
            self._parts.end()
        except SlowConsumer:  # C11
            telemetry.slow_consumers_total.inc()
            if self._turn is not None:
                self._turn.lost = Stop.SLOW
            self._socket.abort()
            self._parts.end()

    # Reading

    async def _read(self) -> None:
        while True:
            try:
                with anyio.fail_after(None) as self._idle_clock:  # F12
                    self._wind_idle_clock()
                    message = await self._socket.receive()
            except TimeoutError:  # F12
                await self._close_for(
                    ran_out(ErrorCode.IDLE_TIMEOUT, self._idle_limit_s, self._idle_since_ns), asked=False
                )
                return
            self._idle_limit_s = self._settings.ws_idle_timeout
            self._idle_since_ns = time.monotonic_ns()
            if isinstance(message, bytes):
                await self._close_for(Problem(ErrorCode.UNSUPPORTED_MEDIA_TYPE), asked=True)  # F5
                return
            try:
                self._strikes.frame()
                frame = read_frame(message)
                telemetry.ws_frames_total.labels("in", frame.type).inc()
                await self._handle(frame)
            except Problem as problem:
                telemetry.ws_frames_total.labels("in", "refused").inc()
                if await self._refused(problem, request_id_of(message)):
                    return

    def _wind_idle_clock(self) -> None:
        """It runs while nothing is going on; a run has clocks of its own."""
        gone_s = (time.monotonic_ns() - self._idle_since_ns) / 1e9
        wind(self._idle_clock, None if self._turn is not None else self._idle_limit_s - gone_s)

    async def _handle(self, frame: ClientFrame) -> None:
        match frame:
            case Chat() | Resume():
                self._begin(frame)
            case Cancel():
                await self._cancel(frame)
            case Ping():
                now = telemetry.wire_time(telemetry.utc_now())
                await self._socket.send(type="pong", nonce=frame.nonce, ts=now)

    def _begin(self, frame: Chat | Resume) -> None:
        if self._turn is not None:
            raise Problem(ErrorCode.STREAM_BUSY)  # F9 F15
        order = self._member.order(frame) if isinstance(frame, Chat) else None
        self._turn = Turn(self._member, self._socket, frame, order)
        self._free = anyio.Event()
        # In a task of its own: the reader must see pongs, cancels and closes while the storage is slow.
        self._parts.start(self._guarded, self._take_turn)

    async def _cancel(self, frame: Cancel) -> None:
        if self._turn is not None and self._turn.cancel(frame):
            return
        run = self._member.runs.find_own(self.user_id, frame.execution_id, frame.request_id)
        known = run is not None or await self._member.has_run(frame)
        if not known:
            raise Problem(ErrorCode.NOT_FOUND)  # C8
        if run is None or not run.stop(Stop.CLIENT):
            await self._socket.send(type="ack", of="cancel", noop=True)  # C8 C9

    # One turn

    async def _take_turn(self) -> None:
        turn = self._turn
        assert turn is not None
        problem = None
        try:
            await turn.take()
            self._strikes.accepted()
        except Problem as refusal:
            problem = refusal
        finally:
            self._turn = None
            self._free.set()
            self._idle_since_ns = time.monotonic_ns()
            self._wind_idle_clock()
        if problem is not None and problem.row.close is not None and problem.code in _ENDS_CONNECTION:
            await self._close_for(problem, asked=True)
        elif problem is not None:
            await self._refused(problem, turn.request_id)
        elif turn.broke:
            await self._socket.close(_INTERNAL_ERROR, ErrorCode.INTERNAL.value)  # S6
            self._parts.end()
        if self._pending is not None:
            await self._close_for(self._pending, asked=False)

    # Ends

    async def _refused(self, problem: Problem, request_id: str | None) -> bool:
        """Tells what was wrong with a frame; true if that was once too often."""
        fatal = self._strikes.refused(problem.code)
        if fatal:
            await self._close_for(problem, asked=True, request_id=request_id)
        else:
            await self._tell(problem, request_id, fatal=False)
        return fatal

    async def _tell(self, problem: Problem, request_id: str | None, *, fatal: bool) -> None:
        named = {} if request_id is None else {"request_id": request_id}
        error = problem.body(telemetry.correlation_id())
        await self._socket.send(type="error", **named, error=error, fatal=fatal, done=True)

    async def _close_for(self, problem: Problem, *, asked: bool, request_id: str | None = None) -> None:
        """The fatal frame and its close. In the plain contract what nobody asked for comes bare."""
        if asked or self._member.speaks_v1:
            await self._tell(problem, request_id, fatal=True)
        await self._socket.close(problem.row.close or _INTERNAL_ERROR, problem.code.value)  # A1 A2 F5 F12
        self._parts.end()

    # The member, and the server's own frames

    async def _beat(self) -> None:
        while True:
            await anyio.sleep(self._settings.heartbeat_interval)
            run = self._turn.run if self._turn is not None else None
            active = [] if run is None else [run.execution_id]
            now = telemetry.wire_time(telemetry.utc_now())
            await self._socket.send(type="heartbeat", ts=now, active=active)

    async def _watch_member(self) -> None:
        problem = await self._member.wait_until_barred()  # A1 A5
        self._pending = problem
        if self._turn is None:
            await self._close_for(problem, asked=False)

    async def going_away(self, drain_ms: int) -> None:
        if self._member.speaks_v1:
            await self._guarded(
                lambda: self._socket.send(type="going_away", reason="shutdown", drain_ms=drain_ms)
            )

    async def restart(self) -> None:
        """Closes with 1012, after the terminal frame of its run."""
        await self._free.wait()
        await self._socket.close(_RESTART, ErrorCode.SERVER_SHUTDOWN.value)  # S1
        self._parts.end()


_ENDS_CONNECTION: Final = frozenset({ErrorCode.AUTH_EXPIRED, ErrorCode.SUPERSEDED})
