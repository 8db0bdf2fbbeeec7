"""What a run writes: its row, its transitions and its end. Each function is one step of a short transaction.

    QUEUED  -> RUNNING, or any terminal status but COMPLETED
    RUNNING -> COMPLETED | FAILED | TIMED_OUT | CANCELLED | INTERRUPTED

Each transition names the statuses it may come from; who loses a race learns the stored status and adopts it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from backend.errors import ErrorCode
from backend.storage.ids import new_id
from backend.storage.models import (
    AgentExecution,
    Author,
    ChatMessage,
    ChatSession,
    RunAttempt,
    RunStatus,
)

OPEN = (RunStatus.QUEUED, RunStatus.RUNNING)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request to one provider."""

    provider: str
    model: str
    outcome: str  # "ok" or an error code
    tokens: int
    first_token_ms: int | None
    duration_ms: int
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a run as it is stored: the row, both messages and the attempts, in one transaction."""

    execution_id: str
    session_id: str | None
    status: RunStatus
    message: str
    text: str
    values: Mapping[str, Any]  # the other columns that an end writes
    attempts: Sequence[Attempt]
    ended_at: datetime


_TRANSITION = (
    update(AgentExecution)
    .where(AgentExecution.id == bindparam("of"), AgentExecution.status.in_(OPEN))
    .execution_options(synchronize_session=False)
)
_RUN = _TRANSITION.values(status=RunStatus.RUNNING, started_at=bindparam("moment"))
_ENDING_COLUMNS = (
    "status",
    "output_text",
    "completed_at",
    "finish_reason",
    "error_code",
    "error_detail",
    "provider",
    "attempts",
    "prompt_tokens",
    "completion_tokens",
    "usage_estimated",
    "last_seq",
    "first_token_at",
    "first_token_ms",
    "duration_ms",
)
_END = _TRANSITION.values({name: bindparam(name) for name in _ENDING_COLUMNS})
_ADD_SESSION = insert(ChatSession)
_ADD_RUN = insert(AgentExecution)
_ADD_ATTEMPT = insert(RunAttempt)
_ADD_MESSAGE = insert(ChatMessage)
_ROOM = (
    update(ChatSession)
    .where(ChatSession.id == bindparam("of"))
    .values(message_count=ChatSession.message_count + bindparam("more"), last_message_at=bindparam("moment"))
    .returning(ChatSession.message_count)
)
_STATUS = select(AgentExecution.status).where(AgentExecution.id == bindparam("of"))


def free_request(connection: Connection, execution_id: str) -> None:
    """Takes the `request_id` off an ended run, so that a new one can have it."""
    connection.execute(
        update(AgentExecution).where(AgentExecution.id == execution_id).values(request_id=None)
    )


def add_session(
    connection: Connection, session_id: str, user_id: str, agent_id: str, key: str, now: datetime
) -> None:
    connection.execute(
        _ADD_SESSION,
        {
            "id": session_id,
            "user_id": user_id,
            "agent_id": agent_id,
            "external_key": key,
            "message_count": 0,
            "created_at": now,
        },
    )


def add_run(connection: Connection, row: Mapping[str, Any]) -> None:
    """The row of a new run, QUEUED, or RUNNING if its slot is taken already."""
    connection.execute(_ADD_RUN, dict(row))


def mark_running(connection: Connection, execution_id: str, started_at: datetime) -> bool:
    """QUEUED -> RUNNING; false if somebody else ended it meanwhile."""
    result = connection.execute(_RUN, {"of": execution_id, "moment": started_at})
    return result.rowcount == 1


def finish(connection: Connection, ending: Ending) -> RunStatus:
    """Writes the end; returns the stored status: another one if somebody else ended the run first."""
    result = connection.execute(
        _END,
        {
            "of": ending.execution_id,
            "status": ending.status,
            "output_text": ending.text if ending.status is RunStatus.COMPLETED else ending.text or None,
            "completed_at": ending.ended_at,
            **ending.values,
        },
    )
    if result.rowcount == 0:
        stored = connection.execute(_STATUS, {"of": ending.execution_id}).scalar_one()
        return RunStatus(stored)
    if ending.session_id is not None:
        _add_messages(connection, ending, ending.session_id)
    if ending.attempts:
        connection.execute(
            _ADD_ATTEMPT,
            [
                {
                    "execution_id": ending.execution_id,
                    "attempt": number,
                    "provider": one.provider,
                    "model": one.model,
                    "outcome": one.outcome,
                    "tokens": one.tokens,
                    "first_token_ms": one.first_token_ms,
                    "duration_ms": one.duration_ms,
                    "started_at": one.started_at,
                }
                for number, one in enumerate(ending.attempts, start=1)
            ],
        )
    return ending.status


def _add_messages(connection: Connection, ending: Ending, session_id: str) -> None:
    spoken = [(Author.USER, ending.message, False)]
    if ending.text:
        spoken.append((Author.ASSISTANT, ending.text, ending.status is not RunStatus.COMPLETED))
    room = {"of": session_id, "more": len(spoken), "moment": ending.ended_at}
    count: int = connection.execute(_ROOM, room).scalar_one()
    connection.execute(
        _ADD_MESSAGE,
        [
            {
                "id": new_id("msg"),
                "session_id": session_id,
                "execution_id": ending.execution_id,
                "author": author,
                "content": content,
                "seq": count - len(spoken) + number,
                "truncated": truncated,
                "created_at": ending.ended_at,
            }
            for number, (author, content, truncated) in enumerate(spoken, start=1)
        ],
    )


def renew_leases(connection: Connection, ids: Collection[str], until: datetime) -> None:
    connection.execute(
        update(AgentExecution)
        .where(AgentExecution.id.in_(ids), AgentExecution.status.in_(OPEN))
        .values(lease_expires_at=until)
    )


def interrupt_expired(connection: Connection, now: datetime, own: Collection[str]) -> int:
    """Ends the runs whose lease is over, but never those that live here; returns how many."""
    result = connection.execute(
        update(AgentExecution)
        .where(
            AgentExecution.status.in_(OPEN),
            AgentExecution.lease_expires_at < now,
            AgentExecution.id.not_in(own),
        )
        .values(
            status=RunStatus.INTERRUPTED,
            error_code=ErrorCode.SERVER_SHUTDOWN,
            error_detail="the process that ran it is gone",
            completed_at=now,
        )
    )
    return result.rowcount
