"""Is it alive, is it ready, what has it counted, and what does an error code mean."""

from __future__ import annotations

import time
from typing import Final

import anyio
from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from backend import telemetry
from backend.api.answers import not_found, reply
from backend.api.auth import Asking, database_of
from backend.errors import TABLE, ErrorCode, Problem
from backend.runs.manager import Runs
from backend.storage.session import StorageUnavailable

router = APIRouter()

DATABASE_LIMIT_S: Final = 0.5
EXHAUSTED_LIMIT_S: Final = 10.0


@router.get("/health/live")
async def live() -> Response:
    return reply({"status": "ok"})


@router.get("/health/ready")
async def ready(request: Request) -> Response:
    """200 with every check passed, else 503 with the same body; the one 503 that is no problem document."""
    runs: Runs = request.app.state.runs
    checks = {
        "schema": True,  # a server with another schema does not start
        "database": await _database_answers(request),
        "draining": not runs.draining,
        "run_slots": runs.slots_exhausted_s() <= EXHAUSTED_LIMIT_S,
    }
    passed = all(checks.values())
    body = {
        "status": "ready" if passed else "unavailable",
        "checks": {name: "ok" if good else "failed" for name, good in checks.items()},
        "connection_cap": runs.connection_cap,
    }
    return reply(body, 200 if passed else 503, None if passed else {"Retry-After": "1"})


async def _database_answers(request: Request) -> bool:
    """Whether `SELECT 1` comes back in time; the read itself is not cut, so the clock judges."""
    began = time.monotonic()
    try:
        await database_of(request).ping()
    except StorageUnavailable:
        return False  # D4
    return time.monotonic() - began < DATABASE_LIMIT_S


@router.get("/metrics")
async def metrics(request: Request, viewer: Asking) -> Response:
    if not viewer.is_admin:
        raise Problem(ErrorCode.FORBIDDEN)
    telemetry.db_pool_in_use.set(database_of(request).in_use())
    telemetry.tasks.set(len(anyio.get_running_tasks()))
    return Response(generate_latest(telemetry.REGISTRY), media_type=CONTENT_TYPE_LATEST)


@router.get("/problems/{code}")
async def explain(code: str) -> Response:
    """What the `type` of a problem leads to."""
    known = next((one for one in ErrorCode if one.value == code), None)
    if known is None:
        raise not_found()
    row = TABLE[known]
    return reply(
        {
            "type": f"/problems/{known}",
            "code": known.value,
            "title": row.title,
            "status": row.status,
            "retryable": row.retryable,
            "run_status": row.run_status,
            "close_code": row.close,
        }
    )
