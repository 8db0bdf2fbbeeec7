"""The search for a capacity, against truths that are known: monotone, wrong once, and noisy."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from load.errors import ExitCode
from load.verdict.capacity import (
    MOST_TRIES,
    PRECISION,
    Answer,
    End,
    Outcome,
    Try,
    answer,
    findings,
    next_load,
    outcome_of,
)
from load.verdict.objective import read_objective
from load.verdict.slo import Decision, Result

HELD, FEW, MISSED, LATE, UNSURE = Outcome

MOST = st.integers(1, 2000)
LONGEST = 200
"""No search of a load up to 2000 may take more steps, whatever it is told."""


def search(truth: Callable[[int, int], Outcome], most: int) -> list[Try]:
    """All steps until nothing is left to be found out. truth: of a load and the number of the step."""
    tries: list[Try] = []
    while (load := next_load(tries, most)) is not None:
        assert 1 <= load <= most
        tries.append(Try(load, truth(load, len(tries))))
        assert len(tries) <= LONGEST
    assert max(sum(one.load == load for one in tries) for load in {one.load for one in tries}) <= MOST_TRIES
    return tries


@given(MOST, st.integers(0, 2000))
def test_a_sharp_limit_is_found(most: int, limit: int) -> None:
    """The largest load that the target takes lies in the answer, which is narrow, and both ends are sure."""
    found = answer(search(lambda load, _: HELD if load <= limit else MISSED, most), most)

    assert found.sure
    if limit >= most:
        assert (found.low, found.high, found.end) == (most, None, End.MOST)
    else:
        assert found.high is not None
        assert found.low <= limit < found.high
        assert found.high - found.low <= max(1, PRECISION * found.low)
        assert found.end is End.TARGET


@given(MOST, st.integers(0, 2000), st.integers(0, 60))
def test_one_wrong_step_misleads_nobody(most: int, limit: int, wrong: int) -> None:
    """Whichever step told the opposite of the truth."""

    def truth(load: int, step: int) -> Outcome:
        return HELD if (load <= limit) != (step == wrong) else MISSED

    found = answer(search(truth, most), most)

    assert found.low <= limit
    assert found.high is None or limit < found.high
    assert (found.high is None) == (limit >= most)


@given(MOST, st.integers(1, 2000), st.randoms(use_true_random=False), st.floats(0.01, 0.5))
def test_noise_gives_an_interval_that_was_seen(
    most: int, limit: int, drawn: random.Random, blur: float
) -> None:
    """However steps fall near the limit, the search ends; one end was seen to hold, one to be missed."""

    def truth(load: int, _: int) -> Outcome:
        return HELD if load < limit * (1 + drawn.gauss(0, blur)) else MISSED

    tries = search(truth, most)
    found = answer(tries, most)

    assert found.low == 0 or Try(found.low, HELD) in tries
    assert found.high is None or (Try(found.high, MISSED) in tries and found.low < found.high)


@given(MOST, st.integers(1, 2000), st.integers(1, 2000))
def test_the_generator_may_end_first(most: int, limit: int, generator: int) -> None:
    """Above what it can do nothing is known, and what it could do held."""

    def truth(load: int, _: int) -> Outcome:
        return LATE if load > generator else HELD if load <= limit else MISSED

    found = answer(search(truth, most), most)

    assert found.low <= min(limit, generator)
    if min(limit, generator) >= most:
        assert found.end is End.MOST
    else:
        assert found.ceiling is not None
        assert found.ceiling - found.low <= max(1, PRECISION * found.low)
        assert found.end is (End.GENERATOR if found.ceiling > generator else End.TARGET)


@given(MOST, st.randoms(use_true_random=False))
def test_any_steps_end(most: int, drawn: random.Random) -> None:
    """Even where they are no truth at all."""
    tries = search(lambda _, __: drawn.choice(list(Outcome)), most)
    found = answer(tries, most)

    assert found.high is None or found.low < found.high


@given(MOST, st.integers(0, 2000), st.integers(0, 30))
def test_what_is_known_when_time_ends(most: int, limit: int, steps: int) -> None:
    """At each step the answer so far holds."""
    tries = search(lambda load, _: HELD if load <= limit else MISSED, most)
    found = answer(tries[:steps], most)

    assert found.low <= limit
    assert found.high is None or limit < found.high


def test_it_doubles_and_halves() -> None:
    """The steps of a search for 120, and both ends twice."""
    tries = search(lambda load, _: HELD if load <= 120 else MISSED, 200)

    loads = [one.load for one in tries]
    assert loads == [12, 24, 48, 96, 192, 192, 144, 120, 132, 126, 126, 120]
    assert answer(tries, 200) == Answer(120, 126, 126, End.TARGET, sure=True)


def test_few_streams_lead_upwards() -> None:
    """More users give more streams; no answer rests on a load that was not shown to hold."""
    tries = search(lambda load, _: FEW if load < 50 else HELD if load <= 120 else MISSED, 200)

    assert [one.load for one in tries][:4] == [12, 24, 48, 96]
    assert answer(tries[:3], 200) == Answer(0, None, None, End.TIME, sure=True)
    assert answer(tries, 200).low == 120


def test_an_undecided_load_is_no_upper_end() -> None:
    """It was not shown that the target misses there."""
    tries = [Try(50, HELD), Try(100, UNSURE), Try(100, UNSURE)]

    assert next_load(tries, 200) == 75
    assert answer(tries, 200) == Answer(50, None, 100, End.UNSURE, sure=False)


def result(text: str, decision: Decision, reason: str = "") -> Result:
    return Result(read_objective(text, ()), decision, 1.0, 1.0, 100, reason)


GOOD = result("good share >= 0.99", Decision.MET)
BAD = result("unexpected count < 1", Decision.MISSED)
SLOW = result("ttft_ms p95 < 800", Decision.MISSED)
NEAR = result("ttft_ms p95 < 800", Decision.UNDECIDED, "the limit lies within its bounds")
SPARSE = result("ttft_ms p95 < 800", Decision.UNDECIDED, "too_few: 20 samples")


@pytest.mark.parametrize(
    ("results", "late", "unended", "expected"),
    [
        ([GOOD], "", 0, HELD),
        ([GOOD, SLOW], "", 0, MISSED),
        ([GOOD, NEAR], "", 0, UNSURE),
        ([GOOD, SPARSE], "", 0, FEW),
        ([NEAR, SPARSE], "", 0, UNSURE),
        ([GOOD], "late", 0, LATE),
        ([GOOD, SLOW], "late", 0, LATE),
        ([GOOD], "late", 3, LATE),  # a generator that stands still sees no end
        ([GOOD], "", 3, MISSED),
        ([BAD, SLOW], "late", 0, MISSED),  # a refusal is true at any speed
    ],
)
def test_how_a_step_ends(results: list[Result], late: str, unended: int, expected: Outcome) -> None:
    """An objective missed at any speed outranks a late generator, which outranks all else."""
    assert outcome_of(results, late, unended)[0] is expected


@pytest.mark.parametrize(
    ("tries", "expected"),
    [
        ([Try(1, MISSED), Try(1, MISSED)], ExitCode.OBJECTIVE),
        ([Try(1, LATE), Try(1, LATE)], ExitCode.INVALID),
        ([Try(1, FEW)], ExitCode.INCONCLUSIVE),
        ([], ExitCode.INVALID),
    ],
)
def test_nothing_that_holds_is_no_pass(tries: list[Try], expected: ExitCode) -> None:
    """The exit code says why there is no answer."""
    (finding,) = findings(answer(tries, 10), "told", stepped=bool(tries))

    assert finding.kind is expected


def test_an_answer_is_no_finding() -> None:
    """However it ended from above."""
    assert list(findings(answer([Try(5, HELD), Try(10, LATE)], 10), "told", stepped=True)) == []
