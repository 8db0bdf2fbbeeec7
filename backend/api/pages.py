"""Numbers and cursors of a query string, and the pages they ask for."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, TypeVar

from fastapi import Query

from backend.api.body import invalid
from backend.errors import ErrorCode, Problem
from backend.storage.keyset import Position

__all__ = ["Cursor", "Number", "cursor_page", "number", "position", "position_cursor", "seq", "seq_cursor"]

T = TypeVar("T")

# Digits of ASCII only: `int()` alone would take "1_0" and Arabic digits.
Number = Annotated[str | None, Query(pattern=r"^[0-9]{1,19}$")]
Cursor = Annotated[str | None, Query()]

MAX_PAGE_SIZE = 100
DEFAULT_PAGE_SIZE = 20
MAX_CURSOR_CHARS = 200


def number(name: str, text: str | None, default: int, low: int, high: int) -> int:
    """The value of a numeric parameter; 422 with its name outside of low..high."""
    value = default if text is None else int(text)
    if not low <= value <= high:
        raise invalid(f"/{name}", "range", f"Must be in {low}..{high}")  # L14
    return value


def page_size(text: str | None) -> int:
    return number("limit", text, DEFAULT_PAGE_SIZE, 1, MAX_PAGE_SIZE)


def cursor_page(
    rows: Sequence[T], limit: int, view: Callable[[T], object], cursor: Callable[[T], str]
) -> object:
    """One page out of up to limit + 1 rows; the one too many only tells that more follow."""
    shown = rows[:limit]
    more = len(rows) > limit
    return {"items": [view(row) for row in shown], "next_cursor": cursor(shown[-1]) if more else None}


def position_cursor(at: datetime, key: str) -> str:
    return _encode(f"{at.isoformat()} {key}")


def position(cursor: str | None) -> Position | None:
    """The place a cursor of `position_cursor` names."""
    if cursor is None:
        return None
    at, _, key = _decode(cursor).partition(" ")
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        raise Problem(ErrorCode.INVALID_CURSOR) from None  # L15
    if moment.tzinfo is None or not key.isascii() or not key:
        raise Problem(ErrorCode.INVALID_CURSOR)  # L15
    return Position(moment, key)


def seq_cursor(value: int) -> str:
    return _encode(str(value))


def seq(cursor: str | None) -> int:
    """The number a cursor of `seq_cursor` holds; 0 without one."""
    if cursor is None:
        return 0
    text = _decode(cursor)
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise Problem(ErrorCode.INVALID_CURSOR)  # L15
    return int(text)


def _encode(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode(cursor: str) -> str:
    if len(cursor) > MAX_CURSOR_CHARS:
        raise Problem(ErrorCode.INVALID_CURSOR)  # L15
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise Problem(ErrorCode.INVALID_CURSOR) from None  # L15
    if "\0" in text:
        raise Problem(ErrorCode.INVALID_CURSOR)  # L15
    return text
