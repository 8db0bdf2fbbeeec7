"""The one list of rows that all failure users of a run take from."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

SPREAD: Final = 0.9
"""Part of the rough time over which all that is due is spread: faster it disturbs users more, and later there
may be no window left that it fits into."""


@dataclass(frozen=True, slots=True)
class Due:
    """How often a row must come at least, how long it takes at most, and whether it may come again."""

    times: int
    lasts_s: float
    again: bool = True


class Walk:
    """Names of rows: each as often as it is due, the longest first; then on and on in seeded order."""

    def __init__(self, rows: Mapping[str, Due], seed: int) -> None:
        self._rows = rows
        self._random = random.Random(f"{seed}/walk")
        due = self._shuffled([name for name, row in rows.items() for _ in range(row.times)])
        self._left = sorted(due, key=lambda name: -rows[name].lasts_s)
        self._due = len(due)
        self._taken = 0

    def take(self, left_s: float) -> str | None:
        """The next row that ends within `left_s`; None when nothing that is due does."""
        if not self._left:
            self._left = self._shuffled([name for name, row in self._rows.items() if row.again])
        for name in self._left:
            if self._rows[name].lasts_s < left_s:
                self._left.remove(name)
                self._taken += 1
                return name
        return None

    def held_s(self, gone_s: float, rough_s: float | None) -> float:
        """How long the next row waits, so that they come evenly. gone_s: of the rough time; rough_s: all of
        it, None for as fast as possible."""
        if rough_s is None or not self._due:
            return 0.0
        return max(0.0, self._taken * SPREAD * rough_s / self._due - gone_s)

    def _shuffled(self, names: list[str]) -> list[str]:
        self._random.shuffle(names)
        return names
