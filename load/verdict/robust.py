"""Estimates that a few wild values cannot move: trimmed mean, sign test, quantile of a small sample.

scipy is imported where it is used: a run that compares nothing does not wait for it.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

TRIM: Final = 0.2
"""Of the values, at either end."""
SCATTER: Final = 0.01
"""Level of the test whether lifetimes differ."""
LEAST: Final = 5
"""Fewer values give no estimate."""
NEAREST_RANK_FROM: Final = 100
"""From so many values on a quantile is one of them."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A trimmed mean. se: its standard error. df: degrees of freedom of Student's t. n: values."""

    mean: float
    se: float
    df: int
    n: int

    def p_above(self, margin: float) -> float:
        """One-sided: how likely so much or more would be, were the truth `margin`."""
        if not self.se:
            return 0.0 if self.mean > margin else 1.0
        return _t_above((self.mean - margin) / self.se, self.df)

    def p_below(self, margin: float) -> float:
        """One-sided: how likely so little or less would be, were the truth `margin`."""
        if not self.se:
            return 0.0 if self.mean < margin else 1.0
        return _t_above((margin - self.mean) / self.se, self.df)

    def bound(self, confidence: float) -> float:
        """What the truth stays below with that confidence; with 1 - confidence: what it stays above."""
        from scipy.special import stdtrit

        return self.mean + float(stdtrit(self.df, confidence)) * self.se


def trimmed(values: Sequence[float]) -> Estimate | None:
    """Mean of the middle three fifths; its error by the winsorised deviation. None of fewer than LEAST."""
    n = len(values)
    if n < LEAST:
        return None
    mean, se = _trimmed(values)
    return Estimate(mean, se, n - 2 * _cut(n) - 1, n)


def over_lifetimes(by_lifetime: Mapping[int, Sequence[float]]) -> Estimate | None:
    """The trimmed mean of all values. Where the lifetimes' own means scatter more than their values explain,
    the error has the part that lies between lifetimes, too."""
    estimate = trimmed([value for values in by_lifetime.values() for value in values])
    if estimate is None:
        return None
    between = _between([values for values in by_lifetime.values() if len(values) >= LEAST])
    if not between:
        return estimate
    se = math.sqrt(estimate.se**2 + between / len(by_lifetime))
    return Estimate(estimate.mean, se, estimate.df, estimate.n)


def _between(lifetimes: Sequence[Sequence[float]]) -> float:
    """Variance between lifetimes; 0 unless an F test finds one."""
    if len(lifetimes) < 2:
        return 0.0
    from scipy.special import fdtrc

    pairs = [_trimmed(values) for values in lifetimes]
    among = statistics.variance(mean for mean, _ in pairs)
    within = statistics.fmean(se**2 for _, se in pairs)
    if not within:
        return among
    df = sum(len(values) - 2 * _cut(len(values)) - 1 for values in lifetimes)
    return among - within if fdtrc(len(pairs) - 1, df, among / within) < SCATTER else 0.0


def sign_test(more: int, fewer: int) -> float:
    """One-sided: how likely `more` or more heads among so many tosses are."""
    from scipy.special import bdtrc

    return float(bdtrc(more - 1, more + fewer, 0.5)) if more else 1.0


def welch(first: Sequence[float], second: Sequence[float]) -> float:
    """Two-sided: how likely means so far apart are, were the truth the same; 1 where nothing can be said."""
    if min(len(first), len(second)) < LEAST:
        return 1.0
    errors = [statistics.variance(values) / len(values) for values in (first, second)]
    error = sum(errors)
    difference = abs(statistics.fmean(first) - statistics.fmean(second))
    if not error:
        return 0.0 if difference else 1.0
    df = error**2 / sum(
        part**2 / (len(values) - 1) for part, values in zip(errors, (first, second), strict=True)
    )
    return 2 * _t_above(difference / math.sqrt(error), df)


def quantile(values: Sequence[float], q: float) -> float:
    """By Harrell and Davis below NEAREST_RANK_FROM values: all of them weighted, so that it does not hang on
    one; else by nearest rank."""
    ordered = sorted(values)
    n = len(ordered)
    if n >= NEAREST_RANK_FROM:
        return ordered[max(0, math.ceil(q * n) - 1)]
    return math.fsum(weight * value for weight, value in zip(_weights(n, q), ordered, strict=True))


@cache
def _weights(n: int, q: float) -> tuple[float, ...]:
    from scipy.special import betainc

    a, b = (n + 1) * q, (n + 1) * (1 - q)
    reached = [float(betainc(a, b, rank / n)) for rank in range(n + 1)]
    return tuple(after - before for before, after in itertools.pairwise(reached))


def _trimmed(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard error."""
    ordered, n = sorted(values), len(values)
    cut = _cut(n)
    kept = ordered[cut : n - cut]
    winsorised = [kept[0]] * cut + kept + [kept[-1]] * cut
    mean = math.fsum(kept) / len(kept)
    # By hand: `statistics.stdev` is exact, and forty times slower.
    centre = math.fsum(winsorised) / n
    deviation = math.sqrt(math.fsum((value - centre) ** 2 for value in winsorised) / (n - 1))
    return mean, deviation / ((1 - 2 * cut / n) * math.sqrt(n))


def _cut(n: int) -> int:
    return int(TRIM * n)


def _t_above(t: float, df: float) -> float:
    from scipy.special import stdtr

    return float(stdtr(df, -t))
