"""Rows for tests, stored through the session that `bind` names: `AgentFactory.create_sync(name="A")`."""

from __future__ import annotations

import hashlib
import itertools
from datetime import UTC, datetime
from typing import Any, TypeVar

from polyfactory import Use
from polyfactory.factories.sqlalchemy_factory import SQLAlchemyFactory
from sqlalchemy.orm import Session

from backend.storage.ids import new_id
from backend.storage.models import AgentExecution, AgentFeedback, AgentRegistry, ApiToken, User

T = TypeVar("T")

_numbers = itertools.count(1)


def _now() -> datetime:
    return datetime.now(UTC)


class RowFactory(SQLAlchemyFactory[T]):
    """Every column that could break a constraint is given below; nothing is left to chance."""

    __is_base_factory__ = True
    __set_relationships__ = False
    __use_defaults__ = True
    __random_seed__ = 1


class UserFactory(RowFactory[User]):
    id = Use(new_id, "usr")
    email = Use(lambda: f"person{next(_numbers)}@example.org")
    name = "A person"
    is_admin = False
    created_at = Use(_now)


class TokenFactory(RowFactory[ApiToken]):
    """`secret` gives the row of a token whose text is known; `user_id` is needed."""

    id = Use(new_id, "tok")
    name = "test"
    token_sha256 = Use(lambda: f"{next(_numbers):064x}")
    expires_at = None
    revoked_at = None
    created_at = Use(_now)

    @classmethod
    def of_secret(cls, secret: str, user_id: str, **more: Any) -> ApiToken:
        digest = hashlib.sha256(secret.encode()).hexdigest()
        return cls.create_sync(token_sha256=digest, user_id=user_id, **more)


class AgentFactory(RowFactory[AgentRegistry]):
    """`created_by` is needed unless a user is bound as the creator."""

    id = Use(new_id, "agt")
    name = Use(lambda: f"Agent no. {next(_numbers)}")
    description = "made by a factory"
    category = "test"
    maturity_level = "AUTONOMOUS"
    state = "ACTIVE"
    confidence_bp = 9500
    completed_since_change = 0
    system_prompt = ""
    model = "embedded/markov-1"
    configuration = Use(lambda: {"embedded": {"tokens": 4, "first_token_ms": 5, "interval_ms": 5}})
    row_version = 1
    created_at = Use(_now)
    updated_at = Use(_now)

    @classmethod
    def created_by(cls) -> str:
        return UserFactory.create_sync(is_admin=True).id


class AgentExecutionFactory(RowFactory[AgentExecution]):
    """A completed run over HTTP; `agent_id` and `user_id` are made when they are not given."""

    id = Use(new_id, "exe")
    session_id = None
    workflow_step_id = None
    request_id = None
    request_hash = "0" * 64
    transport = "HTTP"
    on_disconnect = "cancel"
    action = "chat"
    action_complexity = 2
    maturity_at_start = "AUTONOMOUS"
    status = "COMPLETED"
    input_data = Use(lambda: {"message": "test"})
    output_text = "An answer."
    finish_reason = "stop"
    error_code = None
    error_detail = None
    provider = "embedded"
    model = "embedded/markov-1"
    attempts = 1
    prompt_tokens = 1
    completion_tokens = 2
    usage_estimated = False
    last_seq = 4
    queued_at = Use(_now)
    started_at = Use(_now)
    first_token_at = Use(_now)
    completed_at = Use(_now)
    first_token_ms = 5
    duration_ms = 10
    owner_instance = None
    lease_expires_at = None

    @classmethod
    def agent_id(cls) -> str:
        return AgentFactory.create_sync().id

    @classmethod
    def user_id(cls) -> str:
        return UserFactory.create_sync().id


class AgentFeedbackFactory(RowFactory[AgentFeedback]):
    """A thumb up; `agent_id`, `execution_id` and `user_id` are made when they are not given."""

    id = Use(new_id, "fbk")
    rating = None
    feedback_type = "thumbs_up"
    comment = None
    correction = None
    sentiment = "POSITIVE"
    applied = False
    applied_reason = None
    created_at = Use(_now)

    @classmethod
    def agent_id(cls) -> str:
        return AgentFactory.create_sync().id

    @classmethod
    def execution_id(cls) -> str:
        return AgentExecutionFactory.create_sync().id

    @classmethod
    def user_id(cls) -> str:
        return UserFactory.create_sync().id


FACTORIES: tuple[type[RowFactory[Any]], ...] = (
    UserFactory,
    TokenFactory,
    AgentFactory,
    AgentExecutionFactory,
    AgentFeedbackFactory,
)


def bind(session: Session | None) -> None:
    """From now on each factory stores through this session."""
    for factory in FACTORIES:
        factory.__session__ = session
