"""One turn of a connection: a chat or a resume, from its frame to the terminal frame of its run."""

from __future__ import annotations

import anyio

from backend.api.client_frames import Cancel, Chat, Resume
from backend.api.member import Member
from backend.api.replay import check_seq, gap, terminal_frame
from backend.api.socket import Socket, count_sent
from backend.errors import ErrorCode, Problem
from backend.runs.admission import Repeated
from backend.runs.order import Order, Stop
from backend.runs.subscriber import SlowConsumer, Subscriber
from backend.runs.task import RunTask


class Turn:
    """Controls its run while it lasts; a run that is taken over ends the turn with `superseded`."""

    def __init__(self, member: Member, socket: Socket, frame: Chat | Resume, order: Order | None) -> None:
        self._member = member
        self._socket = socket
        self._frame = frame
        self._order = order
        self.run: RunTask | None = None
        self.lost = Stop.DISCONNECTED
        self._scope = anyio.CancelScope()
        self._superseded = False
        self._cancelled_early = False

    @property
    def request_id(self) -> str | None:
        return self._order.request_id if self._order is not None else None

    @property
    def broke(self) -> bool:
        """Whether its run ended by an exception that nobody expected; the frame said that a close follows."""
        outcome = self.run.outcome if self.run is not None else None
        return outcome is not None and outcome.code is ErrorCode.INTERNAL

    def superseded(self) -> None:
        self._superseded = True
        self._scope.cancel()

    def cancel(self, frame: Cancel) -> bool:
        """Whether the cancel was meant for this turn and will end it."""
        if self.run is not None:
            meant = frame.execution_id == self.run.execution_id or (
                frame.request_id is not None and frame.request_id == self.run.order.request_id
            )
            return meant and self.run.stop(Stop.CLIENT)
        self._cancelled_early = frame.request_id is not None and frame.request_id == self.request_id
        return self._cancelled_early

    async def take(self) -> None:
        """Returns after the terminal frame; raises the problem that refused the turn, or ended it."""
        with self._scope:
            if isinstance(self._frame, Resume):
                await self._member.check_token()
                await self._resume(self._frame)
            elif self._order is not None:
                await self._chat(self._order)
        if self._superseded:
            raise Problem(ErrorCode.SUPERSEDED)  # C6

    async def _chat(self, order: Order) -> None:
        runs = self._member.runs
        try:
            run = await runs.start(order, self)
        except Repeated as repeated:
            await self._again(repeated, order)
            return
        if self._cancelled_early:
            run.stop(Stop.CLIENT)
        await self._follow(run, 0)

    async def _again(self, repeated: Repeated, order: Order) -> None:
        """The request is known: its run goes on here, or what is left of it is sent."""
        earlier = repeated.earlier
        if earlier.request_hash != order.fingerprint():
            raise Problem(ErrorCode.IDEMPOTENCY_MISMATCH)  # L12
        run = self._member.runs.find(earlier.execution_id)
        if run is not None:
            if run.outcome is None:
                await self._attach(run, 0)
            await self._follow(run, 0)  # L12
            return
        row = await self._member.find(earlier.execution_id)
        if row is None or not earlier.status.terminal:
            raise Problem(ErrorCode.RESUME_GAP, execution_id=earlier.execution_id)
        await self._socket.send_raw(terminal_frame(row, order.correlation_id))  # L12

    async def _resume(self, frame: Resume) -> None:
        member = self._member
        run = member.runs.find_own(member.viewer.user_id, frame.execution_id)
        if run is None:
            row = await member.find(frame.execution_id)
            if row is None:
                raise Problem(ErrorCode.RESUME_NOT_FOUND)  # C5
            raise gap(row)  # C4
        check_seq(run, frame.last_seq)
        await self._attach(run, frame.last_seq)
        await self._follow(run, frame.last_seq)  # C2

    async def _attach(self, run: RunTask, after_seq: int) -> None:
        self.run = run
        if run.outcome is None:
            run.control.take(self)
        if self._member.speaks_v1:
            await self._socket.send(
                type="resumed",
                execution_id=run.execution_id,
                request_id=run.order.request_id,
                from_seq=after_seq + 1,
                status=run.status.value,
            )

    async def _follow(self, run: RunTask, after_seq: int) -> None:
        """Sends the frames of the run; releases it if the connection ends first."""
        self.run = run
        timeout_s = self._member.runs.settings.send_timeout
        subscriber = Subscriber(run.log, self._socket.send_raw, send_timeout_s=timeout_s, after_seq=after_seq)
        try:
            await subscriber.follow()
        except SlowConsumer:  # C11
            self.lost = Stop.SLOW
            raise
        finally:
            self._member.runs.release(run, self, self.lost)
            count_sent(run.log.after(after_seq)[: subscriber.cursor - after_seq])
