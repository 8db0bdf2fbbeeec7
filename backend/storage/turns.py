"""What a turn is judged by before its run exists: agent, session, token, an earlier run of the request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from backend.domain.governance import Maturity
from backend.errors import TABLE, ErrorCode
from backend.storage.models import (
    AgentExecution,
    AgentRegistry,
    AgentState,
    ApiToken,
    ChatMessage,
    ChatSession,
    RunStatus,
)
from backend.telemetry import utc_now


@dataclass(frozen=True, slots=True)
class RunnableAgent:
    """What a run needs of its agent."""

    id: str
    state: AgentState
    maturity: Maturity
    model: str
    system_prompt: str
    configuration: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TurnFacts:
    """What a turn begins with: its agent, the session it names if it exists, whether its token holds."""

    agent: RunnableAgent
    session_id: str | None
    message_count: int
    token_is_valid: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether what a connection was admitted by still holds."""

    token_is_valid: bool
    agent_is_gone: bool


@dataclass(frozen=True, slots=True)
class Earlier:
    """The run a `request_id` belongs to."""

    execution_id: str
    request_hash: str
    status: RunStatus
    error_code: str | None

    @property
    def replaceable(self) -> bool:
        """It ended retryably, or nobody was there to hear it: the id may move to a new run."""
        if self.error_code is None:
            return False
        code = ErrorCode(self.error_code)
        return TABLE[code].retryable or code in (ErrorCode.CLIENT_DISCONNECTED, ErrorCode.SLOW_CONSUMER)


_AGENT_COLUMNS = (
    AgentRegistry.id,
    AgentRegistry.state,
    AgentRegistry.maturity_level,
    AgentRegistry.model,
    AgentRegistry.system_prompt,
    AgentRegistry.configuration,
)
_AGENT = select(*_AGENT_COLUMNS).where(AgentRegistry.id == bindparam("agent"))
_TURN = (
    select(
        *_AGENT_COLUMNS,
        ChatSession.id.label("session_id"),
        ChatSession.message_count,
        ApiToken.id.label("token_id"),
        ApiToken.revoked_at,
        ApiToken.expires_at,
    )
    .join(
        ChatSession,
        (ChatSession.agent_id == AgentRegistry.id)
        & (ChatSession.user_id == bindparam("user"))
        & (ChatSession.external_key == bindparam("key")),
        isouter=True,
    )
    .join(ApiToken, ApiToken.id == bindparam("token"), isouter=True)
    .where(AgentRegistry.id == bindparam("agent"))
)
_HISTORY = (
    select(ChatMessage.author, ChatMessage.content)
    .where(ChatMessage.session_id == bindparam("session"))
    .order_by(ChatMessage.seq.desc())
    .limit(bindparam("last"))
)
_REQUEST = select(
    AgentExecution.id, AgentExecution.request_hash, AgentExecution.status, AgentExecution.error_code
).where(AgentExecution.user_id == bindparam("user"), AgentExecution.request_id == bindparam("request"))
_STANDING = (
    select(ApiToken.revoked_at, ApiToken.expires_at, AgentRegistry.state)
    .join(AgentRegistry, AgentRegistry.id == bindparam("agent"))
    .where(ApiToken.id == bindparam("token"))
)


def find_agent(connection: Connection, agent_id: str) -> RunnableAgent | None:
    row = connection.execute(_AGENT, {"agent": agent_id}).one_or_none()
    return None if row is None else _agent(row)


def find_turn(
    connection: Connection, agent_id: str, user_id: str, session_key: str | None, token_id: str | None
) -> TurnFacts | None:
    """What a turn needs to know, in one read; None if there is no such agent."""
    wanted = {"agent": agent_id, "user": user_id, "key": session_key, "token": token_id}
    row = connection.execute(_TURN, wanted).one_or_none()
    if row is None:
        return None
    known = token_id is None or row.token_id is not None
    valid = known and _is_valid(row.revoked_at, row.expires_at)
    return TurnFacts(_agent(row), row.session_id, row.message_count or 0, valid)


def _agent(row: Row[Any]) -> RunnableAgent:
    identity, state, maturity, model, prompt, configuration = row[: len(_AGENT_COLUMNS)]
    return RunnableAgent(identity, AgentState(state), Maturity(maturity), model, prompt, configuration)


def _is_valid(revoked_at: datetime | None, expires_at: datetime | None) -> bool:
    return revoked_at is None and (expires_at is None or expires_at > utc_now())


def standing(connection: Connection, token_id: str, agent_id: str) -> Standing:
    row = connection.execute(_STANDING, {"token": token_id, "agent": agent_id}).one_or_none()
    if row is None:
        return Standing(token_is_valid=False, agent_is_gone=True)
    revoked_at, expires_at, state = row
    return Standing(_is_valid(revoked_at, expires_at), state == AgentState.ARCHIVED)


def history(connection: Connection, session_id: str, last: int) -> list[tuple[str, str]]:
    """The last messages of a session as (author, content), oldest first."""
    rows = connection.execute(_HISTORY, {"session": session_id, "last": last})
    return [(author, content) for author, content in reversed(rows.all())]


def find_request(connection: Connection, user_id: str, request_id: str) -> Earlier | None:
    """The run of this user that holds the `request_id`."""
    row = connection.execute(_REQUEST, {"user": user_id, "request": request_id}).one_or_none()
    return None if row is None else Earlier(row[0], row[1], RunStatus(row[2]), row[3])
