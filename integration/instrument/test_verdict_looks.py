"""How the error of a comparison is spent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from load.verdict.looks import ERROR, SHARES, Looks, Taken, holm, spent


def taken(share: float, allowance: float = 0.0) -> Taken:
    return Taken(share, 30, 60 * share, allowance, "ttft", 0.5)


@pytest.mark.parametrize(
    ("share", "error"), [(0, 0), (1 / 3, 8.1e-6), (1 / 2, 2.7e-4), (3 / 4, 2.9e-3), (1, 1e-2), (1.2, 1e-2)]
)
def test_error_is_spent_late(share: float, error: float) -> None:
    """As docs/compare.md says, to two digits."""
    assert spent(share) == pytest.approx(error, rel=0.03)


@given(st.lists(st.floats(0.01, 1.0), min_size=1, max_size=6))
def test_looks_spend_one_per_cent_whenever_they_come(shares: list[float]) -> None:
    """Never more, and all of it when the last is at the end."""
    looks = Looks()
    for share in [*sorted(shares), 1.0]:
        looks += taken(share, looks.allowance(share))

    assert sum(one.allowance for one in looks.taken) == pytest.approx(ERROR)


def test_a_look_is_due_once() -> None:
    """At each share, however far behind it the first round ends."""
    looks, due = Looks(), []
    for step in range(1, 25):
        share = step / 24
        if looks.due(share):
            due.append(step)
            looks += taken(share)

    assert due == [8, 12, 18, 24]
    assert [step / 24 for step in due] == pytest.approx(SHARES)


def test_a_long_round_passes_two_looks_at_once() -> None:
    """Then one is taken, with the error of both."""
    looks = Looks() + taken(0.8)

    assert not looks.due(0.99)
    assert looks.allowance(1.0) == pytest.approx(ERROR - spent(0.8))


def test_names_are_added_in_order() -> None:
    """The second may have p up to error / (tests - 1): more than the first, and only behind it."""
    ps = [("total", 0.0024), ("ttft", 0.0019), ("gap", 0.9)]

    assert holm(ps, 0.01, 5) == ("ttft", "total")
    assert holm(ps[:1], 0.01, 5) == ()
    assert holm([], 0.01, 5) == ()
