"""Schedules: the intended starts of one user."""

from __future__ import annotations

from itertools import islice, pairwise
from statistics import fmean, pstdev

import pytest

from load.options import Rate
from load.scenarios.arrivals import Schedule, at_rate, replayed

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


def test_starts_that_are_overdue_at_the_end() -> None:
    """All that was due until then, each once."""
    schedule = Schedule("constant", MEAN_S, 7, 1, 0)
    first = schedule.next_ns
    overdue = list(schedule.overdue(first + 2 * MEAN_NS))

    assert overdue == [first, first + MEAN_NS, first + 2 * MEAN_NS]
    assert list(schedule.overdue(first + 2 * MEAN_NS)) == []


def test_in_a_closed_loop_nothing_is_overdue() -> None:
    """Nobody knows when it should have been."""
    assert list(Schedule("closed", MEAN_S, 7, 1, 0).overdue(10 * MEAN_NS)) == []


def test_a_rate_is_evenly_spaced() -> None:
    """Distances that are no whole number do not add up to another rate."""
    found = list(islice(at_rate(Rate(3), 7, 1_000), 3001))

    assert found[:4] == [1_000, 333_334_333, 666_667_666, 1_000_001_000]
    assert found[-1] == 1_000_000_001_000


def test_a_rate_at_random() -> None:
    """The same for the same seed, with the mean and the spread of a Poisson stream."""
    found = list(islice(at_rate(Rate(40, poisson=True), 7, 0), 4000))
    distances = [b - a for a, b in pairwise(found)]

    assert found == list(islice(at_rate(Rate(40, poisson=True), 7, 0), 4000))
    assert fmean(distances) == pytest.approx(25e6, rel=0.05)
    assert pstdev(distances) == pytest.approx(25e6, rel=0.08)


def test_a_trace_again() -> None:
    """From whenever it begins."""
    assert list(replayed((0, 5, 7), 100)) == [100, 105, 107]
