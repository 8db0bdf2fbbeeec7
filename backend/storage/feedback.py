"""What users say about answers; one word of each user about each run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, insert, select

from backend.domain.confidence import FeedbackType, Sentiment
from backend.storage.ids import is_id, new_id
from backend.storage.models import AgentExecution, AgentFeedback, AgentRegistry, RunStatus
from backend.storage.users import Viewer, owned_by_parameters
from backend.telemetry import utc_now

__all__ = ["Opinion", "RatedRun", "Stored", "add_feedback", "find_rated_run"]


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a user says."""

    feedback_type: FeedbackType
    rating: int | None
    comment: str | None
    correction: str | None
    sentiment: Sentiment


@dataclass(frozen=True, slots=True)
class RatedRun:
    """The run a feedback is about."""

    execution_id: str
    agent_id: str
    status: RunStatus
    maturity_level: str  # of the agent, now


@dataclass(frozen=True, slots=True)
class Stored:
    id: str
    created_at: datetime


_FIND = (
    select(AgentExecution.status, AgentRegistry.maturity_level)
    .join(AgentRegistry, AgentRegistry.id == AgentExecution.agent_id)
    .where(
        AgentExecution.id == bindparam("run"),
        AgentExecution.agent_id == bindparam("agent"),
        owned_by_parameters(AgentExecution.user_id),
    )
)


def find_rated_run(
    viewer: Viewer, connection: Connection, *, agent_id: str, execution_id: str
) -> RatedRun | None:
    """The run, if it belongs to this agent and the viewer may see it."""
    if not (is_id(agent_id, "agt") and is_id(execution_id, "exe")):
        return None
    wanted = {"run": execution_id, "agent": agent_id, "viewer": viewer.user_id, "is_admin": viewer.is_admin}
    row = connection.execute(_FIND, wanted).first()
    return (
        None if row is None else RatedRun(execution_id, agent_id, RunStatus(row.status), row.maturity_level)
    )


def add_feedback(viewer: Viewer, connection: Connection, run: RatedRun, opinion: Opinion) -> Stored:
    """Stores it; `IntegrityError` if this user has said something about this run before."""
    stored = Stored(new_id("fbk"), utc_now())
    connection.execute(
        insert(AgentFeedback).values(
            id=stored.id,
            agent_id=run.agent_id,
            execution_id=run.execution_id,
            user_id=viewer.user_id,
            rating=opinion.rating,
            feedback_type=opinion.feedback_type,
            comment=opinion.comment,
            correction=opinion.correction,
            sentiment=opinion.sentiment,
            created_at=stored.created_at,
        )
    )
    return stored
