"""A search for a capacity: what is varied, and the steps so far. `load.seeking` makes it go on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from load.errors import UsageError
from load.metrics.run import CLEAN, STEP, Run, Tally
from load.options import Options
from load.verdict.capacity import Answer, End, Outcome, Try, answer
from load.verdict.slo import Result

NOTHING_UNDECLARED: Final = "unexpected count < 1"
"""What a step is held against where no objective says how many streams may fail."""
ONLY_AT_THE_END: Final = ("backend_ttft_ms", "deadline_late_ms", "relay_ms")
"""Metrics that no step can be held against."""


def of_a_step(texts: Sequence[str]) -> tuple[str, ...]:
    """The objectives of a search. Raises UsageError where there are none, or one that no step can be held
    against."""
    if not texts:
        raise UsageError("--find-capacity: within which objectives? name at least one with --objective")
    for text in texts:
        metric = text.split()[0].partition("{")[0] if text.split() else ""
        if metric in ONLY_AT_THE_END:
            raise UsageError(f"--find-capacity: {metric} is known only at the end of a run, not of a step")
    tolerates = any(text.lstrip().startswith(("good", "unexpected")) for text in texts)
    return tuple(texts) if tolerates else (*texts, NOTHING_UNDECLARED)


@dataclass(frozen=True, slots=True)
class Step:
    """One step that came to its end.

    why: it did not hold; empty where it did. lasted_s: of the part that counts. ended: streams that were due
    in it and ended; good: of them, as declared. at_once: streams under way, on average; most_at_once: at any
    time. seen: undeclared endings -> how often. ttft_ms, gap_ms: p50 and p99 of a stream's first text and of
    all gaps. late_ms: p99 of how late we looked at chunks. None: no sample.
    """

    number: int
    load: int
    outcome: Outcome
    why: str
    lasted_s: float
    ended: int
    good: int
    at_once: float
    most_at_once: int
    seen: dict[str, int]
    results: tuple[Result, ...]
    ttft_ms: tuple[float | None, float | None]
    gap_ms: tuple[float | None, float | None]
    late_ms: float | None

    @property
    def good_per_s(self) -> float:
        """Good streams that were due in a second of it."""
        return self.good / self.lasted_s if self.lasted_s else 0.0

    def told(self, load: str, unit: str) -> str:
        """The step in one line."""
        why = f": {self.why}" if self.why else ""
        return (
            f"step {self.number}: {load} {unit} {self.outcome.value}{why}"
            f" ({self.ended:,} streams in {self.lasted_s:.1f} s, {self.at_once:.0f} at once,"
            f" at most {self.most_at_once})"
        )


@dataclass(slots=True)
class Search:
    """grain: what one of a load stands for, in `unit`. most: the largest load. of_rate: arrivals a second are
    varied, else users."""

    most: int
    grain: float
    unit: str
    of_rate: bool
    steps: list[Step] = field(default_factory=list)

    @classmethod
    def of(cls, options: Options) -> Search:
        """Users, or with `--rate` hundreds to a thousand parts of it."""
        if options.rate is None:
            return cls(options.users, 1, "users", of_rate=False)
        grain = 10.0 ** (math.floor(math.log10(options.rate.per_s)) - 2)
        return cls(round(options.rate.per_s / grain), grain, "arrivals a second", of_rate=True)

    @property
    def tries(self) -> list[Try]:
        """The steps, as the next one is decided from."""
        return [Try(step.load, step.outcome) for step in self.steps]

    @property
    def answer(self) -> Answer:
        """What they say."""
        return answer(self.tries, self.most)

    @property
    def best(self) -> tuple[Step, ...]:
        """Those that held under the largest load that did."""
        low = self.answer.low
        return tuple(one for one in self.steps if one.load == low and one.outcome is Outcome.HELD)

    @property
    def results(self) -> tuple[Result, ...]:
        """The objectives under the largest load that held; where none did, in the last step."""
        shown = self.best[-1:] or tuple(self.steps[-1:])
        return shown[0].results if shown else ()

    def shown(self, load: int | None) -> str:
        """A load without its unit."""
        return "–" if load is None else f"{load * self.grain:,.6g}"

    @property
    def told(self) -> str:
        """The answer as a sentence."""
        found = self.answer
        low, high = self.shown(found.low), self.shown(found.high)
        if not self.steps:
            return "not one step came to its end"
        if not found.low:
            tried = self.shown(found.ceiling if found.ceiling is not None else self.steps[-1].load)
            last = next(one for one in reversed(self.steps) if one.outcome is not Outcome.HELD)
            return f"no load was seen to hold; {tried} {self.unit}: {last.outcome.value}, {last.why}"
        sure = "" if found.sure else ", each end seen once only"
        if found.end is End.TARGET:
            return f"between {low} and {high} {self.unit}{sure}"
        at = self.shown(found.ceiling)
        why = {
            End.GENERATOR: f"the generator ends first, at {at}",
            End.UNSURE: f"at {at} it stays undecided",
            End.MOST: "no more were allowed",
            End.TIME: "there was no time for more",
        }[found.end]
        more = "" if found.high is None else f", fewer than {high}"
        return f"at least {low} {self.unit}{more}: {why}"

    def crown(self, run: Run) -> None:
        """The streams of the best steps become those that the headline figures come from."""
        best = {STEP.format(step.number) for step in self.best}
        for scenario, window in [key for key in run.tallies if key[1] in best]:
            tally = run.tallies.pop((scenario, window))
            run.tallies[scenario, CLEAN] = run.tallies.get((scenario, CLEAN), Tally()) + tally
