"""Can this machine tell? The working tree against itself, once as it is and twice with something planted in
the provider that answers head."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Final

from load.errors import ExitCode
from load.verdict.compare import Decision, Outcome
from load.verdict.comparison import FIRST, Comparison
from load.verdict.judge import Finding
from load.verdict.margins import Margins
from load.verdict.wording import FIGURE

LATE: Final = "ttft +10 %"
STALLS: Final = "stalls of 100 ms in 1 % of the streams"
PLANTED: Final = (LATE, STALLS)
"""Names of the comparisons in which something is planted, and what it is."""


def findings(found: Mapping[str, Comparison]) -> Iterator[Finding]:
    """What it should have said and did not. Of a comparison that came to no end nothing is said."""
    for name, comparison in found.items():
        decision = comparison.decision
        if decision is None or decision.verdict is None:
            continue
        regressed = decision.verdict is Outcome.REGRESSED
        if name == FIRST and regressed:
            yield _invalid(f"equal trees were called REGRESSED ({', '.join(decision.regressed)})")
        if name in PLANTED and not regressed:
            yield _invalid(f"{name} was planted and not found; {_limit(decision)}")


def notes(found: Mapping[str, Comparison]) -> Iterator[str]:
    """A sentence for each planted comparison, then one for each metric: how small an effect is found."""
    for name in PLANTED:
        decision = None if name not in found else found[name].decision
        if decision is not None and decision.verdict is not None:
            told = f" in {', '.join(decision.regressed)}" if decision.regressed else ""
            yield f"Planted: {name}. Answer: {decision.verdict.value}{told}."
    first = None if FIRST not in found else found[FIRST].decision
    if first is None:
        return
    for effect in first.effects:
        smallest = smallest_found(first, effect.metric)
        se = _at_budget(first, effect.estimate.se)
        yield (
            f"{effect.metric}: standard error {100 * se:.2f} % in {first.budget_s:g} s;"
            f" {100 * math.expm1(smallest):+.1f} % would be found in 95 of 100 comparisons."
        )


def smallest_found(decision: Decision, metric: str) -> float:
    """The log ratio that a comparison of this budget on this machine finds with the power of `Margins`."""
    effect = decision.effect(metric)
    assert effect is not None
    margins = effect.margins
    # se_needed is proportional to the distance between the margins: ask it for a distance of one.
    needed = Margins(0.0, 1.0).se_needed(decision.tests)
    assert needed is not None
    return margins.ignore + _at_budget(decision, effect.estimate.se) / needed


def _at_budget(decision: Decision, se: float) -> float:
    """What a standard error comes to when all of the budget is used."""
    return se * math.sqrt(min(1.0, decision.load_s / decision.budget_s))


def _limit(decision: Decision) -> str:
    if decision.effect("ttft") is None:
        return "this machine cannot gate"
    return (
        f"this machine cannot gate on TTFT below {100 * math.expm1(smallest_found(decision, 'ttft')):+.0f} %"
    )


def _invalid(reason: str) -> Finding:
    return Finding(ExitCode.INVALID, None, FIGURE, None, None, f"selfcheck: {reason}")
