"""The tables. Enumerations are upper-case text with a CHECK; times carry a zone; there are no floats."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import (
    JSON,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeEngine

from backend.domain.confidence import FeedbackType, Sentiment
from backend.domain.governance import Maturity


class AgentState(StrEnum):
    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"  # refuses to run, can come back
    ARCHIVED = "ARCHIVED"  # gone for everybody but administrators


class RunStatus(StrEnum):
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    TIMED_OUT = "TIMED_OUT"
    CANCELLED = "CANCELLED"
    INTERRUPTED = "INTERRUPTED"

    @property
    def terminal(self) -> bool:
        return self not in (RunStatus.QUEUED, RunStatus.RUNNING)


class Transport(StrEnum):
    HTTP = "HTTP"
    SSE = "SSE"
    WS = "WS"
    WORKFLOW = "WORKFLOW"


class Author(StrEnum):
    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"


class UtcTime(TypeDecorator[datetime]):
    """A moment in UTC: a timestamp with zone; on SQLite ISO text whose order is the order of time."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return String(32) if dialect.name == "sqlite" else DateTime(timezone=True)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a stored time must carry a zone")
        moment = value.astimezone(UTC)
        return moment.isoformat(timespec="microseconds") if dialect.name == "sqlite" else moment

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return datetime.fromisoformat(value) if isinstance(value, str) else value.astimezone(UTC)


def _one_of(column: str, values: type[StrEnum]) -> CheckConstraint:
    listed = ", ".join(f"'{one}'" for one in values)
    return CheckConstraint(f"{column} IN ({listed})", name=f"{column}_known")


ID: Final = String(40)
CODE: Final = String(40)
JSON_TEXT: Final = JSON().with_variant(JSONB(), "postgresql")


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
        }
    )


class User(Base):
    __tablename__ = "users"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    email: Mapped[str] = mapped_column(String(320), unique=True)
    name: Mapped[str] = mapped_column(String(120))
    is_admin: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(UtcTime)

    __table_args__ = (CheckConstraint("email = lower(email)", name="email_lower"),)


class ApiToken(Base):
    __tablename__ = "api_tokens"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    name: Mapped[str] = mapped_column(String(120))
    token_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    expires_at: Mapped[datetime | None] = mapped_column(UtcTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcTime)
    created_at: Mapped[datetime] = mapped_column(UtcTime)


class AgentRegistry(Base):
    __tablename__ = "agent_registry"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    name: Mapped[str] = mapped_column(String(120))
    description: Mapped[str] = mapped_column(String(2000), default="")
    category: Mapped[str] = mapped_column(String(60), default="general")
    maturity_level: Mapped[str] = mapped_column(String(20))
    state: Mapped[str] = mapped_column(String(20), default=AgentState.ACTIVE)
    confidence_bp: Mapped[int]
    completed_since_change: Mapped[int] = mapped_column(default=0)
    system_prompt: Mapped[str] = mapped_column(String(8000), default="")
    model: Mapped[str] = mapped_column(String(200))
    configuration: Mapped[dict[str, Any]] = mapped_column(JSON_TEXT, default=dict)
    created_by: Mapped[str] = mapped_column(ForeignKey("users.id"))
    row_version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    updated_at: Mapped[datetime] = mapped_column(UtcTime)

    __table_args__ = (
        _one_of("maturity_level", Maturity),
        _one_of("state", AgentState),
        CheckConstraint("confidence_bp BETWEEN 0 AND 10000", name="confidence_range"),
        CheckConstraint("length(name) >= 1", name="name_given"),
        Index(
            "uq_agent_registry_name_in_use",
            "name",
            unique=True,
            sqlite_where=text("state <> 'ARCHIVED'"),
            postgresql_where=text("state <> 'ARCHIVED'"),
        ),
        Index(None, "state", "created_at", "id"),
    )


class ChatSession(Base):
    """A conversation. `external_key` is the wire's `session_id`: unique for one user and agent only."""

    __tablename__ = "chat_sessions"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    agent_id: Mapped[str] = mapped_column(ForeignKey("agent_registry.id"))
    external_key: Mapped[str] = mapped_column(String(64))
    message_count: Mapped[int] = mapped_column(default=0)
    last_message_at: Mapped[datetime | None] = mapped_column(UtcTime)
    created_at: Mapped[datetime] = mapped_column(UtcTime)

    __table_args__ = (
        UniqueConstraint("user_id", "agent_id", "external_key"),
        Index(None, "user_id", "created_at", "id"),
    )


