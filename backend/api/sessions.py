"""Conversations and what was said in them."""

from __future__ import annotations

from fastapi import APIRouter, Request
from sqlalchemy import Connection
from starlette.responses import Response

from backend.api.answers import not_found, reply
from backend.api.auth import Asking, database_of
from backend.api.pages import (
    Cursor,
    Number,
    cursor_page,
    page_size,
    position,
    position_cursor,
    seq,
    seq_cursor,
)
from backend.storage.sessions import Conversation, Message, list_messages, list_sessions, session_exists
from backend.telemetry import wire_time

router = APIRouter()


@router.get("/api/sessions")
async def browse(request: Request, viewer: Asking, cursor: Cursor = None, limit: Number = None) -> Response:
    size, after = page_size(limit), position(cursor)
    rows = await database_of(request).read(
        lambda connection: list_sessions(viewer, connection, after=after, limit=size)
    )
    return reply(cursor_page(rows, size, _session, lambda row: position_cursor(row.created_at, row.id)))


@router.get("/api/sessions/{session_id}/messages")
async def messages(
    request: Request, viewer: Asking, session_id: str, cursor: Cursor = None, limit: Number = None
) -> Response:
    size, after = page_size(limit), seq(cursor)

    def look(connection: Connection) -> list[Message]:
        if not session_exists(viewer, connection, session_id):
            raise not_found()
        return list_messages(viewer, connection, session_id, after_seq=after, limit=size)

    rows = await database_of(request).read(look)
    return reply(cursor_page(rows, size, _message, lambda row: seq_cursor(row.seq)))


def _session(row: Conversation) -> dict[str, object]:
    """`id` names the conversation in paths, `session_id` in the chats of this user with this agent."""
    return {
        "id": row.id,
        "session_id": row.external_key,
        "agent_id": row.agent_id,
        "user_id": row.user_id,
        "message_count": row.message_count,
        "last_message_at": wire_time(row.last_message_at),
        "created_at": wire_time(row.created_at),
    }


def _message(row: Message) -> dict[str, object]:
    return {
        "id": row.id,
        "execution_id": row.execution_id,
        "author": row.author,
        "content": row.content,
        "seq": row.seq,
        "truncated": row.truncated,
        "created_at": wire_time(row.created_at),
    }
