"""Runs as their owners read them: by agent, newest first, and one by one with its attempts."""

from __future__ import annotations

from fastapi import APIRouter, Request
from sqlalchemy import Connection
from starlette.responses import Response

from backend.api.agents import visible_agent
from backend.api.answers import not_found, reply
from backend.api.auth import Asking, database_of
from backend.api.pages import Cursor, Number, cursor_page, page_size, position, position_cursor
from backend.storage.executions import (
    Execution,
    PastAttempt,
    get_execution,
    list_attempts,
    list_executions,
)
from backend.storage.models import RunStatus
from backend.telemetry import wire_time

router = APIRouter()


@router.get("/api/agents/{agent_id}/executions")
async def browse(
    request: Request,
    viewer: Asking,
    agent_id: str,
    cursor: Cursor = None,
    limit: Number = None,
    status: RunStatus | None = None,
) -> Response:
    size, after = page_size(limit), position(cursor)
    agent = await visible_agent(request, viewer, agent_id)
    rows = await database_of(request).read(
        lambda connection: list_executions(
            viewer, connection, agent.id, status=status, after=after, limit=size
        )
    )
    return reply(cursor_page(rows, size, _view, lambda row: position_cursor(row.queued_at, row.id)))


@router.get("/api/executions/{execution_id}")
async def show(request: Request, viewer: Asking, execution_id: str) -> Response:
    def look(connection: Connection) -> tuple[Execution, list[PastAttempt]]:
        execution = get_execution(viewer, connection, execution_id)
        if execution is None:
            raise not_found()
        return execution, list_attempts(connection, execution)

    execution, attempts = await database_of(request).read(look)
    return reply(_view(execution) | {"attempts": [_attempt(attempt) for attempt in attempts]})


def _view(row: Execution) -> dict[str, object]:
    """`output_text` is the partial text of a run that did not complete."""
    return {
        "id": row.id,
        "agent_id": row.agent_id,
        "user_id": row.user_id,
        "session_id": row.session_id,
        "request_id": row.request_id,
        "transport": row.transport,
        "on_disconnect": row.on_disconnect,
        "action": row.action,
        "action_complexity": row.action_complexity,
        "maturity_at_start": row.maturity_at_start,
        "status": row.status,
        "output_text": row.output_text,
        "finish_reason": row.finish_reason,
        "error_code": row.error_code,
        "error_detail": row.error_detail,
        "provider": row.provider,
        "model": row.model,
        "attempt_count": row.attempts,
        "usage": {
            "prompt_tokens": row.prompt_tokens,
            "completion_tokens": row.completion_tokens,
            "total_tokens": row.prompt_tokens + row.completion_tokens,
            "estimated": row.usage_estimated,
        },
        "last_seq": row.last_seq,
        "queued_at": wire_time(row.queued_at),
        "started_at": wire_time(row.started_at),
        "first_token_at": wire_time(row.first_token_at),
        "completed_at": wire_time(row.completed_at),
        "first_token_ms": row.first_token_ms,
        "duration_ms": row.duration_ms,
    }


def _attempt(row: PastAttempt) -> dict[str, object]:
    return {
        "attempt": row.attempt,
        "provider": row.provider,
        "model": row.model,
        "outcome": row.outcome,
        "tokens": row.tokens,
        "first_token_ms": row.first_token_ms,
        "duration_ms": row.duration_ms,
        "started_at": wire_time(row.started_at),
    }
