"""Answers: JSON bodies, problems, and the handlers that turn whatever is raised into a problem."""

from __future__ import annotations

from typing import Final

import orjson
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from backend import telemetry
from backend.api.body import findings_of
from backend.errors import ErrorCode, Finding, Problem

__all__ = ["NO_CONTENT", "not_found", "on_http_exception", "on_validation_error", "problem_response", "reply"]

_BY_STATUS: Final = {
    404: ErrorCode.NOT_FOUND,
    405: ErrorCode.METHOD_NOT_ALLOWED,
    413: ErrorCode.PAYLOAD_TOO_LARGE,
}
NO_CONTENT: Final = 204


def reply(content: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(content), status, headers, media_type="application/json")


def not_found() -> Problem:
    """The one 404: what does not exist and what belongs to somebody else look the same."""
    return Problem(ErrorCode.NOT_FOUND)


def problem_response(problem: Problem) -> Response:
    """The problem over HTTP; a code without a status of its own cannot be answered and counts as internal."""
    return Response(
        orjson.dumps(problem.body(telemetry.correlation_id())),
        problem.status or 500,
        problem.headers(),
        media_type="application/problem+json",
    )


async def on_http_exception(_request: Request, error: Exception) -> Response:
    """The framework's own refusals: unknown route, wrong method."""
    assert isinstance(error, HTTPException)
    code = _BY_STATUS.get(error.status_code, ErrorCode.INVALID_REQUEST)  # L15
    status = error.status_code if code is ErrorCode.INVALID_REQUEST else None
    return problem_response(Problem(code, status=status, headers=error.headers))


async def on_validation_error(_request: Request, error: Exception) -> Response:
    """Query parameters that their declared pattern refuses."""
    assert isinstance(error, RequestValidationError)
    findings = findings_of([{**one, "loc": one["loc"][1:]} for one in error.errors()])
    unique: list[Finding] = list(dict.fromkeys(findings))
    return problem_response(Problem(ErrorCode.INVALID_REQUEST, errors=unique))
