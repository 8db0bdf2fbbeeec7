"""The measuring window in parts: windows without and with failures, under the same normal traffic."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Final

from load.metrics.run import CLEAN, RAMP, ROUGH

ENDLESS_S: Final = 7.5
"""Length of a window of a run without an end."""

SHORTEST_S, LONGEST_S = 3.0, 12.0
"""A window is at most so long, and therefore longer than half of it: rows of several seconds fit."""


@dataclass(frozen=True, slots=True)
class Windows:
    """kinds: what comes, in turn, from `from_ns` (monotonic) on; one kind alone has no end. rough_s: how much
    of it all is rough; None where nothing is to be spared."""

    from_ns: int
    length_ns: int
    kinds: tuple[str, ...]
    rough_s: float | None = None

    @property
    def endless(self) -> bool:
        """Whether there is but one window."""
        return len(self.kinds) == 1

    def at(self, ns: int) -> str:
        """CLEAN or ROUGH; RAMP before the first."""
        if ns < self.from_ns:
            return RAMP
        return self.kinds[(ns - self.from_ns) // self.length_ns % len(self.kinds)]

    def rough_left_s(self, ns: int) -> float:
        """How long it stays rough; 0 when it is not, infinite when it always is."""
        if self.at(ns) != ROUGH:
            return 0.0
        return math.inf if self.endless else self._left_s(ns)

    def rough_gone_s(self, ns: int) -> float:
        """How long it has been rough so far, all rough windows together."""
        if ns < self.from_ns:
            return 0.0
        cycles, rest_ns = divmod(ns - self.from_ns, self.length_ns * len(self.kinds))
        place, inside_ns = divmod(rest_ns, self.length_ns)
        whole = cycles * self.kinds.count(ROUGH) + self.kinds[:place].count(ROUGH)
        gone_ns = whole * self.length_ns + (inside_ns if self.kinds[place] == ROUGH else 0)
        return gone_ns / 1e9

    def next_rough_s(self, ns: int) -> float:
        """Until the next rough window begins, the current one not counted; infinite when none comes."""
        if self.endless:
            return math.inf
        length_s = self.length_ns / 1e9
        return self._left_s(ns) + (length_s if self.at(ns) == ROUGH else 0.0)

    def _left_s(self, ns: int) -> float:
        return (self.length_ns - (ns - self.from_ns) % self.length_ns) / 1e9


def planned(from_ns: int, left_s: float | None, seed: int, *, clean: bool, rough: bool) -> Windows:
    """The windows of a run that goes on for `left_s`, None for ever; as many clean ones as rough ones.

    clean, rough: whether anybody comes who belongs there. The seed says which comes first.
    """
    if not (clean and rough):
        return Windows(from_ns, 1, (ROUGH,) if rough else (CLEAN,))
    length_s, rough_s = ENDLESS_S, 2 * ENDLESS_S
    if left_s is not None:
        rough_s = left_s / 2
        pairs = max(1, math.ceil(left_s / (2 * LONGEST_S)))
        length_s = max(SHORTEST_S, left_s / (2 * pairs))
    kinds = (CLEAN, ROUGH)
    if random.Random(f"{seed}/windows").random() < 0.5:
        kinds = (ROUGH, CLEAN)
    return Windows(from_ns, int(length_s * 1e9), kinds, rough_s)
