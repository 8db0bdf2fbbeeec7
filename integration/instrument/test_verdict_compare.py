"""Decisions on rounds that are made by hand."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from math import log

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integration.instrument.comparisons import METRICS, Drawn, compared, even, paired
from load.verdict.compare import Decision, Outcome, Reason, Stalls, confirmed, look
from load.verdict.looks import Looks
from load.verdict.rounds import CONTINUOUS, STALLED, PairedRound

QUIET = even(0.01)


def drawn(
    seed: int = 1, rounds: int = 90, noise: float = 0.01, metrics: tuple[str, ...] = METRICS, **effects: float
) -> list[PairedRound]:
    rows = iter(Drawn(even(noise, lifetimes=0.0), seed, effects, metrics=metrics))
    return [next(rows) for _ in range(rounds)]


def at_end(rounds: list[PairedRound], budget_s: float = 60.0) -> Decision:
    return look(rounds, budget_s=budget_s, previous=Looks())


def each(rounds: list[PairedRound], change: Callable[[PairedRound], PairedRound]) -> list[PairedRound]:
    return [change(one) for one in rounds]


# -- the three verdicts


def test_equal_servers_are_ok_at_the_first_look() -> None:
    """After a third of the budget."""
    decision, rounds = compared(iter(Drawn(QUIET, 1)))

    assert (decision.verdict, decision.reason, len(rounds), decision.lifetimes) == (
        *(Outcome.OK, None, 30, 3),
    )
    assert (decision.regressed, decision.improved, decision.undecided) == ((), (), ())


def test_a_clear_harm_is_found_at_the_first_look() -> None:
    """And named by every metric that has it; holm adds what is below it."""
    harm = {"ttft": log(1.2), "total": log(1.08)}
    decision, rounds = compared(iter(Drawn(QUIET, 1, harm)))

    assert (decision.verdict, len(rounds), set(decision.regressed)) == (
        *(Outcome.REGRESSED, 30),
        {"ttft", "total"},
    )


def test_more_stalls_are_a_regression() -> None:
    """Twenty rounds with one more, none with one fewer: the table's border at the first look."""
    calm = drawn(rounds=30)

    def stalled(count: int) -> Decision:
        return at_end(
            [
                replace(one, stalls=(0, int(at < count)), effects={**one.effects, STALLED: float(at < count)})
                for at, one in enumerate(calm)
            ]
        )

    assert stalled(20).verdict is Outcome.REGRESSED
    assert stalled(20).regressed == (STALLED,)
    assert stalled(19).verdict is None
    assert stalled(5).undecided == (STALLED,)
    assert stalled(4).verdict is Outcome.OK


@pytest.mark.parametrize(
    ("base", "head", "more", "fewer", "p"),
    [
        (0, 5, 5, 0, 1 / 32),
        (0, 4, 4, 0, 1.0),  # hardly more
        (3, 8, 5, 3, 0.36328125),
        (0, 0, 0, 0, 1.0),
        (0, 15, 1, 0, 0.5),  # one burst
    ],
)
def test_stalls_count_by_rounds(base: int, head: int, more: int, fewer: int, p: float) -> None:
    """And the opposite by the same rule."""
    assert Stalls(base, head, more, fewer).p == pytest.approx(p)
    assert Stalls(head, base, fewer, more).p_better == pytest.approx(p)


def test_better_never_gates() -> None:
    """An improvement is named, and the verdict is OK."""
    decision, _ = compared(iter(Drawn(QUIET, 3, {"ttft": log(0.8), "ttft_p95": log(0.8)})))

    assert (decision.verdict, set(decision.improved)) == (Outcome.OK, {"ttft", "ttft_p95"})


# -- each reason


