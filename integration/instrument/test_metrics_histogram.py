"""Figures keep their stated error, and merging them loses nothing."""

from __future__ import annotations

import json
from fractions import Fraction
from functools import reduce
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from load.errors import InstrumentError
from load.metrics.histogram import Histogram

values = st.lists(st.integers(0, 10**12), max_size=60)
QUANTILES = (
    Fraction(1, 100),
    Fraction(1, 2),
    Fraction(9, 10),
    Fraction(19, 20),
    Fraction(99, 100),
    Fraction(1),
)


def histogram(numbers: list[int]) -> Histogram:
    made = Histogram()
    for number in numbers:
        made.add(number)
    return made


@given(values.filter(bool), st.sampled_from(QUANTILES))
def test_quantile_is_within_its_error(numbers: list[int], q: Fraction) -> None:
    """The value of nearest rank, at most 1/256 off."""
    exact = sorted(numbers)[ceil(q * len(numbers)) - 1]
    given_value = histogram(numbers).quantile(float(q))

    assert given_value is not None
    assert abs(given_value - exact) * 256 <= exact


@given(values, values, values)
def test_merging_is_associative(a: list[int], b: list[int], c: list[int]) -> None:
    """The order in which parts of a run arrive does not matter."""
    x, y, z = histogram(a), histogram(b), histogram(c)

    assert (x + y) + z == x + (y + z)


@given(values, values)
def test_merging_is_commutative(a: list[int], b: list[int]) -> None:
    """Which part is first does not matter."""
    assert histogram(a) + histogram(b) == histogram(b) + histogram(a)


@given(st.lists(values, max_size=6))
def test_merged_parts_equal_the_whole(parts: list[list[int]]) -> None:
    """Any split of the same values gives the same histogram."""
    merged = reduce(Histogram.__add__, map(histogram, parts), Histogram())

    assert merged == histogram([number for part in parts for number in part])


@given(values, values)
def test_difference_is_what_came_since(a: list[int], b: list[int]) -> None:
    """An older state and what came since make the newer state."""
    earlier = histogram(a)
    later = earlier + histogram(b)

    assert earlier + (later - earlier) == later


@given(values)
def test_adding_all_equals_adding_each(numbers: list[int]) -> None:
    """The fast way books the same."""
    fast = Histogram()
    fast.add_all(numbers)

    assert fast == histogram(numbers)


@given(values)
def test_json_gives_it_back(numbers: list[int]) -> None:
    """Through JSON text, where keys are strings."""
    made = histogram(numbers)

    assert Histogram.from_json(json.loads(json.dumps(made.to_json()))) == made


def test_weights_count_as_so_many_values() -> None:
    """One call for several equal values."""
    weighted = Histogram()
    weighted.add(7_000, 3)

    assert weighted == histogram([7_000] * 3)


@pytest.mark.parametrize(
    ("value", "key"),
    [
        (0, 0),
        (255, 255),
        (256, 256),  # the first bucket that holds two values
        (257, 256),
        (258, 257),
        (511, 383),
        (512, 384),
    ],
)
def test_bucket(value: int, key: int) -> None:
    """Borders of buckets: single values up to 255, then 128 an octave without a hole."""
    assert list(histogram([value]).counts) == [key]


def test_no_values_give_no_quantile() -> None:
    """An empty sample is never 0."""
    assert Histogram().quantile(0.5) is None


@pytest.mark.parametrize(("limit", "expected"), [(0, 3), (9, 3), (10, 1), (255, 1), (10_100, 0)])
def test_above(limit: int, expected: int) -> None:
    """How many values lie beyond a limit."""
    assert histogram([10, 10, 10_000]).above(limit) == expected


def test_no_values_give_no_mean() -> None:
    """An empty sample has no mean."""
    assert Histogram().mean is None


def test_mean_is_exact() -> None:
    """The mean does not come from buckets."""
    assert histogram([1_000_001, 1_000_003]).mean == 1_000_002


def test_quantile_survives_binary_fractions() -> None:
    """0.07 of 100 values is the 7th, although 0.07 * 100 is a little more than 7."""
    assert histogram(list(range(1, 101))).quantile(0.07) == 7


@pytest.mark.parametrize("add", [lambda h: h.add(-1), lambda h: h.add_all([3, -1])])
def test_negative_values_are_a_defect_of_ours(add: object) -> None:
    """A duration is never negative."""
    with pytest.raises(InstrumentError, match="negative value -1"):
        add(Histogram())  # type: ignore[operator]


def test_stored_nonsense_is_refused() -> None:
    """A file that holds no histogram."""
    with pytest.raises(InstrumentError, match="not a stored histogram"):
        Histogram.from_json({"n": 1})
