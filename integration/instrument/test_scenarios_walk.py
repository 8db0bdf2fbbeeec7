"""The one list of rows that all failure users take from."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from load.scenarios.walk import Due, Walk

ROWS = {
    "short": Due(2, 0.1),
    "long": Due(2, 5.0),
    "middle": Due(2, 1.0),
    "once": Due(1, 2.0, again=False),
}


def test_the_longest_come_first_and_each_as_often_as_it_is_due() -> None:
    walk = Walk(ROWS, seed=3)

    assert [walk.take(math.inf) for _ in range(7)] == [
        "long",
        "long",
        "once",
        "middle",
        "middle",
        "short",
        "short",
    ]


def test_what_does_not_fit_waits() -> None:
    """A row that is due is passed over, not lost."""
    walk = Walk(ROWS, seed=3)

    assert [walk.take(1.5) for _ in range(2)] == ["middle", "middle"]
    assert walk.take(0.05) is None
    assert walk.take(5.5) == "long"


def test_afterwards_it_goes_on_and_on_without_what_comes_once() -> None:
    """Each in turn, before any comes again."""
    walk = Walk(ROWS, seed=3)
    for _ in range(7):
        walk.take(math.inf)

    rounds = [Counter(walk.take(math.inf) for _ in range(3)) for _ in range(4)]

    assert rounds == [Counter(["long", "middle", "short"])] * 4


def test_the_seed_gives_the_order() -> None:
    equal = {name: Due(1, 1.0) for name in "abcdefgh"}
    orders = [
        [walk.take(math.inf) for _ in range(8)] for walk in (Walk(equal, 1), Walk(equal, 1), Walk(equal, 2))
    ]

    assert orders[0] == orders[1] != orders[2]


def test_nothing_to_do_is_nothing_to_take() -> None:
    assert Walk({}, 1).take(math.inf) is None


def test_rows_come_evenly_over_the_rough_time() -> None:
    """Seven rows over nine of ten seconds; who is behind does not wait, and what comes beyond keeps pace."""
    walk = Walk(ROWS, seed=3)
    held_s = []
    for gone_s in (0.0, 0.5, 3.0, 3.0, 9.0, 9.0, 9.0, 9.0):
        held_s.append(walk.held_s(gone_s, 10.0))
        walk.take(math.inf)

    assert held_s == pytest.approx([0, 9 / 7 - 0.5, 0, 27 / 7 - 3, 0, 0, 0, 0])
    assert walk.held_s(9.0, 10.0) == pytest.approx(9 / 7)


def test_nothing_is_held_where_nobody_is_spared() -> None:
    walk = Walk(ROWS, seed=3)
    walk.take(math.inf)

    assert walk.held_s(0.0, None) == 0.0
    assert Walk({}, 1).held_s(0.0, 10.0) == 0.0
