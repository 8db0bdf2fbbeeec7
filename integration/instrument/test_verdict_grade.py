"""Machines that are quiet, and machines that are not."""

from __future__ import annotations

import random

import pytest

from integration.instrument.comparisons import paired
from load.verdict.grade import grade, order_shows, overwhelmed


@pytest.mark.parametrize(
    ("psis", "word"),
    [
        ([0.0, 0.2, 0.9], "quiet"),
        ([0.21], "busy"),
        ([0.5], "busy"),
        ([0.51], "noisy"),
        ([0.8], "noisy"),
        ([0.81], "unusable"),
        ([None], "unknown"),
        ([None, 0.6], "noisy"),
    ],
)
def test_grade_is_that_of_the_median_block(psis: list[float | None], word: str) -> None:
    """Blocks whose pressure is not known do not count."""
    assert grade([paired(1, {}, psi=(psi, psi)) for psi in psis]) == word


@pytest.mark.parametrize(("loud", "too_much"), [(5, False), (6, True), (0, False)])
def test_more_than_half_of_the_blocks_is_too_much(loud: int, too_much: bool) -> None:
    """Ten blocks in five rounds."""
    psis = [0.81] * loud + [0.8] * (10 - loud)
    rounds = [paired(1, {}, psi=(psis[at], psis[at + 1])) for at in range(0, 10, 2)]

    assert overwhelmed(rounds) == too_much
    assert not overwhelmed([paired(1, {}, psi=(None, None))])


@pytest.mark.parametrize(("shift", "shows"), [(0.0, False), (0.04, True), (-0.04, True)])
def test_order_shows_in_ttft(shift: float, shows: bool) -> None:
    """Whichever arm profits from being first."""
    draw = random.Random(8)
    rounds = [
        paired(number, {"ttft": draw.gauss(0, 0.02) + shift * (number % 2)}, base_first=number % 2 == 0)
        for number in range(1, 41)
    ]

    assert order_shows(rounds) == shows


def test_order_needs_ttft_of_both() -> None:
    """Rounds without it, or of one order only, say nothing."""
    assert not order_shows([paired(number, {"ttft": None}) for number in range(1, 31)])
    assert not order_shows([paired(number, {"ttft": 0.1}, base_first=True) for number in range(1, 31)])
