"""When a comparison is looked at, and how much of its error each look may spend.

Whoever looks often sees something sometime. So the error of a whole run, 1 %, is spent by a fixed function of
the share of the budget that is used: nearly nothing early, when only what is clear may be said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

SHARES: Final = (1 / 3, 1 / 2, 3 / 4, 1.0)
"""Of the budget, when a look is due."""
ERROR: Final = 0.01
"""Of a whole run: how often equal code may be called REGRESSED, all metrics together."""
_Z: Final = 2.5758293035489004
"""Two-sided quantile of the normal distribution at ERROR."""


@dataclass(frozen=True, slots=True)
class Taken:
    """One look. share: of the budget, at most 1. allowance: error it might spend over all metrics. metric, p:
    whose p was the smallest, and that p."""

    share: float
    rounds: int
    load_s: float
    allowance: float
    metric: str
    p: float


@dataclass(frozen=True, slots=True)
class Looks:
    """Those that were taken, in order."""

    taken: tuple[Taken, ...] = ()

    @property
    def share(self) -> float:
        """Of the last; 0 before the first."""
        return self.taken[-1].share if self.taken else 0.0

    def due(self, share: float) -> bool:
        """Whether a look is due when this share of the budget is used."""
        return _passed(share) > _passed(self.share)

    def allowance(self, share: float) -> float:
        """What a look now may spend: no earlier one has."""
        return max(0.0, spent(share) - spent(self.share))

    def __add__(self, one: Taken) -> Looks:
        return Looks((*self.taken, one))


def spent(share: float) -> float:
    """Error that may be spent until this share of the budget is used: 2 (1 - Phi(2.576 / sqrt share))."""
    if share <= 0:
        return 0.0
    from scipy.special import ndtr

    return min(ERROR, 2 * float(ndtr(-_Z / min(1.0, share) ** 0.5)))


def holm(ps: Sequence[tuple[str, float]], error: float, tests: int) -> tuple[str, ...]:
    """Names whose p stands, smallest first: with `tests` of them the first against error / tests, the next
    against error / (tests - 1), and so on until one fails."""
    found: list[str] = []
    for name, p in sorted(ps, key=lambda pair: (pair[1], pair[0])):
        if p > error / max(1, tests - len(found)):
            break
        found.append(name)
    return tuple(found)


def _passed(share: float) -> int:
    return sum(share >= due for due in SHARES)
