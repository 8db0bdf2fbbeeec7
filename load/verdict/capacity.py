"""The largest load within the objectives: what to try next, and what all steps so far say.

A step is a stretch of time under one load, a whole number from 1 to `most`. It ends as one of

    HELD      every objective was met
    FEW       nothing was missed, but too few streams ended to say that all was met
    MISSED    an objective was missed
    LATE      the generator was late or at fault: it cannot tell
    UNSURE    an objective stayed undecided for another reason

A load stands as most of its HELD and MISSED steps say, as UNSURE where these are equally many, and as its
last step where there are none of them. HELD and FEW lead upwards, all others downwards:

    state      while                                         next
    RISING     nothing leads downwards                       twice the largest load, at most `most`
    DOUBTING   the smallest load that leads downwards is     the same load
               one that a single bad moment could explain
    HALVING    the gap below it is wider than PRECISION      the middle of the gap
    SURE       an end of the gap rests on one step           that end: the upper first, it is over sooner
    DONE       both ends have two steps that agree           nothing

What holds at any time, and is tested with truths that are monotone, that err once, and that err at random:

    - a load lies within 1 … most, and has at most MOST_TRIES steps: every search ends;
    - `low` has held, `high` was missed, and low < high;
    - of a search that is DONE the truth lies within [low, high), even if one step told the opposite.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from load.errors import ExitCode
from load.verdict.judge import Finding
from load.verdict.slo import Decision, Result

PRECISION: Final = 0.05
"""The gap that is narrow enough, as a share of its lower end."""
MOST_TRIES: Final = 5
FIRST: Final = 16
"""The first load is this part of the most."""
AT_ANY_SPEED: Final = ("unexpected", "good", "streams")
"""Metrics that a late generator does not falsify."""
TOO_FEW: Final = ("too_few", "no_samples")


class Outcome(Enum):
    """How a step ended, and how it is told."""

    HELD = "held"
    FEW = "too few"
    MISSED = "missed"
    LATE = "late"
    UNSURE = "undecided"


LEADS_UP: Final = (Outcome.HELD, Outcome.FEW)


@dataclass(frozen=True, slots=True)
class Try:
    """One step, as the search sees it."""

    load: int
    outcome: Outcome


class End(Enum):
    """What ended the search from above."""

    TARGET = "target"
    """It missed an objective."""
    GENERATOR = "generator"
    """It was late: the target might have taken more."""
    UNSURE = "undecided"
    """An objective could not be decided there."""
    MOST = "most"
    """No larger load was allowed."""
    TIME = "time"
    """There was none left for a larger load."""


@dataclass(frozen=True, slots=True)
class Answer:
    """low: the largest load that held, 0 for none. high: the smallest that was missed, None for none.
    ceiling: the smallest that did not hold; below `high` where it was not the target's fault. sure: each end
    rests on two steps."""

    low: int
    high: int | None
    ceiling: int | None
    end: End
    sure: bool


def first_load(most: int) -> int:
    """Where the search begins."""
    return max(1, most // FIRST)


def next_load(tries: Sequence[Try], most: int) -> int | None:
    """The load of the next step; None where nothing is left to be found out."""
    if not tries:
        return first_load(most)
    loads = _loads(tries)
    ceiling, floor = _ceiling(loads), _floor(loads)
    if ceiling is None:
        if floor < most:
            return min(2 * floor, most)
        return most if loads[most].wants_agreement else None
    if loads[ceiling].is_doubtful(alone=not any(other.leads_down for other in _others(loads, ceiling))):
        return ceiling
    if ceiling - floor > max(1.0, PRECISION * floor):
        return (floor + ceiling) // 2
    return next(
        (load for load in (ceiling, floor) if load in loads and loads[load].wants_agreement),
        None,
    )


def answer(tries: Sequence[Try], most: int) -> Answer:
    """What the steps so far say."""
    loads = _loads(tries)
    ceiling = _ceiling(loads)
    held = [load for load, one in loads.items() if one.stands is Outcome.HELD]
    missed = [load for load, one in loads.items() if one.stands is Outcome.MISSED]
    low = max((load for load in held if ceiling is None or load < ceiling), default=0)
    high = min((load for load in missed if load > low), default=None)
    if ceiling is None:
        end = End.MOST if low == most else End.TIME
    else:
        ends = {Outcome.MISSED: End.TARGET, Outcome.LATE: End.GENERATOR}
        end = ends.get(loads[ceiling].stands, End.UNSURE)
    sure = all(loads[load].agrees for load in (low, high) if load)
    return Answer(low, high, ceiling, end, sure)


def outcome_of(results: Sequence[Result], late: str, unended: int) -> tuple[Outcome, str]:
    """How a step ended, and why. late: why the generator cannot tell, empty where it can. unended: streams
    that were waited for in vain."""
    missed = [result for result in results if result.decision is Decision.MISSED]
    undecided = [result for result in results if result.decision is Decision.UNDECIDED]
    told = [f"{result.objective.text}: it was {result.shown}" for result in missed]
    if any(result.objective.metric in AT_ANY_SPEED for result in missed):
        return Outcome.MISSED, "; ".join(told)
    if late:
        return Outcome.LATE, late
    if unended:
        told.append(f"{unended:,} streams came to no end")
    if told:
        return Outcome.MISSED, "; ".join(told)
    unsure = [result for result in undecided if not result.reason.startswith(TOO_FEW)]
    if unsure:
        return Outcome.UNSURE, "; ".join(
            f"{result.objective.text}: {result.reason}; it was {result.shown}" for result in unsure
        )
    if undecided:
        return Outcome.FEW, "; ".join(f"{result.objective.text}: {result.reason}" for result in undecided)
    return Outcome.HELD, ""


def findings(found: Answer, told: str, *, stepped: bool) -> Iterator[Finding]:
    """Where not even the smallest load held. told: the answer as a sentence. stepped: any step ended."""
    if found.low:
        return
    kind = {End.TARGET: ExitCode.OBJECTIVE, End.GENERATOR: ExitCode.INVALID}.get(
        found.end, ExitCode.INCONCLUSIVE
    )
    if not stepped:
        kind, told = ExitCode.INVALID, "no_samples: not one step came to its end; give it more time (-t)"
    yield Finding(kind, None, "capacity", None, None, told)


@dataclass(slots=True)
class _Load:
    """All steps under one load."""

    held: int = 0
    missed: int = 0
    tries: int = 0
    last: Outcome = Outcome.UNSURE

    @property
    def stands(self) -> Outcome:
        if self.held != self.missed:
            return Outcome.HELD if self.held > self.missed else Outcome.MISSED
        return Outcome.UNSURE if self.held else self.last

    @property
    def leads_down(self) -> bool:
        return self.stands not in LEADS_UP

    @property
    def agrees(self) -> bool:
        return self.held != self.missed and max(self.held, self.missed) > 1

    @property
    def wants_agreement(self) -> bool:
        """Another step under it would make the answer surer."""
        told = self.stands in (Outcome.HELD, Outcome.MISSED)
        return told and not self.agrees and self.tries < MOST_TRIES

    def is_doubtful(self, *, alone: bool) -> bool:
        """Whether its steps may have been led downwards by one bad moment. alone: nothing else leads
        downwards, so it would end the rise."""
        if self.tries >= MOST_TRIES:
            return False
        if self.stands is Outcome.MISSED:
            return alone and not self.agrees
        return self.held > 0 or self.tries < 2


def _loads(tries: Sequence[Try]) -> dict[int, _Load]:
    loads: dict[int, _Load] = {}
    for one in tries:
        load = loads.setdefault(one.load, _Load())
        load.held += one.outcome is Outcome.HELD
        load.missed += one.outcome is Outcome.MISSED
        load.tries += 1
        load.last = one.outcome
    return loads


def _others(loads: dict[int, _Load], but: int) -> list[_Load]:
    return [one for load, one in loads.items() if load != but]


def _ceiling(loads: dict[int, _Load]) -> int | None:
    """The smallest load that leads downwards."""
    return min((load for load, one in loads.items() if one.leads_down), default=None)


def _floor(loads: dict[int, _Load]) -> int:
    """The largest load below it; 0 for none."""
    ceiling = _ceiling(loads)
    return max((load for load in loads if ceiling is None or load < ceiling), default=0)