class AgentExecution(Base):
    """One run: one answer, from QUEUED to exactly one terminal status."""

    __tablename__ = "agent_executions"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    agent_id: Mapped[str] = mapped_column(ForeignKey("agent_registry.id"))
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    session_id: Mapped[str | None] = mapped_column(ForeignKey("chat_sessions.id"))
    workflow_step_id: Mapped[str | None] = mapped_column(ID)
    request_id: Mapped[str | None] = mapped_column(String(64))
    request_hash: Mapped[str] = mapped_column(String(64))
    transport: Mapped[str] = mapped_column(String(10))
    on_disconnect: Mapped[str] = mapped_column(String(10), default="cancel")
    action: Mapped[str] = mapped_column(String(40))
    action_complexity: Mapped[int]
    maturity_at_start: Mapped[str] = mapped_column(String(20))
    status: Mapped[str] = mapped_column(String(20), default=RunStatus.QUEUED)
    input_data: Mapped[dict[str, Any]] = mapped_column(JSON_TEXT)
    output_text: Mapped[str | None] = mapped_column(Text)
    finish_reason: Mapped[str | None] = mapped_column(String(20))
    error_code: Mapped[str | None] = mapped_column(CODE)
    error_detail: Mapped[str | None] = mapped_column(String(500))
    provider: Mapped[str | None] = mapped_column(String(64))
    model: Mapped[str] = mapped_column(String(200))
    attempts: Mapped[int] = mapped_column(default=0)
    prompt_tokens: Mapped[int] = mapped_column(default=0)
    completion_tokens: Mapped[int] = mapped_column(default=0)
    usage_estimated: Mapped[bool] = mapped_column(default=False)
    last_seq: Mapped[int] = mapped_column(default=0)
    queued_at: Mapped[datetime] = mapped_column(UtcTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcTime)
    first_token_at: Mapped[datetime | None] = mapped_column(UtcTime)
    completed_at: Mapped[datetime | None] = mapped_column(UtcTime)
    first_token_ms: Mapped[int | None]
    duration_ms: Mapped[int | None]
    owner_instance: Mapped[str | None] = mapped_column(String(64))
    lease_expires_at: Mapped[datetime | None] = mapped_column(UtcTime)

    __table_args__ = (
        _one_of("status", RunStatus),
        _one_of("transport", Transport),
        _one_of("maturity_at_start", Maturity),
        CheckConstraint("on_disconnect IN ('cancel', 'continue')", name="on_disconnect_known"),
        CheckConstraint("action_complexity BETWEEN 1 AND 4", name="complexity_range"),
        CheckConstraint(
            "(status IN ('QUEUED', 'RUNNING')) = (completed_at IS NULL)", name="terminal_has_completed_at"
        ),
        CheckConstraint(
            "(status IN ('FAILED', 'TIMED_OUT', 'CANCELLED', 'INTERRUPTED')) = (error_code IS NOT NULL)",
            name="failure_has_error_code",
        ),
        Index(
            "uq_agent_executions_request",
            "user_id",
            "request_id",
            unique=True,
            sqlite_where=text("request_id IS NOT NULL"),
            postgresql_where=text("request_id IS NOT NULL"),
        ),
        Index(None, "agent_id", "queued_at", "id"),
        Index(None, "status", "lease_expires_at"),
    )


class ChatMessage(Base):
    __tablename__ = "chat_messages"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    session_id: Mapped[str] = mapped_column(ForeignKey("chat_sessions.id"))
    execution_id: Mapped[str | None] = mapped_column(ForeignKey("agent_executions.id"))
    author: Mapped[str] = mapped_column(String(10))
    content: Mapped[str] = mapped_column(Text)
    seq: Mapped[int]
    truncated: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(UtcTime)

    __table_args__ = (_one_of("author", Author), UniqueConstraint("session_id", "seq"))


class RunAttempt(Base):
    """One request to one provider; a run makes several when it retries or falls back."""

    __tablename__ = "run_attempts"

    execution_id: Mapped[str] = mapped_column(ForeignKey("agent_executions.id"), primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    provider: Mapped[str] = mapped_column(String(64))
    model: Mapped[str] = mapped_column(String(200))
    outcome: Mapped[str] = mapped_column(CODE)  # "ok" or an error code
    tokens: Mapped[int] = mapped_column(default=0)
    first_token_ms: Mapped[int | None]
    duration_ms: Mapped[int]
    started_at: Mapped[datetime] = mapped_column(UtcTime)


class AgentFeedback(Base):
    __tablename__ = "agent_feedback"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    agent_id: Mapped[str] = mapped_column(ForeignKey("agent_registry.id"), index=True)
    execution_id: Mapped[str] = mapped_column(ForeignKey("agent_executions.id"))
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    rating: Mapped[int | None]
    feedback_type: Mapped[str] = mapped_column(String(20))
    comment: Mapped[str | None] = mapped_column(String(4000))
    correction: Mapped[str | None] = mapped_column(Text)
    sentiment: Mapped[str] = mapped_column(String(10))
    applied: Mapped[bool] = mapped_column(default=False)
    applied_reason: Mapped[str | None] = mapped_column(String(40))
    created_at: Mapped[datetime] = mapped_column(UtcTime)

    __table_args__ = (
        _one_of("feedback_type", FeedbackType),
        _one_of("sentiment", Sentiment),
        CheckConstraint("rating IS NULL OR rating BETWEEN 1 AND 10", name="rating_range"),
        CheckConstraint("feedback_type <> 'rating' OR rating IS NOT NULL", name="rating_given"),
        CheckConstraint("feedback_type <> 'correction' OR correction IS NOT NULL", name="correction_given"),
        CheckConstraint("correction IS NULL OR length(correction) <= 16000", name="correction_length"),
        UniqueConstraint("execution_id", "user_id"),
    )


class AuditLog(Base):
    """Append-only: who tried or did what."""

    __tablename__ = "audit_log"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    actor_id: Mapped[str | None] = mapped_column(ForeignKey("users.id"))
    action: Mapped[str] = mapped_column(String(60))
    object_type: Mapped[str] = mapped_column(String(40))
    object_id: Mapped[str | None] = mapped_column(ID)
    decision: Mapped[str] = mapped_column(String(10))  # "allowed" or "denied"
    detail: Mapped[dict[str, Any]] = mapped_column(JSON_TEXT, default=dict)
    created_at: Mapped[datetime] = mapped_column(UtcTime)
