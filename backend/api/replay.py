"""What is left of an earlier run: its end as the row tells it, and where a replay may begin."""

from __future__ import annotations

from typing import cast

from starlette.responses import Response

from backend.api.answers import reply
from backend.errors import ErrorCode, Problem
from backend.providers.base import FinishReason, Usage
from backend.runs.frames import RunFrames, usage_object
from backend.runs.order import Stop
from backend.runs.task import RunTask
from backend.storage.executions import Execution
from backend.storage.models import RunStatus


def stored_answer(row: Execution) -> Response:
    """The 200 of a finished run, marked as replayed; raises the problem it ended with."""
    problem = stored_problem(row)
    if problem is not None:
        raise problem
    content = {
        "response": row.output_text or "",
        "session_id": row.session_id,
        "execution_id": row.id,
        "request_id": row.request_id,
        "agent_id": row.agent_id,
        "finish_reason": row.finish_reason,
        "usage": usage_object(_usage(row)),
        "provider": row.provider,
        "model": row.model,
        "first_token_ms": row.first_token_ms,
        "duration_ms": row.duration_ms,
        "replayed": True,
    }
    return reply(content)


def stored_problem(row: Execution) -> Problem | None:
    """The problem of a run that did not complete, without what only the moment knew."""
    if row.error_code is None:
        return None
    code = ErrorCode(row.error_code)
    told = code if Problem(code).status is not None else ErrorCode.CANCELLED
    return Problem(told, row.error_detail, execution_id=row.id, partial=row.output_text or None)


def terminal_frame(row: Execution, correlation_id: str) -> bytes:
    """The one frame that is left of a finished run."""
    frames = RunFrames(row.id, row.request_id, row.session_id, row.agent_id, row.model)
    text, seq = row.output_text or "", row.last_seq
    if row.status == RunStatus.COMPLETED:
        return frames.done(
            seq,
            response=text,
            finish_reason=cast(FinishReason, row.finish_reason),
            usage=_usage(row),
            provider=row.provider or "",
            first_token_ms=row.first_token_ms,
            duration_ms=row.duration_ms,
        )
    code = ErrorCode(row.error_code or ErrorCode.INTERNAL)
    if code is ErrorCode.CANCELLED:
        # The row does not say who cancelled; the client that asks again is the one who is told.
        return frames.cancelled(seq, reason=Stop.CLIENT.value, partial=text, usage=_usage(row))
    problem = Problem(code, row.error_detail)
    return frames.error(seq, problem, partial=text, correlation_id=correlation_id)


def _usage(row: Execution) -> Usage:
    return Usage(row.prompt_tokens, row.completion_tokens, row.usage_estimated)


def gap(row: Execution) -> Problem:
    """The frames of this run are gone: evicted, or never in this process. Its record is not."""
    return Problem(  # C4 C14 S4
        ErrorCode.RESUME_GAP,
        execution_id=row.id,
        run_status=str(row.status),
        record=f"/api/executions/{row.id}",
    )


def check_seq(run: RunTask, after_seq: int) -> None:
    """Raises if the run has not come that far."""
    if after_seq > run.log.last_seq:
        raise Problem(  # C5 C14
            ErrorCode.RESUME_INVALID_SEQ,
            execution_id=run.execution_id,
            last_seq_available=run.log.last_seq,
        )
