"""What one user may have: so many messages a minute, so many things at once, one of a kind at a time."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at_s: float


class MessageRate:
    """A bucket of `burst` tokens for each key, filled at `per_minute`; one message takes one token."""

    # Full buckets say nothing and are dropped once there are this many.
    _PRUNE_ABOVE = 10_000

    def __init__(self, per_minute: float, burst: int) -> None:
        self._per_s = per_minute / 60
        self._burst = burst
        self._buckets: dict[str, _Bucket] = {}

    def take(self, key: str, now_s: float) -> int | None:
        """None if a token was there; else the milliseconds until there is one."""
        bucket = self._buckets.get(key)
        if bucket is None:
            if len(self._buckets) >= self._PRUNE_ABOVE:
                self._prune(now_s)
            bucket = self._buckets[key] = _Bucket(self._burst, now_s)
        bucket.tokens = min(self._burst, bucket.tokens + (now_s - bucket.filled_at_s) * self._per_s)
        bucket.filled_at_s = now_s
        if bucket.tokens < 1:
            return math.ceil((1 - bucket.tokens) / self._per_s * 1000)
        bucket.tokens -= 1
        return None

    def _prune(self, now_s: float) -> None:
        full_after_s = self._burst / self._per_s
        self._buckets = {
            key: bucket for key, bucket in self._buckets.items() if now_s - bucket.filled_at_s < full_after_s
        }


class Held:
    """At most `limit` things held by one key at once."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._held: Counter[str] = Counter()

    def take(self, key: str) -> bool:
        if self._held[key] >= self.limit:
            return False
        self._held[key] += 1
        return True

    def give_back(self, key: str) -> None:
        self._held[key] -= 1
        if self._held[key] <= 0:
            del self._held[key]


class Alone:
    """Blocks of one key run one after the other; blocks without a key do not wait."""

    def __init__(self) -> None:
        self._locks: dict[Hashable, tuple[anyio.Lock, int]] = {}

    @asynccontextmanager
    async def alone(self, key: Hashable | None) -> AsyncIterator[None]:
        if key is None:
            yield
            return
        lock, users = self._locks.get(key, (anyio.Lock(), 0))
        self._locks[key] = lock, users + 1
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks.pop(key)
            if users > 1:
                self._locks[key] = lock, users - 1
