"""A run: tallies by scenario and window, and the generator's health."""

from __future__ import annotations

import json

import pytest

from integration.instrument.streams import CUT, answered
from load.errors import InstrumentError
from load.metrics.histogram import Histogram
from load.metrics.run import Health, Run


def lateness(*values: int) -> Histogram:
    made = Histogram()
    made.add_all(values)
    return made


HEALTH = Health(lateness(5), lateness(6, 7), 10, 1, 1, 2, 300, 400, 8, 1, {"out of memory": 3})


def run(scenario: str, window: str, count: int) -> Run:
    made = Run(health=HEALTH)
    for _ in range(count):
        made.tally(scenario, window).book(answered(2_000))
    return made


def test_parts_merge_by_scenario_and_window() -> None:
    """What two processes saw."""
    merged = run("a", "steady", 2) + run("a", "ramp", 1) + run("a", "steady", 3)

    assert {key: tally.ended for key, tally in merged.tallies.items()} == {
        ("a", "steady"): 5,
        ("a", "ramp"): 1,
    }


@pytest.mark.parametrize(
    ("scenario", "windows", "expected"),
    [(None, None, 6), ("a", None, 3), (None, ("steady",), 4), ("a", ("steady",), 1), ("c", None, 0)],
)
def test_total(scenario: str | None, windows: tuple[str, ...] | None, expected: int) -> None:
    """Over all, or one scenario, or some windows; empty where nothing was booked."""
    whole = run("a", "steady", 1) + run("a", "ramp", 2) + run("b", "steady", 3)

    assert whole.total(scenario=scenario, windows=windows).ended == expected


def test_scenarios_are_sorted() -> None:
    """Their names, once."""
    assert (run("b", "ramp", 1) + run("a", "steady", 1) + run("b", "steady", 1)).scenarios() == ["a", "b"]


def test_health_merges() -> None:
    """All of it adds."""
    twice = HEALTH + HEALTH

    assert twice == Health(
        lateness(5, 5), lateness(6, 7, 6, 7), 20, 2, 2, 4, 600, 800, 16, 2, {"out of memory": 6}
    )


def test_faults_of_the_generator_are_counted_by_their_cause() -> None:
    """Also where the other part had none."""
    health = Health()
    for cause in ("out of memory", "out of ports", "out of memory"):
        health.fault(cause)

    assert (Health() + health).faults == {"out of memory": 2, "out of ports": 1}


@pytest.mark.parametrize(
    ("reads", "unstamped", "expected"),
    [(0, 0, "user"), (100, 100, "user"), (100, 0, "kernel"), (100, 1, "kernel"), (100, 2, "mixed")],
)
def test_stamp_source(reads: int, unstamped: int, expected: str) -> None:
    """One read in a hundred may fall back."""
    assert Health(reads=reads, reads_unstamped=unstamped).stamp_source == expected


def test_json_gives_it_back() -> None:
    """Through JSON text; a scenario's name may hold a slash."""
    made = run("a/b", "steady", 2)
    made.tally("a", "ramp").book(CUT)

    assert Run.from_json(json.loads(json.dumps(made.to_json()))) == made


@pytest.mark.parametrize(
    "stored",
    [
        {},
        {"tallies": {"a": {}}, "health": {}},
        {"tallies": {"a/b": 1}, "health": {}},
        {"tallies": {}, "health": {"mood": 1}},
    ],
)
def test_stored_nonsense_is_refused(stored: dict[str, object]) -> None:
    """A file that holds no run."""
    with pytest.raises(InstrumentError, match="not a stored"):
        Run.from_json(stored)
