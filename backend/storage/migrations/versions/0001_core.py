"""The core tables"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from backend.storage.models import JSON_TEXT, UtcTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("is_admin", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.CheckConstraint("email = lower(email)", name=op.f("ck_users_email_lower")),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("email", name="uq_users_email"),
    )
    op.create_table(
        "agent_registry",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("description", sa.String(length=2000), nullable=False),
        sa.Column("category", sa.String(length=60), nullable=False),
        sa.Column("maturity_level", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("confidence_bp", sa.Integer(), nullable=False),
        sa.Column("completed_since_change", sa.Integer(), nullable=False),
        sa.Column("system_prompt", sa.String(length=8000), nullable=False),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("configuration", JSON_TEXT, nullable=False),
        sa.Column("created_by", sa.String(length=40), nullable=False),
        sa.Column("row_version", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("updated_at", UtcTime(), nullable=False),
        sa.CheckConstraint(
            "maturity_level IN ('STUDENT', 'INTERN', 'SUPERVISED', 'AUTONOMOUS')",
            name=op.f("ck_agent_registry_maturity_level_known"),
        ),
        sa.CheckConstraint(
            "state IN ('ACTIVE', 'PAUSED', 'ARCHIVED')", name=op.f("ck_agent_registry_state_known")
        ),
        sa.CheckConstraint(
            "confidence_bp BETWEEN 0 AND 10000", name=op.f("ck_agent_registry_confidence_range")
        ),
        sa.CheckConstraint("length(name) >= 1", name=op.f("ck_agent_registry_name_given")),
        sa.ForeignKeyConstraint(["created_by"], ["users.id"], name="fk_agent_registry_created_by"),
        sa.PrimaryKeyConstraint("id", name="pk_agent_registry"),
    )
    op.create_index("ix_agent_registry_state_created_at_id", "agent_registry", ["state", "created_at", "id"])
    op.create_index(
        "uq_agent_registry_name_in_use",
        "agent_registry",
        ["name"],
        unique=True,
        sqlite_where=sa.text("state <> 'ARCHIVED'"),
        postgresql_where=sa.text("state <> 'ARCHIVED'"),
    )
    op.create_table(
        "api_tokens",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("user_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("token_sha256", sa.String(length=64), nullable=False),
        sa.Column("expires_at", UtcTime(), nullable=True),
        sa.Column("revoked_at", UtcTime(), nullable=True),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_api_tokens_user_id"),
        sa.PrimaryKeyConstraint("id", name="pk_api_tokens"),
        sa.UniqueConstraint("token_sha256", name="uq_api_tokens_token_sha256"),
    )
    op.create_index("ix_api_tokens_user_id", "api_tokens", ["user_id"])
    op.create_table(
        "audit_log",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("actor_id", sa.String(length=40), nullable=True),
        sa.Column("action", sa.String(length=60), nullable=False),
        sa.Column("object_type", sa.String(length=40), nullable=False),
        sa.Column("object_id", sa.String(length=40), nullable=True),
        sa.Column("decision", sa.String(length=10), nullable=False),
        sa.Column("detail", JSON_TEXT, nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["actor_id"], ["users.id"], name="fk_audit_log_actor_id"),
        sa.PrimaryKeyConstraint("id", name="pk_audit_log"),
    )
    op.create_table(
        "chat_sessions",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("user_id", sa.String(length=40), nullable=False),
        sa.Column("agent_id", sa.String(length=40), nullable=False),
        sa.Column("external_key", sa.String(length=64), nullable=False),
        sa.Column("message_count", sa.Integer(), nullable=False),
        sa.Column("last_message_at", UtcTime(), nullable=True),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["agent_id"], ["agent_registry.id"], name="fk_chat_sessions_agent_id"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_chat_sessions_user_id"),
        sa.PrimaryKeyConstraint("id", name="pk_chat_sessions"),
        sa.UniqueConstraint(
            "user_id", "agent_id", "external_key", name="uq_chat_sessions_user_id_agent_id_external_key"
        ),
    )
    op.create_index(
        "ix_chat_sessions_user_id_created_at_id", "chat_sessions", ["user_id", "created_at", "id"]
    )
    op.create_table(
        "agent_executions",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("agent_id", sa.String(length=40), nullable=False),
        sa.Column("user_id", sa.String(length=40), nullable=False),
        sa.Column("session_id", sa.String(length=40), nullable=True),
        sa.Column("workflow_step_id", sa.String(length=40), nullable=True),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.Column("request_hash", sa.String(length=64), nullable=False),
        sa.Column("transport", sa.String(length=10), nullable=False),
        sa.Column("on_disconnect", sa.String(length=10), nullable=False),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("action_complexity", sa.Integer(), nullable=False),
        sa.Column("maturity_at_start", sa.String(length=20), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("input_data", JSON_TEXT, nullable=False),
        sa.Column("output_text", sa.Text(), nullable=True),
        sa.Column("finish_reason", sa.String(length=20), nullable=True),
        sa.Column("error_code", sa.String(length=40), nullable=True),
        sa.Column("error_detail", sa.String(length=500), nullable=True),
        sa.Column("provider", sa.String(length=64), nullable=True),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("prompt_tokens", sa.Integer(), nullable=False),
        sa.Column("completion_tokens", sa.Integer(), nullable=False),
        sa.Column("usage_estimated", sa.Boolean(), nullable=False),
        sa.Column("last_seq", sa.Integer(), nullable=False),
        sa.Column("queued_at", UtcTime(), nullable=False),
        sa.Column("started_at", UtcTime(), nullable=True),
        sa.Column("first_token_at", UtcTime(), nullable=True),
        sa.Column("completed_at", UtcTime(), nullable=True),
        sa.Column("first_token_ms", sa.Integer(), nullable=True),
        sa.Column("duration_ms", sa.Integer(), nullable=True),
        sa.Column("owner_instance", sa.String(length=64), nullable=True),
        sa.Column("lease_expires_at", UtcTime(), nullable=True),
        sa.CheckConstraint(
            "(status IN ('FAILED', 'TIMED_OUT', 'CANCELLED', 'INTERRUPTED')) = (error_code IS NOT NULL)",
            name=op.f("ck_agent_executions_failure_has_error_code"),
        ),
        sa.CheckConstraint(
            "(status IN ('QUEUED', 'RUNNING')) = (completed_at IS NULL)",
            name=op.f("ck_agent_executions_terminal_has_completed_at"),
        ),
        sa.CheckConstraint(
            "maturity_at_start IN ('STUDENT', 'INTERN', 'SUPERVISED', 'AUTONOMOUS')",
            name=op.f("ck_agent_executions_maturity_at_start_known"),
        ),
        sa.CheckConstraint(
            "on_disconnect IN ('cancel', 'continue')", name=op.f("ck_agent_executions_on_disconnect_known")
        ),
        sa.CheckConstraint(
            "status IN ('QUEUED', 'RUNNING', 'COMPLETED', 'FAILED', 'TIMED_OUT', 'CANCELLED', 'INTERRUPTED')",
            name=op.f("ck_agent_executions_status_known"),
        ),
        sa.CheckConstraint(
            "transport IN ('HTTP', 'SSE', 'WS', 'WORKFLOW')", name=op.f("ck_agent_executions_transport_known")
        ),
        sa.CheckConstraint(
            "action_complexity BETWEEN 1 AND 4", name=op.f("ck_agent_executions_complexity_range")
        ),
        sa.ForeignKeyConstraint(["agent_id"], ["agent_registry.id"], name="fk_agent_executions_agent_id"),
        sa.ForeignKeyConstraint(["session_id"], ["chat_sessions.id"], name="fk_agent_executions_session_id"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_agent_executions_user_id"),
        sa.PrimaryKeyConstraint("id", name="pk_agent_executions"),
    )
    op.create_index(
        "ix_agent_executions_agent_id_queued_at_id", "agent_executions", ["agent_id", "queued_at", "id"]
    )
    op.create_index(
        "ix_agent_executions_status_lease_expires_at", "agent_executions", ["status", "lease_expires_at"]
    )
    op.create_index(
        "uq_agent_executions_request",
        "agent_executions",
        ["user_id", "request_id"],
        unique=True,
        sqlite_where=sa.text("request_id IS NOT NULL"),
        postgresql_where=sa.text("request_id IS NOT NULL"),
    )
    op.create_table(
        "agent_feedback",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("agent_id", sa.String(length=40), nullable=False),
        sa.Column("execution_id", sa.String(length=40), nullable=False),
        sa.Column("user_id", sa.String(length=40), nullable=False),
        sa.Column("rating", sa.Integer(), nullable=True),
        sa.Column("feedback_type", sa.String(length=20), nullable=False),
        sa.Column("comment", sa.String(length=4000), nullable=True),
        sa.Column("correction", sa.Text(), nullable=True),
        sa.Column("sentiment", sa.String(length=10), nullable=False),
        sa.Column("applied", sa.Boolean(), nullable=False),
        sa.Column("applied_reason", sa.String(length=40), nullable=True),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.CheckConstraint(
            "feedback_type <> 'correction' OR correction IS NOT NULL",
            name=op.f("ck_agent_feedback_correction_given"),
        ),
        sa.CheckConstraint(
            "feedback_type <> 'rating' OR rating IS NOT NULL", name=op.f("ck_agent_feedback_rating_given")
        ),
        sa.CheckConstraint(
            "feedback_type IN ('thumbs_up', 'thumbs_down', 'rating', 'correction', 'comment')",
            name=op.f("ck_agent_feedback_feedback_type_known"),
        ),
        sa.CheckConstraint(
            "sentiment IN ('POSITIVE', 'NEUTRAL', 'NEGATIVE')", name=op.f("ck_agent_feedback_sentiment_known")
        ),
        sa.CheckConstraint(
            "correction IS NULL OR length(correction) <= 16000",
            name=op.f("ck_agent_feedback_correction_length"),
        ),
        sa.CheckConstraint(
            "rating IS NULL OR rating BETWEEN 1 AND 10", name=op.f("ck_agent_feedback_rating_range")
        ),
        sa.ForeignKeyConstraint(["agent_id"], ["agent_registry.id"], name="fk_agent_feedback_agent_id"),
        sa.ForeignKeyConstraint(
            ["execution_id"], ["agent_executions.id"], name="fk_agent_feedback_execution_id"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_agent_feedback_user_id"),
        sa.PrimaryKeyConstraint("id", name="pk_agent_feedback"),
        sa.UniqueConstraint("execution_id", "user_id", name="uq_agent_feedback_execution_id_user_id"),
    )
    op.create_index("ix_agent_feedback_agent_id", "agent_feedback", ["agent_id"])
    op.create_table(
        "chat_messages",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("session_id", sa.String(length=40), nullable=False),
        sa.Column("execution_id", sa.String(length=40), nullable=True),
        sa.Column("author", sa.String(length=10), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("truncated", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.CheckConstraint(
            "author IN ('user', 'assistant', 'system')", name=op.f("ck_chat_messages_author_known")
        ),
        sa.ForeignKeyConstraint(
            ["execution_id"], ["agent_executions.id"], name="fk_chat_messages_execution_id"
        ),
        sa.ForeignKeyConstraint(["session_id"], ["chat_sessions.id"], name="fk_chat_messages_session_id"),
        sa.PrimaryKeyConstraint("id", name="pk_chat_messages"),
        sa.UniqueConstraint("session_id", "seq", name="uq_chat_messages_session_id_seq"),
    )
    op.create_table(
        "run_attempts",
        sa.Column("execution_id", sa.String(length=40), nullable=False),
        sa.Column("attempt", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("provider", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("outcome", sa.String(length=40), nullable=False),
        sa.Column("tokens", sa.Integer(), nullable=False),
        sa.Column("first_token_ms", sa.Integer(), nullable=True),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("started_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["execution_id"], ["agent_executions.id"], name="fk_run_attempts_execution_id"
        ),
        sa.PrimaryKeyConstraint("execution_id", "attempt", name="pk_run_attempts"),
    )


def downgrade() -> None:
    op.drop_table("run_attempts")
    op.drop_table("chat_messages")
    op.drop_table("agent_feedback")
    op.drop_table("agent_executions")
    op.drop_table("chat_sessions")
    op.drop_table("audit_log")
    op.drop_table("api_tokens")
    op.drop_table("agent_registry")
    op.drop_table("users")
