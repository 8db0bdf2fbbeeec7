"""Searches for a capacity made by hand."""

from __future__ import annotations

from load.verdict.capacity import Outcome
from load.verdict.objective import read_objective
from load.verdict.search import Search, Step
from load.verdict.slo import Decision, Result

HELD, FEW, MISSED, LATE, UNSURE = Outcome


def step(number: int, load: int, outcome: Outcome) -> Step:
    """One in which `load` / 1.5 good streams a second ended, and its objective had its number as value."""
    met = Decision.MET if outcome is HELD else Decision.MISSED
    objective = read_objective("ttft_ms p95 < 800", ())
    return Step(
        number=number,
        load=load,
        outcome=outcome,
        why="" if outcome is HELD else f"why {load}",
        lasted_s=3.0,
        ended=2 * load,
        good=2 * load,
        at_once=load - 0.5,
        most_at_once=load,
        seen={"REFUSED(503, capacity)": 3} if outcome is MISSED else {},
        results=(Result(objective, met, float(number), float(number), 2 * load),),
        ttft_ms=(40.0, 90.0),
        gap_ms=(20.0, 24.0),
        late_ms=0.4,
    )


def searched(*steps: tuple[int, Outcome]) -> Search:
    """A search among at most 500 users with these steps."""
    made = [step(number, load, outcome) for number, (load, outcome) in enumerate(steps, 1)]
    return Search(500, 1, "users", of_rate=False, steps=made)


SEARCH = searched(
    (31, HELD), (62, HELD), (118, HELD), (124, MISSED), (124, MISSED), (93, HELD), (118, LATE), (118, HELD)
)
"""Between 118 and 124."""
