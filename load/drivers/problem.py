"""RFC 9457 problems, as far as a client judges by them."""

from __future__ import annotations

from typing import Any, Final

import orjson

from load.metrics.events import Refused

KEPT_BYTES: Final = 65_536


def refused(at: int, status: int, body: bytes, correlation_id: str | None) -> Refused:
    """A refusal, with the members of its problem; None where it has none."""
    problem = _object(body)
    code, execution_id = problem.get("code"), problem.get("execution_id")
    return Refused(
        at,
        status,
        code if isinstance(code, str) else None,
        body[:KEPT_BYTES],
        limit_ms=_float(problem.get("limit_ms")),
        elapsed_ms=_float(problem.get("elapsed_ms")),
        retry_after_ms=_float(problem.get("retry_after_ms")),
        correlation_id=correlation_id,
        execution_id=execution_id if isinstance(execution_id, str) else None,
    )


def code_of(body: bytes) -> str | None:
    """The `code` of a problem."""
    code = _object(body).get("code")
    return code if isinstance(code, str) else None


def _object(body: bytes) -> dict[str, Any]:
    try:
        problem = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return problem if isinstance(problem, dict) else {}


def _float(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
