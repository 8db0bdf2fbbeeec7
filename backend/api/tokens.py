"""API tokens: made once, shown once, revocable."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import Field
from sqlalchemy import Connection
from starlette.responses import Response

from backend.api.answers import NO_CONTENT, not_found, reply
from backend.api.auth import Asking, database_of
from backend.api.body import Schema, read_json
from backend.api.pages import Cursor, Number, cursor_page, page_size, position, position_cursor
from backend.storage import audit
from backend.storage.users import Token, issue_token, list_tokens, revoke_token
from backend.telemetry import wire_time

router = APIRouter()

TEN_YEARS_S = 10 * 365 * 24 * 3600


class NewToken(Schema):
    name: Annotated[str, Field(min_length=1, max_length=120)]
    ttl_s: Annotated[int | None, Field(ge=1, le=TEN_YEARS_S)] = None


@router.get("/api/tokens")
async def browse(request: Request, viewer: Asking, cursor: Cursor = None, limit: Number = None) -> Response:
    size, after = page_size(limit), position(cursor)
    rows = await database_of(request).read(
        lambda connection: list_tokens(viewer, connection, after=after, limit=size)
    )
    return reply(cursor_page(rows, size, _view, lambda row: position_cursor(row.created_at, row.id)))


@router.post("/api/tokens")
async def create(request: Request, viewer: Asking) -> Response:
    new = await read_json(request, NewToken)
    token, secret = await database_of(request).write(
        lambda connection: issue_token(connection, viewer.user_id, new.name, new.ttl_s)
    )
    return reply(_view(token) | {"token": secret}, 201)


@router.delete("/api/tokens/{token_id}")
async def revoke(request: Request, viewer: Asking, token_id: str) -> Response:

    def take_back(connection: Connection) -> None:
        if not revoke_token(viewer, connection, token_id):
            raise not_found()
        audit.record(
            connection,
            actor_id=viewer.user_id,
            action="token.revoke",
            object_type="token",
            object_id=token_id,
            allowed=True,
        )

    await database_of(request).write(take_back)
    return Response(status_code=NO_CONTENT)


def _view(token: Token) -> dict[str, object]:
    return {
        "id": token.id,
        "user_id": token.user_id,
        "name": token.name,
        "expires_at": wire_time(token.expires_at),
        "revoked_at": wire_time(token.revoked_at),
        "created_at": wire_time(token.created_at),
    }
