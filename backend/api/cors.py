"""Cross-origin requests of browsers; a refused preflight is a problem like every other refusal."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from backend.errors import ErrorCode, Problem

__all__ = ["Cors"]


class Cors(CORSMiddleware):
    """Allows the listed origins, never credentials: there are no cookies to send."""

    def __init__(self, app: ASGIApp, origins: tuple[str, ...]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=["GET", "POST", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "If-Match", "Last-Event-ID", "X-Correlation-Id"],
            expose_headers=["Retry-After", "X-Correlation-Id"],
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        response = super().preflight_response(request_headers)
        if response.status_code != 200:
            raise Problem(
                ErrorCode.INVALID_REQUEST, "This origin, method or header is not allowed", status=400
            )
        return response
