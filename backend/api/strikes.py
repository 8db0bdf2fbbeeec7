"""How much nonsense one connection may send before it is closed.

malformed  frames that are no frames: the WS_STRIKES-th is fatal
rate       frames or messages beyond the rate: fatal when more than WS_STRIKES come in a row
"""

from __future__ import annotations

import time

from backend.errors import ErrorCode, Problem
from backend.runs.limits import MessageRate
from backend.settings import Settings


class Strikes:
    def __init__(self, settings: Settings) -> None:
        self._limit = settings.ws_strikes
        self._per_s = settings.ws_frames_per_sec
        self._bucket = MessageRate(self._per_s * 60, self._per_s)
        self._malformed = 0
        self._rate = 0

    def frame(self) -> None:
        """Counts a frame; raises `rate_limited` if it is one too many, before it is even read."""
        wait_ms = self._bucket.take("", time.monotonic())
        if wait_ms is not None:
            raise Problem(  # F10
                ErrorCode.RATE_LIMITED, f"{self._per_s} frames per second", retry_after_ms=wait_ms
            )

    def accepted(self) -> None:
        self._rate = 0

    def refused(self, code: ErrorCode) -> bool:
        """Counts a refusal; true if it is the one that ends the connection."""
        if code is ErrorCode.MALFORMED_FRAME:
            self._malformed += 1
            return self._malformed >= self._limit  # F1
        if code is ErrorCode.RATE_LIMITED:
            self._rate += 1
            return self._rate > self._limit  # F10
        return False
