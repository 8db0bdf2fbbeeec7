"""Who may start a run, in the order that decides what a stranger can learn.

    rate -> agent exists -> token still valid -> agent state -> action known -> governance
         -> request_id -> runs of the user -> row

A refusal before the row leaves no execution. The rate comes before everything that reads or writes rows, so a
flood of refusals cannot flood the audit log.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from backend import telemetry
from backend.domain.governance import Decision, judge
from backend.errors import ErrorCode, Finding, Problem
from backend.providers.base import Said
from backend.runs.clocks import RunTimes
from backend.runs.limits import Held, MessageRate
from backend.runs.order import Order
from backend.runs.record import Admitted
from backend.settings import Settings
from backend.storage import audit, turns
from backend.storage import runs as rows
from backend.storage.ids import is_id, new_id
from backend.storage.models import AgentState, RunStatus
from backend.storage.session import Database

# Messages of a session that a model is shown.
HISTORY = 20


class Repeated(Exception):
    """The user's `request_id` is known; `earlier` says which run it belongs to."""

    def __init__(self, earlier: turns.Earlier) -> None:
        super().__init__(earlier.execution_id)
        self.earlier = earlier


class Admission:
    def __init__(self, settings: Settings, database: Database, instance: str) -> None:
        self._database = database
        self._instance = instance
        self._lease = timedelta(seconds=settings.lease_ttl)
        self._rate = MessageRate(settings.rate_messages_per_min, settings.rate_burst)
        self._per_minute = settings.rate_messages_per_min
        self._runs = Held(settings.max_runs_per_user)

    def give_back(self, order: Order) -> None:
        """The run of this order no longer counts for its user."""
        self._runs.give_back(order.user_id)

    async def admit(
        self, order: Order, times: RunTimes, take_slot: Callable[[], bool]
    ) -> tuple[Admitted, bool]:
        """The order with its row, and whether it has a run slot already: then its row is RUNNING."""
        self._take_message(order.user_id)
        try:
            return await self._admit(order, times, take_slot)
        except IntegrityError:  # D11
            # Somebody else made the session or the request_id meanwhile: look again, once.
            return await self._admit(order, times, take_slot)

    async def check_agent(self, agent_id: str, user_id: str, action: str) -> turns.RunnableAgent:
        """The agent, if it exists, is active and may do that; the problem otherwise."""
        found = None
        if is_id(agent_id, "agt"):
            found = await self._database.read(lambda connection: turns.find_agent(connection, agent_id))
        agent = _usable(found)
        decision = _judge(agent, action)
        if not decision.allowed:
            await self._deny(decision, user_id, agent.id)
        return agent

    async def _admit(
        self, order: Order, times: RunTimes, take_slot: Callable[[], bool]
    ) -> tuple[Admitted, bool]:
        turn, decision, earlier, said = await self._database.read(lambda connection: _look(connection, order))
        if not decision.allowed:
            await self._deny(decision, order.user_id, turn.agent.id)
        if earlier is not None and not earlier.replaceable:
            raise Repeated(earlier)  # L12
        if not self._runs.take(order.user_id):
            raise Problem(  # L2
                ErrorCode.CONCURRENCY_LIMIT, f"{self._runs.limit} runs of one user at once"
            )
        admitted = _admitted(order, turn, said)
        holds_slot = take_slot()
        if holds_slot:
            times.started_ns = time.monotonic_ns()
        try:
            await self._insert(admitted, times, decision, earlier, new_session=turn.session_id is None)
        except BaseException:
            self._runs.give_back(order.user_id)
            times.started_ns = None
            raise
        return admitted, holds_slot

    async def _insert(
        self,
        admitted: Admitted,
        times: RunTimes,
        decision: Decision,
        earlier: turns.Earlier | None,
        *,
        new_session: bool,
    ) -> None:
        order, agent = admitted.order, admitted.agent
        now = times.queued_at
        started_at = times.moment(times.started_ns)

        def insert(connection: Connection) -> None:
            if new_session:
                rows.add_session(
                    connection, admitted.session_id, order.user_id, agent.id, admitted.session_key, now
                )
            if earlier is not None:
                rows.free_request(connection, earlier.execution_id)
            rows.add_run(
                connection,
                {
                    "id": admitted.execution_id,
                    "agent_id": agent.id,
                    "user_id": order.user_id,
                    "session_id": admitted.session_id,
                    "request_id": order.request_id,
                    "request_hash": order.fingerprint(),
                    "transport": order.transport,
                    "on_disconnect": order.on_disconnect,
                    "action": order.action,
                    "action_complexity": int(decision.complexity),
                    "maturity_at_start": agent.maturity,
                    "status": RunStatus.QUEUED if started_at is None else RunStatus.RUNNING,
                    "input_data": order.input_data(),
                    "model": agent.model,
                    "queued_at": now,
                    "started_at": started_at,
                    "owner_instance": self._instance,
                    # From now on, not from its arrival: it may have waited here for longer than a lease.
                    "lease_expires_at": telemetry.utc_now() + self._lease,
                },
            )
            if decision.audited:
                _write_down(connection, decision, order.user_id, agent.id)

        await self._database.write(insert)

    def _take_message(self, user_id: str) -> None:
        wait_ms = self._rate.take(user_id, time.monotonic())
        if wait_ms is not None:
            raise Problem(  # L1
                ErrorCode.RATE_LIMITED, f"{self._per_minute} messages per minute", retry_after_ms=wait_ms
            )

    async def _deny(self, decision: Decision, user_id: str, agent_id: str) -> None:
        """Writes the refusal down and raises it."""
        await self._database.write(lambda connection: _write_down(connection, decision, user_id, agent_id))
        raise Problem(  # H7 L6
            ErrorCode.GOVERNANCE_DENIED,
            action=decision.action,
            action_complexity=int(decision.complexity),
            agent_maturity=decision.maturity.value,
            required_maturity=decision.required.value,
        )


