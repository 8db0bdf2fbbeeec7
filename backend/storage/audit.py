"""The append-only log of refusals and of what administrators did."""

from __future__ import annotations

from sqlalchemy import Connection, insert

from backend.storage.ids import new_id
from backend.storage.models import AuditLog
from backend.telemetry import utc_now

__all__ = ["record"]


def record(
    connection: Connection,
    *,
    actor_id: str | None,
    action: str,
    object_type: str,
    object_id: str | None,
    allowed: bool,
    **detail: object,
) -> None:
    """Writes one row in the caller's transaction. `detail` holds plain values, no secret, no user's text."""
    connection.execute(
        insert(AuditLog).values(
            id=new_id("aud"),
            actor_id=actor_id,
            action=action,
            object_type=object_type,
            object_id=object_id,
            decision="allowed" if allowed else "denied",
            detail=detail,
            created_at=utc_now(),
        )
    )
