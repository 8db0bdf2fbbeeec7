"""Did head get worse than base? Rounds in, one decision out.

    REGRESSED      an effect is surely above what is ignored: its p stands against what this look may spend
    OK             every effect is surely below a harm, and head has hardly more stalls
    INCONCLUSIVE   neither, and the budget is used; or the machine was too noisy to believe either
    INVALID        the streams of the arms are no pairs
    None           go on

Each look tests all metrics and splits its error between them. All bounds of OK must hold at once, so nothing
is split there.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from load.verdict.grade import grade, order_shows, overwhelmed
from load.verdict.looks import Looks, Taken, holm
from load.verdict.margins import Margins
from load.verdict.robust import Estimate, over_lifetimes, sign_test
from load.verdict.rounds import CONTINUOUS, OF_JOURNAL, STALLED, TIMES, PairedRound

CONFIDENCE: Final = 0.99
"""One-sided, of each end of an interval."""
LEAST_LIFETIMES: Final = 3
LEAST_S: Final = 20.0
"""Of load: no OK before."""
MORE_STALLS: Final = 5
"""So many more in head are needed before they count."""
LEAST_DONE: Final = 0.8
MOST_UNRESOLVED: Final = 0.25
MOST_APART: Final = 0.10
WITH_JOURNAL, WITHOUT = 8, 6
"""Tests of a look."""


class Outcome(Enum):
    """What a comparison came to."""

    REGRESSED = "REGRESSED"
    OK = "OK"
    INCONCLUSIVE = "INCONCLUSIVE"
    INVALID = "INVALID"


class Reason(Enum):
    """Why INCONCLUSIVE or INVALID."""

    NOISY = "noisy"
    """More than half of the blocks ran while others kept the processors busy."""
    ORDER = "order_bias"
    """It matters which arm comes first."""
    FEW = "too_few"
    """The budget holds too few rounds or pairs of processes for any bound."""
    UNDECIDED = "undecided"
    """An effect is neither surely above what is ignored nor surely below a harm."""
    NOT_CONFIRMED = "not_confirmed"
    """A second run, with fresh processes, does not say the same."""
    PAIRS = "pairs"
    """Too many streams did not end DONE in both arms."""
    UNRESOLVED = "unresolved"
    """Too many chunks shared a read, or many more in one arm."""


@dataclass(frozen=True, slots=True)
class Effect:
    """One continuous metric. Log ratios, head over base. low, high: with CONFIDENCE each. base_ms, head_ms:
    medians over the blocks, None where it is no time. p: of REGRESSED; p_better: of the opposite."""

    metric: str
    estimate: Estimate
    low: float
    high: float
    margins: Margins
    base_ms: float | None
    head_ms: float | None
    p: float
    p_better: float

    @property
    def harmless(self) -> bool:
        """Surely below a harm."""
        return self.high < self.margins.harm


@dataclass(frozen=True, slots=True)
class Stalls:
    """Streams with a stall in each arm; more, fewer: rounds in which head had more, or fewer, than base."""

    base: int
    head: int
    more: int
    fewer: int

    @property
    def p(self) -> float:
        """Of REGRESSED; 1 while head has hardly more of them."""
        return sign_test(self.more, self.fewer) if self.head - self.base >= MORE_STALLS else 1.0

    @property
    def p_better(self) -> float:
        """Of the opposite."""
        return Stalls(self.head, self.base, self.fewer, self.more).p

    @property
    def harmless(self) -> bool:
        """Head has hardly more than base."""
        return self.head - self.base < MORE_STALLS


@dataclass(frozen=True, slots=True)
class Decision:
    """What a look saw.

    verdict: None to go on. effects: of the metrics that were measured; missing: those that were not, or too
    seldom. regressed, improved: names, surest first. undecided: names that keep it from OK. looks: with this
    one. tests: the error of a look is split between so many. more_s: load that would tell, None where that
    cannot be said.
    """

    verdict: Outcome | None
    reason: Reason | None
    effects: tuple[Effect, ...]
    missing: tuple[str, ...]
    stalls: Stalls
    regressed: tuple[str, ...]
    improved: tuple[str, ...]
    undecided: tuple[str, ...]
    looks: Looks
    tests: int
    rounds: int
    lifetimes: int
    load_s: float
    budget_s: float
    grade: str
    more_s: float | None

    def effect(self, metric: str) -> Effect | None:
        """Of one metric; None where it was not measured."""
        return next((one for one in self.effects if one.metric == metric), None)


def look(rounds: Sequence[PairedRound], *, budget_s: float, previous: Looks) -> Decision:
    """Looks at all rounds so far; previous: `Decision.looks` of the last look. Call it when
    `previous.due(load_s / budget_s)`, and once the budget is used."""
    load_s = math.fsum(one.took_s for one in rounds)
    share = min(1.0, load_s / budget_s)
    allowance = previous.allowance(share)
    journal = any(one.effects.get(name) is not None for one in rounds for name in OF_JOURNAL)
    tests = WITH_JOURNAL if journal else WITHOUT
    measured = {name: _effect(name, rounds) for name in _measured(rounds)}
    effects = tuple(one for one in measured.values() if one is not None)
    stalls = _stalls(rounds)
    ps = {STALLED: stalls.p} | {one.metric: one.p for one in effects}
    better = {STALLED: stalls.p_better} | {one.metric: one.p_better for one in effects}
    undecided = tuple(name for name, one in measured.items() if one is None or not one.harmless)
    undecided += () if stalls.harmless else (STALLED,)
    surest = min(ps, key=lambda name: (ps[name], name))
    taken = Taken(share, len(rounds), round(load_s, 4), allowance, surest, ps[surest])
    regressed = holm(list(ps.items()), allowance, tests)
    lifetimes = len({one.lifetime for one in rounds})
    enough = lifetimes >= LEAST_LIFETIMES and load_s >= LEAST_S and bool(effects)
    verdict, reason = _verdict(rounds, regressed, undecided, enough=enough, used=share >= 1)
    return Decision(
        verdict=verdict,
        reason=reason,
        effects=effects,
        missing=tuple(name for name in CONTINUOUS if measured.get(name) is None),
        stalls=stalls,
        regressed=regressed,
        improved=holm(list(better.items()), allowance, tests),
        undecided=undecided,
        looks=previous + taken,
        tests=tests,
        rounds=len(rounds),
        lifetimes=lifetimes,
        load_s=taken.load_s,
        budget_s=budget_s,
        grade=grade(rounds),
        more_s=_more_s([one for one in effects if one.metric in undecided], load_s, tests),
    )


def confirmed(first: Decision, second: Decision | None) -> Decision:
    """What both runs say together; second: None where it did not come to an end. A regression stands only
    where both find one in the same metric."""
    if first.verdict is not Outcome.REGRESSED:
        return first
    if second is not None and second.verdict is Outcome.REGRESSED:
        common = tuple(name for name in first.regressed if name in second.regressed)
        if common:
            return replace(first, regressed=common)
    return replace(first, verdict=Outcome.INCONCLUSIVE, reason=Reason.NOT_CONFIRMED)


def _verdict(
    rounds: Sequence[PairedRound],
    regressed: Sequence[str],
    undecided: Sequence[str],
    *,
    enough: bool,
    used: bool,
) -> tuple[Outcome | None, Reason | None]:
    invalid = _invalid(rounds)
    if invalid is not None:
        return Outcome.INVALID, invalid
    doubt = Reason.NOISY if overwhelmed(rounds) else Reason.ORDER if order_shows(rounds) else None
    if doubt is None and regressed:
        return Outcome.REGRESSED, None
    if doubt is None and enough and not undecided:
        return Outcome.OK, None
    if not used:
        return None, None
    return Outcome.INCONCLUSIVE, doubt or (Reason.UNDECIDED if enough else Reason.FEW)


def _invalid(rounds: Sequence[PairedRound]) -> Reason | None:
    pairs, done = sum(one.pairs for one in rounds), sum(one.pairs_done for one in rounds)
    if done < LEAST_DONE * pairs or not done:
        return Reason.PAIRS
    shares = [
        sum(one.unresolved[arm] for one in rounds) / max(1, sum(one.chunks[arm] for one in rounds))
        for arm in (0, 1)
    ]
    if max(shares) > MOST_UNRESOLVED or abs(shares[0] - shares[1]) > MOST_APART:
        return Reason.UNRESOLVED
    return None


def _measured(rounds: Sequence[PairedRound]) -> list[str]:
    return [name for name in CONTINUOUS if any(one.effects.get(name) is not None for one in rounds)]


def _effect(metric: str, rounds: Sequence[PairedRound]) -> Effect | None:
    """None where too few rounds have it to say anything."""
    by_lifetime: dict[int, list[float]] = {}
    for one in rounds:
        value = one.effects.get(metric)
        if value is not None:
            by_lifetime.setdefault(one.lifetime, []).append(value)
    estimate = over_lifetimes(by_lifetime)
    if estimate is None or estimate.n < LEAST_DONE * len(rounds):
        return None
    base_ms = _median([one.base_ms for one in rounds], metric)
    margins = Margins.of(metric, base_ms)
    return Effect(
        metric=metric,
        estimate=estimate,
        low=estimate.bound(1 - CONFIDENCE),
        high=estimate.bound(CONFIDENCE),
        margins=margins,
        base_ms=base_ms,
        head_ms=_median([one.head_ms for one in rounds], metric),
        p=estimate.p_above(margins.ignore),
        p_better=estimate.p_below(-margins.ignore),
    )


def _median(blocks: Sequence[Mapping[str, float | None]], metric: str) -> float | None:
    known = [value for one in blocks if (value := one.get(metric)) is not None]
    return statistics.median(known) if known and metric in TIMES else None


def _stalls(rounds: Sequence[PairedRound]) -> Stalls:
    signs = [one.effects.get(STALLED) for one in rounds]
    return Stalls(
        base=sum(one.stalls[0] for one in rounds),
        head=sum(one.stalls[1] for one in rounds),
        more=signs.count(1.0),
        fewer=signs.count(-1.0),
    )


def _more_s(undecided: Sequence[Effect], load_s: float, tests: int) -> float | None:
    """Until a harm would be found in each of these."""
    needed = []
    for one in undecided:
        se = one.margins.se_needed(tests)
        if se is not None:
            needed.append(load_s * ((one.estimate.se / se) ** 2 - 1))
    more_s = max(needed, default=0.0)
    return more_s if more_s > 0 else None
