"""What a metric may change by, on the log scale: below `ignore` nobody is told, from `harm` on it is one.

ignore   3 %, and never less than 0.2 ms
harm     10 %; of backend_ttft and relay never less than 1 ms: 10 % of a few ms cannot be excluded in a
         minute
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from load.verdict.looks import ERROR
from load.verdict.rounds import OF_JOURNAL

IGNORE: Final = 0.03
IGNORE_MS: Final = 0.2
HARM: Final = 0.10
HARM_MS: Final = 1.0
POWER: Final = 0.95
"""How surely a harm is to be found in the time that a report says is missing."""


@dataclass(frozen=True, slots=True)
class Margins:
    """Log ratios."""

    ignore: float
    harm: float

    @classmethod
    def of(cls, metric: str, base_ms: float | None) -> Margins:
        """base_ms: median of the metric in the base arm, None where it is no time."""
        ignore, harm = IGNORE, HARM
        if base_ms:
            ignore = max(ignore, IGNORE_MS / base_ms)
            if metric in OF_JOURNAL:
                harm = max(harm, HARM_MS / base_ms)
        return cls(math.log1p(ignore), math.log1p(harm))

    def se_needed(self, tests: int) -> float | None:
        """The standard error that finds a harm with POWER; None where none would."""
        from scipy.special import ndtri

        if self.harm <= self.ignore:
            return None
        return (self.harm - self.ignore) / float(ndtri(1 - ERROR / tests) + ndtri(POWER))
