"""Who is asking. One function serves HTTP requests and WebSocket handshakes alike."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Final

from fastapi import Depends
from starlette.requests import HTTPConnection, Request

from backend import telemetry
from backend.errors import ErrorCode, Problem
from backend.storage import audit
from backend.storage.session import Database
from backend.storage.users import Viewer, find_viewer

__all__ = ["Asking", "admin_only", "authenticate", "bearer_token", "database_of"]

_TOKEN: Final = re.compile(r"sg_[A-Za-z0-9_-]{43}")


def database_of(connection: HTTPConnection) -> Database:
    """The database of the application that serves this request."""
    database: Database = connection.app.state.database
    return database


def bearer_token(connection: HTTPConnection) -> str | None:
    """The text behind `Bearer`; None without exactly one `Authorization` header of that scheme."""
    values = connection.headers.getlist("authorization")
    if len(values) != 1:
        return None
    scheme, _, token = values[0].partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


async def authenticate(database: Database, token: str | None) -> Viewer:
    """Who the token stands for. Missing, malformed, unknown, expired and revoked all get the same answer."""
    viewer = None
    if token is not None and _TOKEN.fullmatch(token):
        viewer = await database.read(lambda connection: find_viewer(connection, token))
    if viewer is None:
        raise Problem(ErrorCode.UNAUTHENTICATED)  # H1 H2 H3
    return viewer


async def _asking(request: Request) -> Viewer:
    await request.body()  # too large or too slow is said before anything is looked up
    viewer = await authenticate(database_of(request), bearer_token(request))
    telemetry.note(user_id=viewer.user_id)
    return viewer


Asking = Annotated[Viewer, Depends(_asking)]


def admin_only(action: str) -> Callable[[Request, Viewer], Awaitable[Viewer]]:
    """A dependency that lets administrators pass and writes down everybody else who tried."""

    async def check(request: Request, viewer: Asking) -> Viewer:
        if viewer.is_admin:
            return viewer
        await database_of(request).write(
            lambda connection: audit.record(
                connection,
                actor_id=viewer.user_id,
                action=action,
                object_type="agent",
                object_id=None,
                allowed=False,
                code=ErrorCode.FORBIDDEN,
            )
        )
        raise Problem(ErrorCode.FORBIDDEN)  # B8

    return check
