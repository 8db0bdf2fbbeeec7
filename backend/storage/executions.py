"""Reading runs. What a run writes itself stands in `storage.runs`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, select

from backend.storage.ids import is_id
from backend.storage.keyset import Position, before
from backend.storage.models import AgentExecution, ChatSession, RunAttempt, RunStatus
from backend.storage.users import Viewer, owned, owned_by_parameters

__all__ = ["Execution", "PastAttempt", "get_execution", "list_attempts", "list_executions"]


@dataclass(frozen=True, slots=True)
class Execution:
    """A run as its owner sees it; `session_id` is the one of the wire."""

    id: str
    agent_id: str
    user_id: str
    session_id: str | None
    request_id: str | None
    transport: str
    on_disconnect: str
    action: str
    action_complexity: int
    maturity_at_start: str
    status: str
    output_text: str | None
    finish_reason: str | None
    error_code: str | None
    error_detail: str | None
    provider: str | None
    model: str
    attempts: int
    prompt_tokens: int
    completion_tokens: int
    usage_estimated: bool
    last_seq: int
    queued_at: datetime
    started_at: datetime | None
    first_token_at: datetime | None
    completed_at: datetime | None
    first_token_ms: int | None
    duration_ms: int | None


@dataclass(frozen=True, slots=True)
class PastAttempt:
    attempt: int
    provider: str
    model: str
    outcome: str
    tokens: int
    first_token_ms: int | None
    duration_ms: int
    started_at: datetime


_SELECT = select(
    *(
        ChatSession.external_key if name == "session_id" else getattr(AgentExecution, name)
        for name in Execution.__slots__
    )
).join(ChatSession, ChatSession.id == AgentExecution.session_id, isouter=True)
_GET = _SELECT.where(AgentExecution.id == bindparam("of"), owned_by_parameters(AgentExecution.user_id))
_ATTEMPTS = select(*(getattr(RunAttempt, name) for name in PastAttempt.__slots__))


def get_execution(viewer: Viewer, connection: Connection, execution_id: str) -> Execution | None:
    if not is_id(execution_id, "exe"):
        return None
    wanted = {"of": execution_id, "viewer": viewer.user_id, "is_admin": viewer.is_admin}
    row = connection.execute(_GET, wanted).first()
    return None if row is None else Execution(*row)


def list_attempts(connection: Connection, execution: Execution) -> list[PastAttempt]:
    query = _ATTEMPTS.where(RunAttempt.execution_id == execution.id).order_by(RunAttempt.attempt)
    return [PastAttempt(*row) for row in connection.execute(query)]


def list_executions(
    viewer: Viewer,
    connection: Connection,
    agent_id: str,
    *,
    status: RunStatus | None,
    after: Position | None,
    limit: int,
) -> list[Execution]:
    """Newest first, one more than `limit` if there are more."""
    query = (
        _SELECT.where(
            AgentExecution.agent_id == agent_id,
            owned(viewer, AgentExecution.user_id),
            before(after, AgentExecution.queued_at, AgentExecution.id),
        )
        .order_by(AgentExecution.queued_at.desc(), AgentExecution.id.desc())
        .limit(limit + 1)
    )
    if status is not None:
        query = query.where(AgentExecution.status == status)
    return [Execution(*row) for row in connection.execute(query)]
