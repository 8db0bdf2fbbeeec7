"""What is said about a decision."""

from __future__ import annotations

from dataclasses import replace
from math import log

import pytest

from integration.instrument.comparisons import Drawn, compared, even
from load.errors import ExitCode
from load.verdict.compare import Decision, Effect, Outcome, Reason, Stalls
from load.verdict.decided import decision_json
from load.verdict.margins import Margins
from load.verdict.robust import Estimate
from load.verdict.rounds import CONTINUOUS, STALLED
from load.verdict.wording import certainty, effect_text, findings, inconclusive_text


def effect(metric: str, mean: float, low: float, high: float, base_ms: float | None = 27.0) -> Effect:
    return Effect(
        metric=metric,
        estimate=Estimate(log(mean), 0.01, 17, 30),
        low=log(low),
        high=log(high),
        margins=Margins.of(metric, base_ms),
        base_ms=base_ms,
        head_ms=base_ms,
        p=1e-9,
        p_better=1.0,
    )


def decision(
    verdict: Outcome | None, reason: Reason | None, *effects: Effect, more_s: float | None = None
) -> Decision:
    """One that names all of these."""
    whole, _ = compared(iter(Drawn(even(0.01), 1)))
    names = tuple(one.metric for one in effects)
    regressed = names if verdict is Outcome.REGRESSED or reason is Reason.NOT_CONFIRMED else ()
    return replace(
        whole,
        verdict=verdict,
        reason=reason,
        effects=effects,
        regressed=regressed,
        undecided=names,
        more_s=more_s,
        stalls=Stalls(3, 18, 12, 1),
    )


TTFT = effect("ttft", 1.081, 1.06, 1.104)
BACKEND = effect("backend_ttft", 1.5, 1.4, 1.61, 4.4)


def test_effect_is_told_in_per_cent_and_in_milliseconds() -> None:
    """Each with its interval."""
    assert effect_text(TTFT) == "ttft +8.1 % [+6.0, +10.4], +2.2 ms [+1.6, +2.8]"


def test_small_effects_have_two_digits() -> None:
    """Of what is below one of its unit."""
    assert effect_text(effect("gap", 1.02, 0.99, 1.05, 5.0)) == (
        "gap +2.0 % [-1.0, +5.0], +0.10 ms [-0.05, +0.25]"
    )


def test_slope_is_told_in_per_cent_alone() -> None:
    """It has no unit."""
    assert effect_text(effect("slope", 1.2, 1.1, 1.3, None)) == "slope +20.0 % [+10.0, +30.0]"


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (1.06, 1.104, "surely above 3 %; 10 % not excluded"),
        (1.04, 1.09, "surely above 3 %; below 10 %"),
        (1.11, 1.3, "surely above 10 %"),
        (0.99, 1.09, "below 10 %"),
        (0.99, 1.11, "10 % not excluded"),
    ],
)
def test_certainty_is_where_the_interval_lies(low: float, high: float, expected: str) -> None:
    """Between what is ignored and a harm."""
    assert certainty(effect("ttft", 1.05, low, high)) == expected


def test_each_metric_that_regressed_is_a_finding() -> None:
    """TTFT with the backend's own part beside it."""
    slow = effect("total", 1.2, 1.1, 1.3, 80.0)
    first, second = findings(decision(Outcome.REGRESSED, None, TTFT, slow), "locust …")

    assert (first.kind, first.value, first.limit, first.reproduce) == (
        *(ExitCode.REGRESSED, "+8.1 %", "+3 %"),
        "locust …",
    )
    assert first.reason == f"{effect_text(TTFT)}: surely above 3 %; 10 % not excluded"
    assert second.reason.startswith("total +20.0 % [+10.0, +30.0], +16.0 ms [+8.0, +24.0]: surely")
    both = next(findings(decision(Outcome.REGRESSED, None, TTFT, BACKEND)))
    assert both.reason.endswith("(backend_ttft +50.0 % [+40.0, +61.0], +2.2 ms [+1.8, +2.7])")


def test_stalls_are_told_by_streams_and_rounds() -> None:
    """They have no interval."""
    found = replace(decision(Outcome.REGRESSED, None), regressed=(STALLED,))
    finding = next(findings(found))

    assert (finding.value, finding.reason) == (
        None,
        "stalled streams 3 -> 18; more of them in 12 rounds, fewer in 1",
    )


def test_ok_is_no_finding() -> None:
    """Nor is a look that goes on."""
    assert list(findings(decision(Outcome.OK, None))) == []
    assert list(findings(decision(None, None))) == []


@pytest.mark.parametrize("reason", [Reason.PAIRS, Reason.UNRESOLVED])
def test_arms_that_are_no_pairs_are_invalid(reason: Reason) -> None:
    """With the name of the reason."""
    (finding,) = findings(decision(Outcome.INVALID, reason))

    assert finding.kind is ExitCode.INVALID
    assert finding.reason.startswith(f"{reason.value}: ")


@pytest.mark.parametrize("reason", [Reason.NOISY, Reason.ORDER, Reason.FEW, Reason.NOT_CONFIRMED])
def test_inconclusive_says_why(reason: Reason) -> None:
    """In a word and in a sentence."""
    (finding,) = findings(decision(Outcome.INCONCLUSIVE, reason, TTFT))

    assert finding.kind is ExitCode.INCONCLUSIVE
    assert finding.reason.startswith(f"{reason.value}: ")
    assert ("ttft" in finding.reason) == (reason is Reason.NOT_CONFIRMED)


def test_undecided_says_how_long_it_would_take() -> None:
    """In steps of five seconds, and what stands in between."""
    wide = effect("ttft", 1.05, 0.99, 1.12)
    undecided = decision(Outcome.INCONCLUSIVE, Reason.UNDECIDED, wide, more_s=31.0)

    assert inconclusive_text(undecided) == (
        "undecided: ttft +5.0 % [-1.0, +12.0], +1.4 ms [-0.3, +3.2]: 10 % not excluded;"
        " about 35 s more would tell"
    )
    assert inconclusive_text(replace(undecided, more_s=None)).endswith("more time changes little")
    assert inconclusive_text(replace(undecided, undecided=("slope", STALLED))).startswith(
        "undecided: slope: in too few rounds; stalled streams 3 -> 18"
    )
    assert inconclusive_text(replace(undecided, undecided=(STALLED,), more_s=None)).endswith(
        "too few to tell chance from cause"
    )


def test_plain_values_say_the_same() -> None:
    """Of a decision that was really made."""
    real, _ = compared(iter(Drawn(even(0.01), 1, {"ttft": log(1.2)}, metrics=CONTINUOUS)))
    told = decision_json(real)
    ttft = told["metrics"]["ttft"]  # type: ignore[index]  # a mapping of mappings

    assert (told["verdict"], told["reason"], told["regressed"], told["tests"]) == (
        *("REGRESSED", None, ["ttft"], 8),
    )
    assert told["error_spent"] == 8.14e-06
    assert ttft["percent"]["low"] < 20 < ttft["percent"]["high"]
    assert (ttft["base_ms"], ttft["ignore_percent"], ttft["harm_percent"], ttft["n"]) == (27.0, 3.0, 10.0, 30)
    assert ttft["text"].startswith("ttft +")
    assert set(told["metrics"]) == set(CONTINUOUS)  # type: ignore[call-overload]
    assert told["missing"] == []
