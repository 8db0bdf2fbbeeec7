"""Our few lines of statistics against scipy's many."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.stats.mstats import hdquantiles, winsorize

from load.verdict.robust import LEAST, Estimate, over_lifetimes, quantile, sign_test, trimmed, welch

VALUES = st.lists(st.floats(-10, 10).map(lambda value: round(value, 3)), min_size=LEAST, max_size=120)


@given(VALUES)
def test_mean_and_error_are_those_of_scipy(values: list[float]) -> None:
    """A fifth is cut at either end, and the error is the winsorised one."""
    found = trimmed(values)

    assert found is not None
    n, kept = len(values), len(values) - 2 * int(0.2 * len(values))
    deviation = float(winsorize(np.array(values), (0.2, 0.2)).std(ddof=1))

    assert found.mean == pytest.approx(float(stats.trim_mean(values, 0.2)), abs=1e-9)
    assert found.se == pytest.approx(deviation / (kept / n * n**0.5), abs=1e-9)


def test_degrees_of_freedom_are_those_of_the_values_kept() -> None:
    """Of 30 values 18 stay."""
    found = trimmed([float(number) for number in range(30)])

    assert found is not None
    assert (found.df, found.n, found.mean) == (17, 30, 14.5)


def test_few_values_give_no_estimate() -> None:
    """Four have no middle."""
    assert trimmed([1.0] * (LEAST - 1)) is None


def test_one_wild_value_moves_nothing() -> None:
    """However wild it is."""
    calm = [0.01 * number for number in range(20)]

    assert trimmed([*calm[:-1], 1e6]) == trimmed([*calm[:-1], 1.0])


@pytest.mark.parametrize("margin", [-0.02, 0.0, 0.01, 0.05])
def test_p_and_bounds_are_those_of_student(margin: float) -> None:
    """Both sides, and the bound is where p crosses."""
    estimate = Estimate(0.01, 0.004, 17, 30)
    reference = stats.t(17, loc=margin, scale=0.004)

    assert estimate.p_above(margin) == pytest.approx(reference.sf(0.01))
    assert estimate.p_below(margin) == pytest.approx(reference.cdf(0.01))
    assert estimate.bound(0.99) == pytest.approx(stats.t(17, loc=0.01, scale=0.004).ppf(0.99))


def test_without_scatter_a_mean_is_above_or_not() -> None:
    """Equal values leave no doubt."""
    estimate = trimmed([0.5] * 10)

    assert estimate is not None
    assert (estimate.p_above(0.4), estimate.p_above(0.5), estimate.p_below(0.6), estimate.bound(0.01)) == (
        *(0.0, 1.0, 0.0),
        0.5,
    )


def test_lifetimes_that_differ_widen_the_error() -> None:
    """Ten rounds each: the means scatter by .1, their rounds by hardly anything."""
    rounds = [0.001 * number for number in range(10)]
    alike = dict.fromkeys((1, 2, 3), rounds)
    apart = {lifetime: [value + 0.1 * lifetime for value in rounds] for lifetime in (1, 2, 3)}
    narrow, wide = over_lifetimes(alike), over_lifetimes(apart)
    flat = trimmed([value for values in apart.values() for value in values])

    assert narrow == trimmed([value for values in alike.values() for value in values])
    assert wide is not None
    assert flat is not None
    of_one = trimmed(rounds)
    assert of_one is not None
    assert wide.se**2 == pytest.approx(flat.se**2 + (0.1**2 - of_one.se**2) / 3)


@given(st.integers(0, 60), st.integers(0, 60))
def test_sign_test_is_the_binomial_one(more: int, fewer: int) -> None:
    """Exact, one-sided."""
    expected = stats.binomtest(more, more + fewer, alternative="greater").pvalue if more + fewer else 1.0

    assert sign_test(more, fewer) == pytest.approx(expected)


@given(VALUES, VALUES)
def test_welch_is_that_of_scipy(first: list[float], second: list[float]) -> None:
    """Two-sided, unequal variances."""
    if max(map(len, map(set, (first, second)))) == 1:
        expected = 1.0 if first[0] == second[0] else 0.0
    else:
        expected = stats.ttest_ind(first, second, equal_var=False).pvalue

    assert welch(first, second) == pytest.approx(expected, abs=1e-9)


def test_welch_says_nothing_of_few() -> None:
    """Four values are no sample."""
    assert welch([0.0] * 4, [1.0] * 40) == 1.0


@given(st.lists(st.floats(1, 1000), min_size=1, max_size=99), st.sampled_from([0.5, 0.95]))
def test_quantile_of_few_values_is_that_of_harrell_and_davis(values: list[float], q: float) -> None:
    """Every value has its weight."""
    expected = values[0] if len(values) == 1 else float(hdquantiles(values, [q])[0])

    assert quantile(values, q) == pytest.approx(expected)


def test_quantile_of_many_values_is_one_of_them() -> None:
    """Nearest rank from 100 on."""
    assert quantile([float(number) for number in range(1, 101)], 0.95) == 95.0


def test_nothing_is_imported_before_something_is_compared() -> None:
    """scipy takes a second that most runs need not wait for."""
    look = "import sys, load.verdict.compare; print('scipy' in sys.modules, 'numpy' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)

    assert told.stdout == "False False\n"
