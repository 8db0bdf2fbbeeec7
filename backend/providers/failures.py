"""How an attempt at a provider fails before its first token, and what may be tried then.

    observation                                 code                    then
    not connected, 5xx, lost                    provider_unavailable    the same again
    408, 409, 429                               provider_rate_limited   the same after a short `Retry-After`,
                                                                        else the next
    401, 403                                    provider_auth           the next
    not an event stream, malformed, too large   provider_protocol       the next
    other 4xx, 3xx, content filter              provider_bad_request    nothing

An error that a provider sends inside its stream counts as the status it names, or as its type says.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Final

from backend.errors import ErrorCode, Problem

# More is as good as never; it also keeps every number small that goes on from here.
_LONGEST_PAUSE_S: Final = 86_400.0


class Then(Enum):
    """What comes behind a failed attempt."""

    AGAIN = "the same candidate, while it has attempts left"
    NEXT = "the next candidate"
    STOP = "nothing: the request itself is refused"


class AttemptFailed(Exception):
    """An attempt that ended before its first token. Its text is ours: nothing of what the provider sent."""

    def __init__(
        self, code: ErrorCode, then: Then, detail: str | None = None, *, retry_after_s: float | None = None
    ) -> None:
        super().__init__(code.value, detail)
        self.code = code
        self.then = then
        self.detail = detail
        self.retry_after_s = retry_after_s  # as the provider wishes it; None: it said nothing

    def problem(self) -> Problem:
        """What the client is told when nobody else can be asked."""
        retry_after_ms = round(self.retry_after_s * 1000) if self.retry_after_s else None
        return Problem(self.code, self.detail, retry_after_ms=retry_after_ms)


def lost(detail: str) -> AttemptFailed:
    """Not reached, or gone before it said anything."""
    return AttemptFailed(ErrorCode.PROVIDER_UNAVAILABLE, Then.AGAIN, detail)  # P1 P4 P9 P10


def broken(detail: str) -> AttemptFailed:
    """It answered, but not in its protocol."""
    return AttemptFailed(ErrorCode.PROVIDER_PROTOCOL, Then.NEXT, detail)  # P12 P13 P14 P23


def refused(status: int, retry_after_s: float | None = None, where: str = "") -> AttemptFailed:
    """Answered with that status; `where` says so when it stood inside the stream."""
    detail = f"status {status}{where}"
    if status in (401, 403):
        return AttemptFailed(ErrorCode.PROVIDER_AUTH, Then.NEXT, detail)  # P2
    if status in (408, 409, 429):
        then = Then.NEXT if retry_after_s is None else Then.AGAIN
        return AttemptFailed(ErrorCode.PROVIDER_RATE_LIMITED, then, detail, retry_after_s=retry_after_s)  # P3
    if status >= 500:
        return lost(detail)
    if status >= 300:
        return AttemptFailed(ErrorCode.PROVIDER_BAD_REQUEST, Then.STOP, detail)  # P5
    return broken(detail)


# What providers call it, in `type` or `code`; what is not here is theirs, like a 500.
_STATUS_OF_TYPE: Final[Mapping[str, int]] = {
    "authentication_error": 401,
    "invalid_api_key": 401,
    "permission_error": 403,
    "permission_denied": 403,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "invalid_request_error": 400,
    "context_length_exceeded": 400,
    "content_filter": 400,
    "not_found_error": 404,
    "model_not_found": 404,
}


def reported(error: object) -> AttemptFailed:
    """The failure that an `error` member of an event stands for. P15"""
    told = [error.get(name) for name in ("status", "code", "type")] if isinstance(error, dict) else [error]
    for one in told:
        status = _status(one)
        if status is not None:
            return refused(status, where=" in the stream")  # P15
    return refused(500, where=" in the stream")


def _status(told: object) -> int | None:
    if isinstance(told, str):
        if told in _STATUS_OF_TYPE:
            return _STATUS_OF_TYPE[told]
        if not (told.isascii() and told.isdecimal() and len(told) == 3):
            return None
        told = int(told)
    return told if isinstance(told, int) and 400 <= told <= 599 else None


def retry_after(value: str | None) -> float | None:
    """Seconds that a `Retry-After` asks for, given as such or as an HTTP date; None if it cannot be read."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            moment = parsedate_to_datetime(value)
        except (ValueError, OverflowError):  # the latter for a year of twenty digits
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = (moment - datetime.now(UTC)).total_seconds()
    if math.isnan(seconds):
        return None
    return min(max(seconds, 0.0), _LONGEST_PAUSE_S)
