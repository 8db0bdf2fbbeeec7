"""Schedules: the intended starts of one user."""

from __future__ import annotations

from itertools import pairwise
from statistics import fmean

import pytest

from load.scenarios.arrivals import Schedule

MEAN_S = 0.5
MEAN_NS = int(MEAN_S * 1e9)


def starts(schedule: Schedule, count: int, took_ns: int = 0) -> list[int]:
    """The intended starts of streams that each took `took_ns`."""
    seen = []
    for _ in range(count):
        seen.append(schedule.next_ns)
        schedule.advance(schedule.next_ns + took_ns)
    return seen


def test_the_same_seed_gives_the_same_starts() -> None:
    """A run can be repeated, and two users do not march in step."""
    first = starts(Schedule("poisson", MEAN_S, 7, 1, 0), 50)

    assert first == starts(Schedule("poisson", MEAN_S, 7, 1, 0), 50)
    assert first != starts(Schedule("poisson", MEAN_S, 7, 2, 0), 50)
    assert first != starts(Schedule("poisson", MEAN_S, 8, 1, 0), 50)


def test_constant_starts_are_evenly_spaced() -> None:
    """After a random phase below one distance, each start is one distance after the other."""
    first, *rest = starts(Schedule("constant", MEAN_S, 7, 1, 1_000), 5)

    assert 1_000 <= first < 1_000 + MEAN_NS
    assert [start - first for start in rest] == [MEAN_NS * k for k in range(1, 5)]


@pytest.mark.parametrize("kind", ["poisson", "constant"])
def test_a_slow_target_does_not_slow_its_own_measurement(kind: str) -> None:
    """Streams that take 3 s are intended when streams that take none are."""
    quick = starts(Schedule(kind, MEAN_S, 7, 1, 0), 20)
    slow = starts(Schedule(kind, MEAN_S, 7, 1, 0), 20, took_ns=3_000_000_000)

    assert slow == quick


def test_closed_counts_from_the_end() -> None:
    """In a closed loop the time a stream took is added to each distance."""
    quick = starts(Schedule("closed", MEAN_S, 7, 1, 0), 20)
    slow = starts(Schedule("closed", MEAN_S, 7, 1, 0), 20, took_ns=1_000)

    assert [b - a for a, b in zip(quick, slow, strict=True)] == [1_000 * k for k in range(20)]


def test_poisson_distances_have_the_mean() -> None:
    """10,000 distances of one seed lie within 3 % (three standard errors) of the mean."""
    seen = starts(Schedule("poisson", MEAN_S, 7, 1, 0), 10_001)

    assert fmean(b - a for a, b in pairwise(seen)) == pytest.approx(MEAN_NS, rel=0.03)
