"""All runs of the process: one task group that is open as long as the application lives."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from itertools import chain
from types import TracebackType
from typing import Self

import anyio
from anyio.abc import TaskGroup

from backend import telemetry
from backend.errors import ErrorCode, Problem
from backend.providers.choice import Providers
from backend.runs.admission import Admission
from backend.runs.clocks import RunLimits, RunTimes
from backend.runs.connections import Connections
from backend.runs.control import Controller
from backend.runs.leases import Leases
from backend.runs.limits import Alone
from backend.runs.order import Order, Stop
from backend.runs.parts import Parts
from backend.runs.record import Admitted
from backend.runs.settle import Settlement
from backend.runs.slots import Slots
from backend.runs.task import RunTask
from backend.settings import Settings
from backend.storage.ids import new_id
from backend.storage.session import Database

log = telemetry.logger(__name__)

# What stopped runs may take to be stored, and then connections to say goodbye. A reader that never reads
# takes all of its half second, and of the server's flush: together they must stay well below two seconds.
_END_S = 1.0
_GOODBYE_S = 0.5
_EVICTION_S = 0.5


class Runs:
    def __init__(self, settings: Settings, database: Database, providers: Providers) -> None:
        self.settings = settings
        self.draining = False
        self.connections = Connections(settings.max_connections, settings.max_connections_per_user)
        self._database = database
        self._providers = providers
        self._limits = RunLimits.of(settings)
        self._slots = Slots(settings.max_runs, settings.run_queue_timeout)
        instance = new_id("ins")
        self._admission = Admission(settings, database, instance)
        # Four attempts, each of them waiting for its turn and for the lock, with the pauses between them.
        settle_s = 4 * (settings.db_pool_timeout + settings.db_lock_timeout) + 1
        self._settlement = Settlement(database, settle_s)
        self._active: dict[str, RunTask] = {}
        self._ended: dict[str, tuple[RunTask, float]] = {}  # kept for replay until that monotonic second
        self._all_ended = anyio.Event()
        self._requests = Alone()  # so that a repeated request finds the run of the first, not only its row
        self._leases = Leases(database, self._settlement, settings.lease_ttl, lambda: list(self._active))
        self._group: TaskGroup
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._leases.interrupt_lost()
        self._group = await self._stack.enter_async_context(anyio.create_task_group())
        self._group.start_soon(self._leases.keep)
        self._group.start_soon(self._evict)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        if not self.draining:
            self.draining = True
            await self._end_all()
        self._group.cancel_scope.cancel()
        await self._stack.aclose()

    @property
    def connection_cap(self) -> int:
        return self.connections.cap

    def slots_exhausted_s(self) -> float:
        """How long there has been no free run slot; 0 while there is one."""
        return self._slots.full_for_s()

    def active(self) -> list[RunTask]:
        return list(self._active.values())

    def find(self, execution_id: str) -> RunTask | None:
        """The run, while it is active or its frames are kept."""
        run = self._active.get(execution_id)
        if run is None and (kept := self._ended.get(execution_id)) and time.monotonic() < kept[1]:
            run = kept[0]
        return run

    def find_own(
        self, user_id: str, execution_id: str | None = None, request_id: str | None = None
    ) -> RunTask | None:
        """The user's run of that id, or of that request, while its frames are kept."""
        if execution_id is not None:
            run = self.find(execution_id)
        else:
            kept = (run for run, _ in self._ended.values())
            runs = (one for one in chain(self._active.values(), kept) if one.order.request_id == request_id)
            run = next((one for one in runs if one.order.user_id == user_id), None)
        return run if run is not None and run.order.user_id == user_id else None

    def refuse_if_draining(self) -> None:
        if self.draining:
            raise Problem(ErrorCode.SERVER_SHUTDOWN)  # H10

    async def check_agent(self, agent_id: str, user_id: str, action: str) -> None:
        """Raises the problem of an agent that is not there, is paused, or may not do that."""
        await self._admission.check_agent(agent_id, user_id, action)

    async def start(self, order: Order, controller: Controller) -> RunTask:
        """Admits the order and starts its run; raises the problem that refuses it, or `Repeated`."""
        self.refuse_if_draining()
        async with self._requests.alone((order.user_id, order.request_id) if order.request_id else None):
            times = RunTimes()
            admitted, holds_slot = await self._admission.admit(order, times, self._slots.take_now)
            run = self._task(admitted, times, holds_slot)
            self._active[run.execution_id] = run
        telemetry.runs_active.set(len(self._active))
        run.control.take(controller)
        self._group.start_soon(run.run)
        return run

    def release(self, run: RunTask, controller: Controller, reason: Stop) -> None:
        """The controller is lost: the run ends, or goes on for a while if its client asked for that."""
        if not run.control.leave(controller) or run.outcome is not None:
            return
        if run.order.on_disconnect == "cancel" or self.settings.resume_grace == 0:
            run.stop(reason)  # C1 F14 L5
        else:
            self._group.start_soon(self._await_return, run, reason)  # C2

    async def _await_return(self, run: RunTask, reason: Stop) -> None:
        with anyio.move_on_after(self.settings.resume_grace) as grace:  # C3
            async with Parts() as parts:
                parts.start(parts.end_when, run.ended)
                await parts.do(run.control.wait_taken)
                parts.end()
        # Whoever took the run may have left again by now; then a later wait decides.
        if grace.cancelled_caught and not run.control.held:
            run.stop(reason)  # C3

    def _task(self, admitted: Admitted, times: RunTimes, holds_slot: bool) -> RunTask:
        most = self.settings.max_output_tokens
        return RunTask(
            admitted,
            times,
            provider=self._providers.choose(admitted.agent.model),
            limits=self._limits,
            max_tokens=min(admitted.order.max_tokens or most, most),
            slots=self._slots,
            holds_slot=holds_slot,
            settlement=self._settlement,
            on_end=self._ended_now,
        )

    def _ended_now(self, run: RunTask) -> None:
        self._admission.give_back(run.order)
        del self._active[run.execution_id]
        telemetry.runs_active.set(len(self._active))
        telemetry.run_frame_log_bytes.inc(run.log.size_bytes)
        self._ended[run.execution_id] = (run, time.monotonic() + self.settings.replay_ttl)
        if not self._active:
            self._all_ended.set()
            self._all_ended = anyio.Event()

    async def _evict(self) -> None:
        """Forgets runs whose time for replay is over; `find` alone decides to the moment."""
        while True:
            await anyio.sleep(_EVICTION_S)
            now = time.monotonic()
            for execution_id, (run, until) in list(self._ended.items()):
                if until > now:
                    break  # they stand in the order of their ends
                del self._ended[execution_id]
                telemetry.run_frame_log_bytes.dec(run.log.size_bytes)

    async def drain(self, hurry: anyio.Event) -> None:
        """Lets active runs finish in time, ends the rest, says goodbye. `hurry` cuts the waiting short."""
        self.draining = True
        drain_s = self.settings.drain_timeout
        log.info("draining", extra={"active": len(self._active), "drain_ms": round(drain_s * 1000)})
        with anyio.move_on_after(drain_s):  # S2
            async with Parts() as parts:
                for connection in self.connections.open():
                    parts.start(connection.going_away, round(drain_s * 1000))
                parts.start(parts.end_when, hurry)  # S3
                await parts.do(self._wait_idle)
                parts.end()
        await self._end_all()
        with anyio.move_on_after(_GOODBYE_S):
            async with anyio.create_task_group() as group:
                for connection in self.connections.open():
                    group.start_soon(connection.restart)

    async def _end_all(self) -> None:
        for run in self.active():
            run.stop(Stop.SHUTDOWN)  # S2
        with anyio.move_on_after(_END_S):
            await self._wait_idle()

    async def _wait_idle(self) -> None:
        while self._active:
            await self._all_ended.wait()