def _look(
    connection: Connection, order: Order
) -> tuple[turns.TurnFacts, Decision, turns.Earlier | None, list[tuple[str, str]]]:
    """The turn, whether it may be, the run of its `request_id`, and what was said before."""
    turn = _find(connection, order)
    decision = _judge(turn.agent, order.action)
    earlier = None
    if decision.allowed and order.request_id is not None:
        earlier = turns.find_request(connection, order.user_id, order.request_id)
    said = []
    if decision.allowed and turn.session_id is not None and turn.message_count:
        said = turns.history(connection, turn.session_id, HISTORY)
    return turn, decision, earlier, said


def _find(connection: Connection, order: Order) -> turns.TurnFacts:
    turn = None
    if is_id(order.agent_id, "agt"):
        turn = turns.find_turn(connection, order.agent_id, order.user_id, order.session_key, order.token_id)
    if turn is None:
        raise Problem(ErrorCode.NOT_FOUND)  # H6
    if not turn.token_is_valid:
        raise Problem(ErrorCode.AUTH_EXPIRED)  # A5
    _usable(turn.agent)
    return turn


def _usable(agent: turns.RunnableAgent | None) -> turns.RunnableAgent:
    if agent is None or agent.state is AgentState.ARCHIVED:
        raise Problem(ErrorCode.NOT_FOUND)  # H6
    if agent.state is AgentState.PAUSED:
        raise Problem(ErrorCode.AGENT_PAUSED)  # H14 L8
    return agent


def _judge(agent: turns.RunnableAgent, action: str) -> Decision:
    decision = judge(agent.maturity, action)
    if decision is None:
        raise Problem(  # F8
            ErrorCode.UNKNOWN_ACTION, errors=[Finding("/action", "unknown_action", "is not a known action")]
        )
    telemetry.governance_decisions_total.labels(
        str(decision.allowed).lower(), str(int(decision.complexity)), decision.maturity.value
    ).inc()
    return decision


def _write_down(connection: Connection, decision: Decision, user_id: str, agent_id: str) -> None:
    audit.record(
        connection,
        actor_id=user_id,
        action=decision.action,
        object_type="agent",
        object_id=agent_id,
        allowed=decision.allowed,
        code=None if decision.allowed else ErrorCode.GOVERNANCE_DENIED.value,
        action_complexity=int(decision.complexity),
        agent_maturity=decision.maturity.value,
        required_maturity=decision.required.value,
    )


def _admitted(order: Order, turn: turns.TurnFacts, said: list[tuple[str, str]]) -> Admitted:
    messages = [Said("assistant" if author == "assistant" else "user", text) for author, text in said]
    if turn.agent.system_prompt:
        messages.insert(0, Said("system", turn.agent.system_prompt))
    messages.append(Said("user", order.message))
    session_id = turn.session_id or new_id("ses")
    return Admitted(
        order, turn.agent, new_id("exe"), session_id, order.session_key or session_id, tuple(messages)
    )
