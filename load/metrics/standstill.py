"""When the generator stood still: stopped, suspended, or kept from the processor for long."""

from __future__ import annotations

from typing import Final

STANDSTILL_NS: Final = 1_000_000_000
"""What scenarios do in time they do within this: the shortest deadline of the profile is no shorter."""

AFTERMATH_NS: Final = 5_000_000_000
"""So long behind a standstill a scenario may still be out of step: what it waits for takes no longer."""


class Standstills:
    """Told of every moment in which the generator certainly ran; all times monotonic ns."""

    __slots__ = ("_beat_ns", "found")

    def __init__(self) -> None:
        self._beat_ns: int | None = None
        self.found: list[tuple[int, int]] = []

    def beat(self, now_ns: int) -> None:
        """It runs."""
        if self._beat_ns is not None and now_ns - self._beat_ns > STANDSTILL_NS:
            self.found.append((self._beat_ns, now_ns))
        self._beat_ns = now_ns

    def touched(self, from_ns: int, until_ns: int, now_ns: int) -> bool:
        """Whether a standstill may have changed what went on from here to there; one that has just ended
        counts, though no beat has told of it yet."""
        found = list(self.found)
        if self._beat_ns is not None and now_ns - self._beat_ns > STANDSTILL_NS:
            found.append((self._beat_ns, now_ns))
        return any(begin < until_ns and from_ns < end + AFTERMATH_NS for begin, end in found)