@pytest.mark.parametrize(
    ("rounds", "budget_s", "reason"),
    [
        (each(drawn(), lambda one: replace(one, psi=(0.9, 0.9))), 60.0, Reason.NOISY),
        (
            each(
                drawn(noise=0.004),
                lambda one: replace(one, effects={**one.effects, "ttft": 0.05 * (-1) ** one.base_first}),
            ),
            60.0,
            Reason.ORDER,
        ),
        (drawn(rounds=15), 10.0, Reason.FEW),  # two pairs of processes
        (each(drawn(rounds=30), lambda one: replace(one, took_s=0.5)), 15.0, Reason.FEW),  # 15 s of load
        (drawn(noise=0.5), 60.0, Reason.UNDECIDED),
    ],
)
def test_inconclusive_has_its_reason(rounds: list[PairedRound], budget_s: float, reason: Reason) -> None:
    """One by one, and only when the budget is used."""
    decision = at_end(rounds, budget_s)

    assert (decision.verdict, decision.reason) == (Outcome.INCONCLUSIVE, reason)
    assert at_end(rounds, budget_s * 1.1).verdict is None


def test_on_a_noisy_machine_no_regression_is_believed() -> None:
    """However clear the figures are."""
    rounds = each(drawn(ttft=log(1.5)), lambda one: replace(one, psi=(0.9, 0.7 + 0.2 * (one.number % 3))))
    decision = at_end(rounds)

    assert (decision.verdict, decision.reason) == (Outcome.INCONCLUSIVE, Reason.NOISY)
    assert decision.regressed == ("ttft",)


def test_a_rare_metric_keeps_from_ok() -> None:
    """Where it was measured at all; a fifth of the rounds may lack it."""
    for lacking, verdict in ((18, Outcome.OK), (19, Outcome.INCONCLUSIVE)):
        rounds = drawn()
        rounds[:lacking] = each(
            rounds[:lacking], lambda one: replace(one, effects={**one.effects, "slope": None})
        )

        assert at_end(rounds).verdict is verdict


def test_a_metric_without_data_is_missing_and_not_tested() -> None:
    """Answers of a few chunks have no slope."""
    found = at_end(drawn(metrics=("ttft", "ttft_p95", "gap", "total")))

    assert (found.verdict, found.missing) == (Outcome.OK, ("backend_ttft", "relay", "slope"))


def test_without_any_metric_nothing_is_ok() -> None:
    """No data is never a pass."""
    found = at_end(each(drawn(), lambda one: replace(one, effects={STALLED: 0.0})))

    assert (found.verdict, found.reason) == (Outcome.INCONCLUSIVE, Reason.FEW)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"pairs_done": 38}, Reason.PAIRS),  # of 48: 79 %
        ({"pairs_done": 39}, None),
        ({"unresolved": (151, 100)}, Reason.UNRESOLVED),  # of 600: above 25 %
        ({"unresolved": (150, 150)}, None),
        ({"unresolved": (10, 71)}, Reason.UNRESOLVED),  # more than 10 points apart
        ({"unresolved": (10, 70)}, None),
    ],
)
def test_arms_that_are_no_pairs_are_invalid(change: dict[str, object], reason: Reason | None) -> None:
    """At any look, whatever the figures say."""
    rounds = each(
        drawn(rounds=30, ttft=log(1.5)),
        lambda one: replace(one, **change),  # type: ignore[arg-type]  # of the fields' own types
    )
    found = at_end(rounds)

    assert found.reason is reason
    assert found.verdict is (Outcome.REGRESSED if reason is None else Outcome.INVALID)


# -- what is told beside it


def test_effects_have_intervals_and_medians() -> None:
    """Log ratios with 99 % at each end, and ms of each arm."""
    found = at_end(drawn(ttft=log(1.08))).effect("ttft")

    assert found is not None
    assert found.low < log(1.08) < found.high
    assert (found.base_ms, found.head_ms) == (27.0, 27.0)
    assert found.low == pytest.approx(found.estimate.bound(0.01))


def test_slope_has_no_milliseconds() -> None:
    """It is a ratio."""
    found = at_end(drawn()).effect("slope")

    assert found is not None
    assert (found.base_ms, found.head_ms) == (None, None)


def test_seconds_that_are_missing_follow_from_the_worst_error() -> None:
    """Four times the error is sixteen times the time."""
    found = at_end(drawn(noise=0.5))
    effects = [one for one in found.effects if one.metric in found.undecided]
    needed = [60 * ((one.estimate.se / (one.margins.se_needed(6) or 1)) ** 2 - 1) for one in effects]

    assert found.more_s == pytest.approx(max(needed))


