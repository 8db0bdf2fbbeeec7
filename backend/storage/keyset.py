"""Paging that does not shift under inserts: a place in a list ordered by time and id, newest first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, or_, true
from sqlalchemy.orm import InstrumentedAttribute

__all__ = ["Position", "before"]


@dataclass(frozen=True, slots=True)
class Position:
    """The last item somebody has seen."""

    at: datetime
    id: str


def before(
    place: Position | None, time: InstrumentedAttribute[datetime], key: InstrumentedAttribute[str]
) -> ColumnElement[bool]:
    """The condition that leaves what comes after the place; without a place, everything."""
    if place is None:
        return true()
    return or_(time < place.at, and_(time == place.at, key < place.id))
