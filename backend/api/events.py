"""Watching a run, and cancelling one, from any connection."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from backend.api.answers import not_found, reply
from backend.api.auth import Asking, database_of
from backend.api.body import invalid
from backend.api.chat import runs_of
from backend.api.replay import check_seq, gap
from backend.api.sse import EventStream
from backend.errors import ErrorCode, Problem
from backend.runs.manager import Runs
from backend.runs.order import Stop
from backend.runs.task import RunTask
from backend.storage.executions import Execution, get_execution
from backend.storage.users import Viewer

router = APIRouter()


@router.get("/api/executions/{execution_id}/events")
async def events(request: Request, viewer: Asking, execution_id: str) -> Response:
    runs = runs_of(request)
    after_seq = _last_event_id(request)
    run = _visible(runs, viewer, execution_id)
    if run is None:
        raise gap(await _stored(request, viewer, execution_id))  # C4
    check_seq(run, after_seq)
    return EventStream(runs, run, after_seq)


@router.post("/api/executions/{execution_id}/cancel")
async def cancel(request: Request, viewer: Asking, execution_id: str) -> Response:
    run = _visible(runs_of(request), viewer, execution_id)
    if run is None:
        await _stored(request, viewer, execution_id)
        raise Problem(ErrorCode.CONFLICT, "The run has ended")  # C8
    status = run.status
    own = run.order.user_id == viewer.user_id
    if not run.stop(Stop.API if own else Stop.ADMIN):
        raise Problem(ErrorCode.CONFLICT, "The run has ended")  # C8
    return reply({"execution_id": run.execution_id, "status": status.value}, 202)


def _last_event_id(request: Request) -> int:
    text = request.headers.get("last-event-id", "0")
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise invalid("/last-event-id", "int_parsing", "Last-Event-ID must be the seq of a frame")
    return int(text)


def _visible(runs: Runs, viewer: Viewer, execution_id: str) -> RunTask | None:
    run = runs.find(execution_id)
    return run if run is not None and (viewer.is_admin or run.order.user_id == viewer.user_id) else None


async def _stored(request: Request, viewer: Viewer, execution_id: str) -> Execution:
    row = await database_of(request).read(lambda connection: get_execution(viewer, connection, execution_id))
    if row is None:
        raise not_found()  # C8
    return row
