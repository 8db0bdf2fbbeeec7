"""The clocks of a run: what each may take, when things happened, and what is said when one runs out.

    first token   RUNNING until the first piece with content
    inter-chunk   one piece with content until the next one or the finish
    total         RUNNING until the answer is complete

All are monotonic. Empty pieces reset none of them.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import anyio

from backend import telemetry
from backend.errors import ErrorCode, Problem
from backend.settings import Settings

# More is not an iteration of the loop but another clock: then the loop's own is as good as any.
_MOST_BEHIND_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class RunLimits:
    """What one answer may take."""

    first_token_s: float
    inter_chunk_s: float
    total_s: float
    answer_bytes: int

    @classmethod
    def of(cls, settings: Settings) -> RunLimits:
        return cls(
            settings.first_token_timeout,
            settings.inter_chunk_timeout,
            settings.total_deadline,
            settings.max_response_bytes,
        )


class RunTimes:
    """When a run was queued, started, spoke first and ended.

    One reading of the wall clock; all else is monotonic from there, so the stored moments are in order
    whatever the wall clock does meanwhile.
    """

    __slots__ = ("_queued_ns", "completed_ns", "first_token_ns", "queued_at", "started_ns")

    def __init__(self) -> None:
        self.queued_at = telemetry.utc_now()
        self._queued_ns = time.monotonic_ns()
        self.started_ns: int | None = None
        self.first_token_ns: int | None = None
        self.completed_ns: int | None = None

    def moment(self, mark_ns: int | None) -> datetime | None:
        """A mark on the wall clock of the run's beginning."""
        if mark_ns is None:
            return None
        return self.queued_at + timedelta(microseconds=(mark_ns - self._queued_ns) // 1000)

    @property
    def queued_s(self) -> float:
        """From admission to the start, or to now while there was none."""
        return ((self.started_ns or time.monotonic_ns()) - self._queued_ns) / 1e9

    @property
    def first_token_ms(self) -> int | None:
        return self._since_start_ms(self.first_token_ns)

    @property
    def duration_ms(self) -> int | None:
        return self._since_start_ms(self.completed_ns)

    def _since_start_ms(self, mark_ns: int | None) -> int | None:
        if mark_ns is None or self.started_ns is None:
            return None
        return (mark_ns - self.started_ns) // 1_000_000


def full(limit_s: float) -> float:
    """The limit as a timer of the loop must be told it, so that it does not fire before the limit is over.

    uvloop reads its clock once an iteration and in whole milliseconds: `current_time()` is a little in the
    past, and a timer that counts from there is early by as much.
    """
    now_s = anyio.current_time()
    return _due(now_s, limit_s) - now_s


def _due(now_s: float, limit_s: float) -> float:
    return now_s + limit_s + min(max(time.monotonic() - now_s, 0.0), _MOST_BEHIND_S)


def wind(clock: anyio.CancelScope, limit_s: float | None) -> bool:
    """Moves the deadline of a `fail_after` block (None: it does not run); false if it has struck already.

    Then the cancellation is on its way while the work goes on for one more step, and with a deadline in the
    future again anyio would swallow it without raising TimeoutError.
    """
    if clock.cancel_called:
        return False
    clock.deadline = math.inf if limit_s is None else _due(anyio.current_time(), limit_s)
    return True


def ran_out(code: ErrorCode, limit_s: float, since_ns: int) -> Problem:
    """The problem of a clock, with its limit and what had really passed: its lateness shows on the wire."""
    elapsed_ms = math.ceil((time.monotonic_ns() - since_ns) / 1e6)
    limit_ms = round(limit_s * 1000)
    return Problem(code, f"limit {limit_ms} ms", limit_ms=limit_ms, elapsed_ms=elapsed_ms)