def test_more_time_does_not_help_an_effect_in_between() -> None:
    """Neither ignored nor a harm, and well known."""
    found = at_end(drawn(noise=0.003, ttft=log(1.10)))

    assert found.regressed == ("ttft",)
    assert found.more_s is None


def test_journal_adds_two_metrics() -> None:
    """Each look is split between eight then, and one millisecond is no harm to them."""
    found = at_end(drawn(metrics=CONTINUOUS, noise=0.005, relay=log(1.3)))
    relay = found.effect("relay")

    assert (found.tests, found.verdict, found.missing) == (8, Outcome.OK, ())
    assert relay is not None
    assert relay.harmless


@settings(max_examples=25)
@given(st.randoms(use_true_random=False), st.integers(0, 1000))
def test_order_of_rounds_changes_nothing(shuffled: random.Random, seed: int) -> None:
    """They are a set."""
    rounds = drawn(seed, noise=0.05, ttft=log(1.06))
    mixed = list(rounds)
    shuffled.shuffle(mixed)

    assert at_end(mixed) == at_end(rounds)


@settings(max_examples=25)
@given(st.integers(0, 1000), st.floats(-0.2, 0.2))
def test_arms_that_change_places_change_signs(seed: int, effect: float) -> None:
    """What was worse is better, by as much and as surely."""
    rounds = drawn(seed, noise=0.03, ttft=effect, gap=-effect)
    there, back = at_end(rounds), at_end(each(rounds, _swapped))

    assert (back.regressed, back.improved) == (there.improved, there.regressed)
    for one, other in zip(there.effects, back.effects, strict=True):
        assert (other.estimate.mean, other.low, other.high) == pytest.approx(
            (-one.estimate.mean, -one.high, -one.low)
        )
        assert (other.p, other.p_better) == pytest.approx((one.p_better, one.p))


def _swapped(one: PairedRound) -> PairedRound:
    return replace(
        one,
        effects={name: None if value is None else -value for name, value in one.effects.items()},
        stalls=one.stalls[::-1],
        base_ms=one.head_ms,
        head_ms=one.base_ms,
        base_first=not one.base_first,
    )


# -- the second run


def _of(verdict: Outcome, *regressed: str) -> Decision:
    return replace(at_end(drawn()), verdict=verdict, regressed=regressed)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (_of(Outcome.OK), None, (Outcome.OK, None, ())),
        (
            _of(Outcome.REGRESSED, "ttft", "total"),
            _of(Outcome.REGRESSED, "total", "gap"),
            (Outcome.REGRESSED, None, ("total",)),
        ),
        (
            _of(Outcome.REGRESSED, "ttft"),
            _of(Outcome.REGRESSED, "gap"),
            (Outcome.INCONCLUSIVE, Reason.NOT_CONFIRMED, ("ttft",)),
        ),
        (
            _of(Outcome.REGRESSED, "ttft"),
            _of(Outcome.OK),
            (Outcome.INCONCLUSIVE, Reason.NOT_CONFIRMED, ("ttft",)),
        ),
        (
            _of(Outcome.REGRESSED, "ttft"),
            _of(Outcome.INVALID, "ttft"),
            (Outcome.INCONCLUSIVE, Reason.NOT_CONFIRMED, ("ttft",)),
        ),
        (_of(Outcome.REGRESSED, "ttft"), None, (Outcome.INCONCLUSIVE, Reason.NOT_CONFIRMED, ("ttft",))),
    ],
)
def test_a_regression_stands_where_both_runs_find_it(
    first: Decision, second: Decision | None, expected: tuple[Outcome, Reason | None, tuple[str, ...]]
) -> None:
    """In a metric in common."""
    found = confirmed(first, second)

    assert (found.verdict, found.reason, found.regressed) == expected


def test_few_rounds_are_no_decision() -> None:
    """One round has no scatter."""
    found = at_end([paired(1, dict.fromkeys(METRICS, 0.0))])

    assert (found.verdict, found.effects, found.rounds) == (None, (), 1)
