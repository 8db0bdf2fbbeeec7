"""Numbers of frames, as they came: which are missing, doubled or late."""

from __future__ import annotations

from typing import Final

LARGEST_HOLE: Final = 100_000
"""A wider jump is remembered by its size alone: a wild number must not fill the memory."""


class Sequence:
    """Expects first, first + 1, … duplicates: seen before. late: filled a hole that a later number had left.

    garbled: frames that came but could not be read; each explains one missing number.
    """

    __slots__ = ("_beyond", "_holes", "_next", "duplicates", "garbled", "late")

    def __init__(self, first: int = 1) -> None:
        self._next = first
        self._holes: set[int] = set()
        self._beyond = 0
        self.duplicates = 0
        self.late = 0
        self.garbled = 0

    def take(self, seq: int) -> None:
        """Books one number."""
        expected = self._next
        if seq == expected:
            self._next = expected + 1
        elif seq > expected:
            if seq - expected > LARGEST_HOLE:
                self._beyond += seq - expected
            else:
                self._holes.update(range(expected, seq))
            self._next = seq + 1
        elif seq in self._holes:
            self._holes.remove(seq)
            self.late += 1
        else:
            self.duplicates += 1

    def misses(self, seq: int) -> bool:
        """Whether `seq` is a hole so far."""
        return seq in self._holes

    @property
    def lost(self) -> int:
        """Numbers that are still missing and not explained by a garbled frame."""
        return max(0, len(self._holes) + self._beyond - self.garbled)
