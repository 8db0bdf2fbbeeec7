"""One run from its row to its terminal frame.

    phase     row        frame log         leaves by
    queued    QUEUED     empty             a slot -> running; stop, wait over -> settling
    running   RUNNING    started, deltas   finish, failure, clock, stop -> settling
    settling  RUNNING    the same          the commit, or its last failure -> ended
    ended     terminal   terminal frame    -

Invariants
    The way goes downwards only, and each run reaches `ended`: no exception leaves `run()`.
    `stop()` is heard in queued and running, and the first reason counts; from settling on it is too late.
    The row is committed before the terminal frame enters the log; if it cannot be, the frame says so
    (`storage_unavailable`; after an exception nobody expected `internal`, and a sweep closes the row).
    The terminal frame is the last, has the highest seq, and agrees with the row.
    Joined deltas = the text of the terminal frame = the stored text.
    Slots and the user's count are given back once, after the terminal frame.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import anyio

from backend import telemetry
from backend.errors import ErrorCode, Problem
from backend.providers.base import Ask, Piece, Provider
from backend.runs.clocks import RunLimits, RunTimes, full, ran_out, wind
from backend.runs.control import Control
from backend.runs.order import Outcome, Stop
from backend.runs.record import Admitted, RunRecord
from backend.runs.settle import Settlement
from backend.runs.slots import Slots
from backend.storage.models import RunStatus

log = telemetry.logger(__name__)


class RunTask:
    def __init__(
        self,
        admitted: Admitted,
        times: RunTimes,
        *,
        provider: Provider | None,
        limits: RunLimits,
        max_tokens: int,
        slots: Slots,
        holds_slot: bool,
        settlement: Settlement,
        on_end: Callable[[RunTask], None],
    ) -> None:
        self.order = admitted.order
        self.execution_id = admitted.execution_id
        self.record = RunRecord(admitted, times, provider)
        self.log = self.record.log
        self.outcome: Outcome | None = None
        self.ended = anyio.Event()
        self.control = Control()
        self._stop: Stop | None = None
        self._settling = False
        self._scope = anyio.CancelScope()
        self._limits = limits
        self._max_tokens = max_tokens
        self._slots = slots
        self._holds_slot = holds_slot
        self._settlement = settlement
        self._on_end = on_end

    @property
    def status(self) -> RunStatus:
        if self.outcome is not None:
            return self.outcome.status
        return RunStatus.QUEUED if self.record.times.started_ns is None else RunStatus.RUNNING

    def stop(self, reason: Stop) -> bool:
        """Ends the run from outside; false if its end is decided already."""
        if self._settling:
            return False
        if self._stop is None:
            self._stop = reason
            self._scope.cancel()
        return True

    async def run(self) -> None:
        with telemetry.bind(execution_id=self.execution_id, user_id=self.order.user_id):
            try:
                await self._run()
            except Exception:
                # An exception that left would end the group, and every run of the process with it.
                log.exception("run_broke")
                self._end(Outcome.failed(Problem(ErrorCode.INTERNAL), self.record.estimated_usage()))  # S6
            finally:
                if self._holds_slot:
                    self._slots.give_back()
                self._on_end(self)
                self.ended.set()

    async def _run(self) -> None:
        outcome = await self._produce()
        self.record.times.completed_ns = time.monotonic_ns()
        self._end(await self._settlement.commit(self.record, outcome))

    def _end(self, outcome: Outcome) -> None:
        if self.outcome is None:
            self.outcome = outcome
            self.record.end(outcome)
            self.record.count(outcome)

    async def _produce(self) -> Outcome:
        """Generates the answer and decides how it ended; from its return on, nobody can stop the run."""
        finish, problem = Piece(), None
        with self._scope:
            try:
                await self._start()
                finish = await self._answer()
            except Problem as failure:
                problem = failure
            except Exception:
                log.exception("run_failed_unexpectedly")
                problem = Problem(ErrorCode.INTERNAL)  # S6
            finally:
                self._settling = True
        usage = self.record.estimated_usage
        if self._stop is not None:
            return Outcome.failed(Problem(self._stop.code), usage(), self._stop)
        if problem is not None:
            return Outcome.failed(problem, usage())
        return Outcome(RunStatus.COMPLETED, finish.usage or usage(), finish_reason=finish.finish)

    async def _start(self) -> None:
        """QUEUED -> RUNNING; `started` is told once that is stored."""
        times = self.record.times
        if not self._holds_slot:
            await self._slots.take()
            self._holds_slot = True
            times.started_ns = time.monotonic_ns()
            await self._settlement.mark_running(self.record)  # L3
        telemetry.run_queue_seconds.observe(times.queued_s)
        self.record.start()

    async def _answer(self) -> Piece:
        """Streams the pieces into the log; returns the one that finished the answer."""
        provider, admitted = self.record.provider, self.record.admitted
        if provider is None:
            raise Problem(ErrorCode.NO_PROVIDER)  # L11
        options = admitted.agent.configuration.get(provider.name)
        ask = Ask(
            admitted.agent.model,
            admitted.messages,
            self._max_tokens,
            self.order.temperature,
            options if isinstance(options, dict) else {},
        )
        total_s = self._limits.total_s
        started_ns = time.monotonic_ns()
        try:
            with anyio.fail_after(full(total_s)):  # P8
                async with aclosing(provider.answer(ask)) as pieces:
                    return await self._follow(pieces, started_ns)
        except TimeoutError as late:  # P8
            raise ran_out(ErrorCode.DEADLINE_EXCEEDED, total_s, started_ns) from late  # P8

    async def _follow(self, pieces: AsyncGenerator[Piece, None], started_ns: int) -> Piece:
        first_token_s, inter_chunk_s = self._limits.first_token_s, self._limits.inter_chunk_s
        try:
            with anyio.fail_after(full(first_token_s)):  # P6
                piece = await _content(pieces)
        except TimeoutError as late:  # P6
            raise ran_out(ErrorCode.FIRST_TOKEN_TIMEOUT, first_token_s, started_ns) from late  # P6
        last_ns = time.monotonic_ns()
        if piece.text:
            self.record.times.first_token_ns = last_ns
            telemetry.run_first_token_seconds.observe((last_ns - started_ns) / 1e9)
        try:
            with anyio.fail_after(full(inter_chunk_s)) as clock:  # P7
                while True:
                    if piece.text:
                        self._say(piece.text)
                    if piece.finish is not None:
                        return piece
                    # One scope whose deadline moves: a scope for each piece would cost as much as the piece.
                    if wind(clock, inter_chunk_s):
                        last_ns = time.monotonic_ns()
                    piece = await _content(pieces)
        except TimeoutError as late:  # P7
            raise ran_out(ErrorCode.INTER_CHUNK_TIMEOUT, inter_chunk_s, last_ns) from late  # P7

    def _say(self, text: str) -> None:
        size_bytes = len(text.encode())
        record = self.record
        if record.deltas == self._max_tokens or record.text_bytes + size_bytes > self._limits.answer_bytes:
            raise Problem(ErrorCode.RESPONSE_TOO_LARGE)  # P16
        record.say(text, size_bytes)


async def _content(pieces: AsyncGenerator[Piece, None]) -> Piece:
    """The next piece that says or finishes something."""
    while True:
        piece = await anext(pieces)  # a provider finishes or raises
        if piece.text or piece.finish is not None:
            return piece
