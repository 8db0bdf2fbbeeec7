"""A machine that can tell, one that cannot, and one that cries wolf."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest

from integration.instrument.comparisons import MACHINES, Drawn
from load.errors import ExitCode
from load.verdict.comparison import FIRST, Comparison
from load.verdict.selfcheck import LATE, STALLS, findings, notes, smallest_found

QUIET, NOISY = MACHINES[0], MACHINES[-1]
TEN = math.log(1.10)


def ran(drawn: Drawn) -> Comparison:
    """To its end."""
    comparison = Comparison(60.0)
    for one in drawn:
        comparison.take(one)
        if comparison.over:
            break
    return comparison


@pytest.fixture(scope="module")
def able() -> Mapping[str, Comparison]:
    """Nothing found where nothing is, and both that are planted."""
    return {
        FIRST: ran(Drawn(QUIET, 1)),
        LATE: ran(Drawn(QUIET, 2, {"ttft": TEN})),
        STALLS: ran(Drawn(QUIET, 3, stalls=0.01)),
    }


def test_a_machine_that_can_tell(able: Mapping[str, Comparison]) -> None:
    """Nothing to say."""
    assert list(findings(able)) == []


def test_what_is_planted_and_not_found_is_named(able: Mapping[str, Comparison]) -> None:
    """With the smallest effect that this machine would find."""
    missed = ran(Drawn(NOISY, 4))
    assert missed.decision is not None
    limit = f"{100 * math.expm1(smallest_found(missed.decision, 'ttft')):+.0f} %"
    (finding,) = findings({**able, LATE: missed})

    assert finding.kind is ExitCode.INVALID
    assert finding.reason == (
        f"selfcheck: ttft +10 % was planted and not found; this machine cannot gate on TTFT below {limit}"
    )


def test_equal_trees_that_differ(able: Mapping[str, Comparison]) -> None:
    """The gate would cry wolf."""
    (finding,) = findings({**able, FIRST: able[LATE]})

    assert finding.reason == "selfcheck: equal trees were called REGRESSED (ttft)"


def test_the_smallest_effect_is_above_what_is_ignored_and_grows_with_noise(
    able: Mapping[str, Comparison],
) -> None:
    """Gaps of a quiet machine, and of a noisy one."""
    quiet, noisy = able[FIRST].decision, ran(Drawn(NOISY, 1)).decision
    assert quiet is not None
    assert noisy is not None

    assert math.log(1.03) < smallest_found(quiet, "gap") < TEN < smallest_found(noisy, "gap")


def test_a_sentence_for_each_planted_comparison_and_metric(able: Mapping[str, Comparison]) -> None:
    """Answers first."""
    told = list(notes(able))

    assert told[0] == "Planted: ttft +10 %. Answer: REGRESSED in ttft."
    assert told[1] == "Planted: stalls of 100 ms in 1 % of the streams. Answer: REGRESSED in stalled."
    assert [line.partition(":")[0] for line in told[2:]] == ["ttft", "ttft_p95", "gap", "total", "slope"]
