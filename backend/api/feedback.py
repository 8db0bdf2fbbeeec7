"""Feedback on an answer. The body is judged before anything is looked up."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import Field
from sqlalchemy.exc import IntegrityError
from starlette.responses import Response

from backend.api.answers import not_found, reply
from backend.api.auth import Asking, database_of
from backend.api.body import Schema, invalid, read_json
from backend.domain.confidence import FeedbackType, sentiment
from backend.errors import ErrorCode, Problem
from backend.storage.feedback import Opinion, RatedRun, Stored, add_feedback, find_rated_run
from backend.telemetry import wire_time

router = APIRouter()


class NewFeedback(Schema):
    execution_id: Annotated[str, Field(min_length=1, max_length=64)]
    feedback_type: Annotated[FeedbackType, Field(strict=False)]
    rating: Annotated[int | None, Field(ge=1, le=10)] = None  # B1
    comment: Annotated[str | None, Field(max_length=4000)] = None
    correction: Annotated[str | None, Field(min_length=1, max_length=16_000)] = None


@router.post("/api/agents/{agent_id}/feedback")
async def give(request: Request, viewer: Asking, agent_id: str) -> Response:
    new = await read_json(request, NewFeedback)
    if new.feedback_type is FeedbackType.RATING and new.rating is None:
        raise invalid("/rating", "missing", "A rating is required with this type")  # B1
    if new.feedback_type is FeedbackType.CORRECTION and new.correction is None:
        raise invalid("/correction", "missing", "A correction is required with this type")
    database = database_of(request)
    run = await database.read(
        lambda connection: find_rated_run(
            viewer, connection, agent_id=agent_id, execution_id=new.execution_id
        )
    )
    if run is None:
        raise not_found()  # B2
    if not run.status.terminal:
        raise Problem(ErrorCode.CONFLICT, "The run has not ended")  # B2
    opinion = Opinion(
        new.feedback_type,
        new.rating,
        new.comment,
        new.correction,
        sentiment(new.feedback_type, new.rating),
    )
    try:
        stored = await database.write(lambda connection: add_feedback(viewer, connection, run, opinion))
    except IntegrityError:  # B3
        raise Problem(ErrorCode.FEEDBACK_EXISTS) from None  # B3
    return reply(_view(run, opinion, stored), 201)


def _view(run: RatedRun, opinion: Opinion, stored: Stored) -> dict[str, object]:
    return {
        "id": stored.id,
        "execution_id": run.execution_id,
        "agent_id": run.agent_id,
        "rating": opinion.rating,
        "feedback_type": opinion.feedback_type,
        "sentiment": opinion.sentiment,
        "maturity_level": run.maturity_level,
        "created_at": wire_time(stored.created_at),
    }
