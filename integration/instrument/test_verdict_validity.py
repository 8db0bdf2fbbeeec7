"""A generator that was late, or at fault itself, cannot judge the target."""

from __future__ import annotations

from dataclasses import replace

import pytest

from load.metrics.histogram import Histogram
from load.metrics.run import CLEAN, RAMP, ROUGH, Health, Run
from load.metrics.tally import Tally
from load.verdict.validity import descriptors_needed, empty, late_budget_ns, untrustworthy

MS = 1_000_000
BUDGET_NS, STALL_NS = 5 * MS, 250 * MS


def histogram(*values_ms: tuple[float, int]) -> Histogram:
    """Of so many values each."""
    made = Histogram()
    for value_ms, times in values_ms:
        made.add(round(value_ms * MS), times)
    return made


ON_TIME = Health(
    gauge=histogram((1, 1000)),
    lateness=histogram((0.2, 1000)),
    reads=1000,
    cpu_ns=200 * MS,
    wall_ns=1000 * MS,
    processes=1,
)
LATE = histogram((0.2, 980), (20, 20))
JUST_IN_TIME = histogram((0.2, 980), (4.9, 20))
USER_CLOCK = replace(ON_TIME, reads_unstamped=1000, lateness=Histogram())


def tally(unresolved: int = 0, start_lag: Histogram | None = None) -> Tally:
    return Tally(chunks=1000, unresolved=unresolved, start_lag=start_lag or histogram((1, 300)))


def causes(health: Health, seen: Tally) -> list[str]:
    """The word each finding begins with."""
    found = untrustworthy(health, seen, budget_ns=BUDGET_NS, stall_ns=STALL_NS)
    return [finding.reason.partition(":")[0] for finding in found]


@pytest.mark.parametrize(
    ("health", "seen", "expected"),
    [
        (ON_TIME, tally(), []),
        # kernel stamps: chunks that share reads, and a late look at them, both together
        (replace(ON_TIME, lateness=LATE), tally(unresolved=50), []),
        (replace(ON_TIME, lateness=LATE), tally(unresolved=51), ["generator_late"]),
        (replace(ON_TIME, lateness=JUST_IN_TIME), tally(unresolved=1000), []),
        (replace(ON_TIME, lateness=LATE), Tally(), []),  # nothing was streamed
        (replace(ON_TIME, lateness=Histogram()), tally(unresolved=51), []),
        (replace(ON_TIME, gauge=LATE), tally(unresolved=51), []),  # the stamps are right whenever we look
        # the user clock: the gauge alone
        (replace(USER_CLOCK, gauge=JUST_IN_TIME), tally(unresolved=51), []),
        (replace(USER_CLOCK, gauge=LATE), tally(), ["generator_late"]),
        # both: a standstill, however short a part of the run it was
        (replace(ON_TIME, gauge=histogram((1, 100_000), (1000, 1))), tally(), []),
        (replace(ON_TIME, gauge=histogram((1, 100_000), (1001, 1))), tally(), ["generator_late"]),
        # both: streams that began late, and not just one or two of them
        (ON_TIME, tally(start_lag=histogram((1, 97), (249, 3))), []),
        (ON_TIME, tally(start_lag=histogram((1, 97), (252, 3))), ["generator_late"]),
        (ON_TIME, tally(start_lag=histogram((1, 98), (9_000, 2))), []),
        (ON_TIME, tally(start_lag=histogram((1, 997), (9_000, 3))), []),  # p99 is in time
        (USER_CLOCK, tally(start_lag=histogram((1, 97), (252, 3))), ["generator_late"]),
        # the wall clock
        (replace(ON_TIME, clock_steps=1, reads_unstamped=10), tally(), []),
        (replace(ON_TIME, clock_steps=1, reads_unstamped=11), tally(), ["clock"]),
        (replace(ON_TIME, clock_steps=0, reads_unstamped=11), tally(), []),
        # faults of its own, each with its cause
        (replace(ON_TIME, faults={"a": 2, "b": 1}), tally(), ["generator_fault", "generator_fault"]),
        # one finding for all that made it late
        (
            replace(ON_TIME, lateness=LATE),
            tally(unresolved=51, start_lag=histogram((1, 97), (252, 3))),
            ["generator_late"],
        ),
    ],
)
def test_borders(health: Health, seen: Tally, expected: list[str]) -> None:
    """On which side of each rule a run is."""
    assert causes(health, seen) == expected


def test_a_finding_names_cause_and_remedy() -> None:
    """What was seen, what is allowed, what to do."""
    late = replace(ON_TIME, lateness=LATE)
    [finding] = untrustworthy(late, tally(unresolved=130), budget_ns=BUDGET_NS, stall_ns=STALL_NS)

    assert finding.kind.name == "INVALID"
    assert finding.reason == (
        "generator_late: 13 % of the chunks shared a read, allowed are 5 %, and chunks were looked at 20.0 ms"
        " late (p99), allowed are 5.0 ms. The generator used 20 % of a core, so other programs kept it from"
        " running, or a task of the locustfile blocks: give it a quieter machine, or fewer users (-u)"
    )


@pytest.mark.parametrize(
    ("cpu_share", "remedy"), [(0.69, "give it a quieter machine, or fewer"), (0.7, "come with fewer")]
)
def test_the_remedy_depends_on_who_used_the_processor(cpu_share: float, remedy: str) -> None:
    """A generator with too much to do, or one that was kept from it."""
    busy = replace(ON_TIME, lateness=LATE, cpu_ns=round(cpu_share * 1000) * MS)
    [finding] = untrustworthy(busy, tally(unresolved=130), budget_ns=BUDGET_NS, stall_ns=STALL_NS)

    assert f": {remedy} users (-u)" in finding.reason


@pytest.mark.parametrize(
    ("gaps", "limits_ms", "expected_ms"),
    [
        (histogram((20, 100)), [250], 5),
        (histogram((20, 51), (200, 49)), [250], 5),  # the median, not the mean
        (histogram((400, 100)), [250], 62.5),
        (histogram((400, 100)), [250, 100], 25),
        (histogram((4, 100)), [250], 2),  # nobody is better than that
        (Histogram(), [250], 62.5),
    ],
)
def test_how_late_it_may_be(gaps: Histogram, limits_ms: list[int], expected_ms: float) -> None:
    """A quarter of what is to be told apart."""
    budget_ns = late_budget_ns(gaps, [limit * MS for limit in limits_ms])

    assert budget_ns / MS == pytest.approx(expected_ms, rel=0.01)


@pytest.mark.parametrize(
    ("tallies", "expected"),
    [
        ({}, []),  # nobody streamed at all; whoever was asked for is missed by name
        ({("ws", CLEAN): Tally(by_terminal={"DONE": 1})}, []),
        ({("ws", ROUGH): Tally(by_terminal={"ERROR": 1})}, []),
        ({("ws", RAMP): Tally(by_terminal={"DONE": 9}), ("ws", CLEAN): Tally(unfinished=3)}, ["no_samples"]),
    ],
)
def test_nothing_that_counts(tallies: dict[tuple[str, str], Tally], expected: list[str]) -> None:
    """At least one stream of the measuring window has ended, however it did."""
    assert [finding.reason.partition(":")[0] for finding in empty(Run(tallies))] == expected


@pytest.mark.parametrize(("users", "expected"), [(1, 66), (50, 164), (1000, 2064)])
def test_descriptors(users: int, expected: int) -> None:
    """Two connections for each user, and what the process itself has open."""
    assert descriptors_needed(users) == expected
