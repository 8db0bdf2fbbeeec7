"""Users, their tokens, and who is asking: `Viewer` is the first argument of every query of owned objects."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Boolean, ColumnElement, Connection, bindparam, func, insert, or_, select, true, update
from sqlalchemy.orm import InstrumentedAttribute

from backend.storage.ids import is_id, new_id
from backend.storage.keyset import Position, before
from backend.storage.models import ApiToken, User
from backend.telemetry import utc_now

__all__ = [
    "Token",
    "Viewer",
    "add_user",
    "find_viewer",
    "issue_token",
    "list_tokens",
    "owned",
    "owned_by_parameters",
    "revoke_token",
    "token_hash",
    "users_exist",
]


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who is asking, as a valid token says."""

    user_id: str
    is_admin: bool
    token_id: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Token:
    id: str
    user_id: str
    name: str
    expires_at: datetime | None
    revoked_at: datetime | None
    created_at: datetime


def owned(viewer: Viewer, owner: InstrumentedAttribute[str]) -> ColumnElement[bool]:
    """The condition that leaves a viewer's own rows, and all rows to an administrator."""
    return true() if viewer.is_admin else owner == viewer.user_id


def owned_by_parameters(owner: InstrumentedAttribute[str]) -> ColumnElement[bool]:
    """The same for a query that is built once; it takes `viewer` and `is_admin` when it runs."""
    return or_(owner == bindparam("viewer"), bindparam("is_admin", type_=Boolean))


def token_hash(secret: str) -> str:
    """How a token is stored. 256 random bits need no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()


# Built once: it runs at every request, and building it costs as much as running it.
_FIND_VIEWER = (
    select(User.id, User.is_admin, ApiToken.id, ApiToken.expires_at)
    .join(User, User.id == ApiToken.user_id)
    .where(
        ApiToken.token_sha256 == bindparam("token_sha256"),
        ApiToken.revoked_at.is_(None),
        or_(ApiToken.expires_at.is_(None), ApiToken.expires_at > bindparam("now")),
    )
)


def find_viewer(connection: Connection, secret: str) -> Viewer | None:
    """Whose token this is; None if it is unknown, expired or revoked."""
    wanted = {"token_sha256": token_hash(secret), "now": utc_now()}
    row = connection.execute(_FIND_VIEWER, wanted).first()
    return None if row is None else Viewer(*row)


def users_exist(connection: Connection) -> bool:
    return bool(connection.execute(select(func.count()).select_from(User)).scalar_one())


def add_user(connection: Connection, email: str, *, name: str = "", is_admin: bool = False) -> str:
    """Adds a user and gives the id; `IntegrityError` if the address is taken."""
    user_id = new_id("usr")
    address = email.lower()
    connection.execute(
        insert(User).values(
            id=user_id,
            email=address,
            name=name or address.partition("@")[0],
            is_admin=is_admin,
            created_at=utc_now(),
        )
    )
    return user_id


def issue_token(connection: Connection, user_id: str, name: str, ttl_s: int | None) -> tuple[Token, str]:
    """A new token and its secret, which is stored nowhere."""
    secret = "sg_" + secrets.token_urlsafe(32)
    now = utc_now()
    expires_at = None if ttl_s is None else now + timedelta(seconds=ttl_s)
    token = Token(new_id("tok"), user_id, name, expires_at, None, now)
    connection.execute(
        insert(ApiToken).values(
            id=token.id,
            user_id=user_id,
            name=name,
            token_sha256=token_hash(secret),
            expires_at=expires_at,
            created_at=now,
        )
    )
    return token, secret


def list_tokens(viewer: Viewer, connection: Connection, *, after: Position | None, limit: int) -> list[Token]:
    """Newest first, one more than `limit` if there are more."""
    query = (
        select(
            ApiToken.id,
            ApiToken.user_id,
            ApiToken.name,
            ApiToken.expires_at,
            ApiToken.revoked_at,
            ApiToken.created_at,
        )
        .where(owned(viewer, ApiToken.user_id), before(after, ApiToken.created_at, ApiToken.id))
        .order_by(ApiToken.created_at.desc(), ApiToken.id.desc())
        .limit(limit + 1)
    )
    return [Token(*row) for row in connection.execute(query)]


def revoke_token(viewer: Viewer, connection: Connection, token_id: str) -> bool:
    """Whether there is such a token; to revoke it twice changes nothing."""
    if not is_id(token_id, "tok"):
        return False
    done = connection.execute(
        update(ApiToken)
        .where(ApiToken.id == token_id, owned(viewer, ApiToken.user_id))
        .values(revoked_at=func.coalesce(ApiToken.revoked_at, utc_now()))
    )
    return done.rowcount == 1
