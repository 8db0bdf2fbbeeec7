"""Reading conversations and their messages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from backend.storage.ids import is_id
from backend.storage.keyset import Position, before
from backend.storage.models import ChatMessage, ChatSession
from backend.storage.users import Viewer, owned

__all__ = ["Conversation", "Message", "list_messages", "list_sessions", "session_exists"]


@dataclass(frozen=True, slots=True)
class Conversation:
    id: str
    user_id: str
    agent_id: str
    external_key: str
    message_count: int
    last_message_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Message:
    id: str
    execution_id: str | None
    author: str
    content: str
    seq: int
    truncated: bool
    created_at: datetime


_SESSIONS = select(*(getattr(ChatSession, name) for name in Conversation.__slots__))
_MESSAGES = select(*(getattr(ChatMessage, name) for name in Message.__slots__))


def list_sessions(
    viewer: Viewer, connection: Connection, *, after: Position | None, limit: int
) -> list[Conversation]:
    """Newest first, one more than `limit` if there are more."""
    query = (
        _SESSIONS.where(
            owned(viewer, ChatSession.user_id), before(after, ChatSession.created_at, ChatSession.id)
        )
        .order_by(ChatSession.created_at.desc(), ChatSession.id.desc())
        .limit(limit + 1)
    )
    return [Conversation(*row) for row in connection.execute(query)]


def session_exists(viewer: Viewer, connection: Connection, session_id: str) -> bool:
    if not is_id(session_id, "ses"):
        return False
    query = select(ChatSession.id).where(ChatSession.id == session_id, owned(viewer, ChatSession.user_id))
    return connection.execute(query).first() is not None


def list_messages(
    viewer: Viewer, connection: Connection, session_id: str, *, after_seq: int, limit: int
) -> list[Message]:
    """In the order they were said, one more than `limit` if there are more."""
    query = (
        _MESSAGES.join(ChatSession, ChatSession.id == ChatMessage.session_id)
        .where(
            ChatMessage.session_id == session_id,
            owned(viewer, ChatSession.user_id),
            ChatMessage.seq > after_seq,
        )
        .order_by(ChatMessage.seq)
        .limit(limit + 1)
    )
    return [Message(*row) for row in connection.execute(query)]
