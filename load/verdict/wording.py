"""A decision in words: effects in per cent and in ms with their intervals, findings, and what would help."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from load.errors import ExitCode
from load.verdict.compare import Decision, Effect, Outcome, Reason, Stalls
from load.verdict.judge import Finding
from load.verdict.rounds import STALLED

PLAIN: Final = {
    Reason.NOISY: "other programs kept the processors busy during more than half of the blocks",
    Reason.ORDER: "it matters which of the two comes first, so something else changes while they run",
    Reason.FEW: "three pairs of processes and 20 s of load are needed at least; give it more time (-t 60s)",
    Reason.NOT_CONFIRMED: "a second run with fresh processes did not find the same",
    Reason.PAIRS: "fewer than 80 % of the streams ended DONE in both arms",
    Reason.UNRESOLVED: "more than 25 % of an arm's chunks shared a read, or many more in one arm than in the"
    " other",
}


FIGURE: Final = "comparison"
"""Of its findings."""


def effect_text(effect: Effect) -> str:
    """`ttft +8.1 % [+6.0, +10.4], +2.2 ms [+1.6, +2.8]`."""
    marks = (effect.estimate.mean, effect.low, effect.high)
    text = f"{effect.metric} {span([100 * math.expm1(mark) for mark in marks], ' %')}"
    if effect.base_ms is not None:
        text += f", {span([effect.base_ms * math.expm1(mark) for mark in marks], ' ms')}"
    return text


def span(values: Sequence[float], unit: str) -> str:
    """`+8.1 % [+6.0, +10.4]` of an effect and the ends of its interval; two digits of what is below one."""
    digits = 1 if max(map(abs, values)) >= 1 else 2
    mean, low, high = (f"{value:+.{digits}f}" for value in values)
    return f"{mean}{unit} [{low}, {high}]"


def certainty(effect: Effect) -> str:
    """`surely above 3 %; 10 % not excluded`: where the interval lies between the margins."""
    ignore, harm = (margin_text(one) for one in (effect.margins.ignore, effect.margins.harm))
    if effect.low > effect.margins.harm:
        return f"surely above {harm}"
    below = f"below {harm}" if effect.harmless else f"{harm} not excluded"
    return f"surely above {ignore}; {below}" if effect.low > effect.margins.ignore else below


def margin_text(margin: float) -> str:
    """`3 %`, `172 %`: a log ratio without its sign."""
    percent = 100 * math.expm1(margin)
    return f"{percent:.0f} %" if percent >= 10 else f"{percent:.2g} %"


def stalls_text(stalls: Stalls) -> str:
    """`stalled streams 3 -> 18; more of them in 12 rounds, fewer in 1`."""
    return (
        f"stalled streams {stalls.base:,} -> {stalls.head:,};"
        f" more of them in {stalls.more} rounds, fewer in {stalls.fewer}"
    )


def named_text(decision: Decision, name: str) -> str:
    """Of a metric that was measured, how far it is off and how surely."""
    effect = decision.effect(name)
    if name == STALLED:
        return stalls_text(decision.stalls)
    return f"{name}: in too few rounds" if effect is None else f"{effect_text(effect)}: {certainty(effect)}"


def findings(decision: Decision, reproduce: str | None = None) -> Iterator[Finding]:
    """What does not hold, after the confirmation; nothing of OK."""
    match decision.verdict:
        case Outcome.REGRESSED:
            for name in decision.regressed:
                yield Finding(
                    ExitCode.REGRESSED,
                    None,
                    FIGURE,
                    *_value_and_limit(decision, name),
                    f"{named_text(decision, name)}{_also(decision, name)}",
                    reproduce,
                )
        case Outcome.INCONCLUSIVE:
            why = inconclusive_text(decision)
            yield Finding(ExitCode.INCONCLUSIVE, None, FIGURE, None, None, why, reproduce)
        case Outcome.INVALID:
            assert decision.reason is not None
            reason = f"{decision.reason.value}: {PLAIN[decision.reason]}"
            yield Finding(ExitCode.INVALID, None, FIGURE, None, None, reason)


def inconclusive_text(decision: Decision) -> str:
    """The reason, and what would help."""
    reason = decision.reason
    assert reason is not None
    if reason is Reason.NOT_CONFIRMED:
        first = "; ".join(named_text(decision, name) for name in decision.regressed)
        return f"{reason.value}: {PLAIN[reason]}: {first}"
    if reason is not Reason.UNDECIDED:
        return f"{reason.value}: {PLAIN[reason]}"
    text = "; ".join(named_text(decision, name) for name in decision.undecided)
    if decision.more_s is not None:
        return f"{reason.value}: {text}; about {_seconds(decision.more_s)} s more would tell"
    if decision.undecided == (STALLED,):
        return f"{reason.value}: {text}; too few to tell chance from cause"
    return f"{reason.value}: {text}; that is between what is ignored and a harm, and more time changes little"


def _value_and_limit(decision: Decision, name: str) -> tuple[str | None, str | None]:
    effect = decision.effect(name)
    if effect is None:
        return None, None
    return (
        f"{100 * math.expm1(effect.estimate.mean):+.1f} %",
        f"+{margin_text(effect.margins.ignore)}",
    )


def _also(decision: Decision, name: str) -> str:
    """TTFT has two readings where the provider's own delay is known."""
    backend = decision.effect("backend_ttft")
    return f" ({effect_text(backend)})" if name == "ttft" and backend is not None else ""


def _seconds(value: float) -> int:
    """No more digits than are known."""
    return max(5, 5 * math.ceil(value / 5))
