"""A sparse, mergeable histogram of integers, log-linear with 128 buckets an octave.

A value below 256 has its own bucket. Above, bucket (e, m) holds m << e .. ((m + 1) << e) - 1 with 128 <= m
< 256, so a quantile, given as the middle of its bucket, is at most 1/256 = 0.39 % off. n, sum, min and max
are exact.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from math import ceil

from load.errors import InstrumentError

RELATIVE_ERROR = 1 / 256
"""Largest relative error of a quantile."""


def _middle(key: int) -> int:
    """The value that stands for bucket `key`."""
    if key < 256:
        return key
    e = (key >> 7) - 1
    return ((key - (e << 7)) << e) + (1 << (e - 1))


@dataclass(slots=True)
class Histogram:
    """counts: bucket key -> number of values. min, max: None without values."""

    counts: dict[int, int] = field(default_factory=dict)
    n: int = 0
    sum: int = 0
    min: int | None = None
    max: int | None = None

    def add(self, value: int, times: int = 1) -> None:
        """Adds `value`, `times` over. Raises InstrumentError below 0: a duration never is."""
        if value < 0:
            raise InstrumentError(f"negative value {value} in a histogram")
        e = value.bit_length() - 8
        key = value if e <= 0 else (e << 7) + (value >> e)
        counts = self.counts
        counts[key] = counts.get(key, 0) + times
        self.n += times
        self.sum += value * times
        if self.min is None or value < self.min:
            self.min = value
        if self.max is None or value > self.max:
            self.max = value

    def add_all(self, values: Iterable[int]) -> None:
        """Adds every value; half the cost of as many calls of `add`."""
        values = list(values)
        if not values:
            return
        low, high = min(values), max(values)
        if low < 0:
            raise InstrumentError(f"negative value {low} in a histogram")
        counts = self.counts
        get = counts.get
        for value in values:
            e = value.bit_length() - 8
            key = value if e <= 0 else (e << 7) + (value >> e)
            counts[key] = get(key, 0) + 1
        self.n += len(values)
        self.sum += sum(values)
        self.min = low if self.min is None else min(self.min, low)
        self.max = high if self.max is None else max(self.max, high)

    def quantile(self, q: float) -> int | None:
        """The value of nearest rank ceil(q * n), 0 < q <= 1; None without values."""
        if self.min is None or self.max is None:
            return None
        rank = max(1, ceil(q * self.n - 1e-9))  # 0.07 * 100 is 7.000000000000001
        keys = sorted(self.counts)
        place = bisect_left(list(accumulate(self.counts[key] for key in keys)), rank)
        return min(max(_middle(keys[place]), self.min), self.max)

    def above(self, limit: int) -> int:
        """How many values lie above `limit`, by the middle of their bucket."""
        return sum(count for key, count in self.counts.items() if _middle(key) > limit)

    @property
    def mean(self) -> float | None:
        """The exact mean; None without values."""
        return self.sum / self.n if self.n else None

    def __add__(self, other: Histogram) -> Histogram:
        counts = dict(self.counts)
        for key, count in other.counts.items():
            counts[key] = counts.get(key, 0) + count
        lows = [low for low in (self.min, other.min) if low is not None]
        highs = [high for high in (self.max, other.max) if high is not None]
        return Histogram(
            counts,
            self.n + other.n,
            self.sum + other.sum,
            min(lows, default=None),
            max(highs, default=None),
        )

    def __sub__(self, earlier: Histogram) -> Histogram:
        """What came since `earlier`, an older state of this histogram.

        min and max stay those of the whole, so that `earlier + (self - earlier) == self`.
        """
        counts = {
            key: count - earlier.counts.get(key, 0)
            for key, count in self.counts.items()
            if count != earlier.counts.get(key, 0)
        }
        n = self.n - earlier.n
        return Histogram(counts, n, self.sum - earlier.sum, self.min if n else None, self.max if n else None)

    def to_json(self) -> dict[str, object]:
        """Plain values; the keys of `counts` are integers (msgpack) and become strings in JSON text."""
        return {"n": self.n, "sum": self.sum, "min": self.min, "max": self.max, "counts": dict(self.counts)}

    @classmethod
    def from_json(cls, stored: Mapping[str, object]) -> Histogram:
        """What `to_json` gave, through JSON text or msgpack. Raises InstrumentError for anything else."""
        counts, n, total = stored.get("counts"), stored.get("n"), stored.get("sum")
        low, high = stored.get("min"), stored.get("max")
        if (
            not isinstance(counts, Mapping)
            or not isinstance(n, int)
            or not isinstance(total, int)
            or not (low is None or isinstance(low, int))
            or not (high is None or isinstance(high, int))
        ):
            raise InstrumentError("not a stored histogram")
        return cls({int(key): int(count) for key, count in counts.items()}, n, total, low, high)
