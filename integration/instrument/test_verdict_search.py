"""A search as it is told: what is varied, which steps are the best, the answer in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from integration.instrument.documents import OPTIONS
from integration.instrument.searches import SEARCH, searched, step
from load.errors import UsageError
from load.metrics.run import CLEAN, Run
from load.options import Rate
from load.verdict.capacity import Outcome
from load.verdict.search import Search, of_a_step

HELD, FEW, MISSED, LATE, UNSURE = Outcome


def test_users_are_varied_without_a_rate() -> None:
    """One by one, up to as many as may come."""
    assert Search.of(replace(OPTIONS, users=300)) == Search(300, 1, "users", of_rate=False)


@pytest.mark.parametrize(
    ("per_s", "most", "grain"), [(40, 400, 0.1), (400, 400, 1), (1000, 100, 10), (0.5, 500, 0.001)]
)
def test_a_rate_is_varied_in_fine_steps(per_s: float, most: int, grain: float) -> None:
    """A hundred parts at least."""
    search = Search.of(replace(OPTIONS, rate=Rate(per_s)))

    assert (search.most, search.of_rate) == (most, True)
    assert search.grain == pytest.approx(grain)
    assert search.shown(search.most) == f"{per_s:,g}"


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ([], "not one step came to its end"),
        ([(112, HELD), (112, HELD), (121, MISSED), (121, MISSED)], "between 112 and 121 users"),
        ([(112, HELD), (121, MISSED)], "between 112 and 121 users, each end seen once only"),
        ([(430, HELD), (450, LATE), (450, LATE)], "at least 430 users: the generator ends first, at 450"),
        (
            [(430, HELD), (450, LATE), (450, LATE), (800, MISSED)],
            "at least 430 users, fewer than 800: the generator ends first, at 450",
        ),
        ([(30, HELD), (60, UNSURE), (60, UNSURE)], "at least 30 users: at 60 it stays undecided"),
        ([(500, HELD), (500, HELD)], "at least 500 users: no more were allowed"),
        ([(60, HELD)], "at least 60 users: there was no time for more"),
        ([(31, FEW)], "no load was seen to hold; 31 users: too few, why 31"),
        ([(31, MISSED)], "no load was seen to hold; 31 users: missed, why 31"),
    ],
)
def test_the_answer_in_words(steps: list[tuple[int, Outcome]], told: str) -> None:
    """An interval where there is one, else a bound and what lies behind it."""
    assert searched(*steps).told == told


def test_the_best_steps_are_those_of_the_largest_load_that_held() -> None:
    """All that held under it; not the one that did not."""
    assert [one.number for one in SEARCH.best] == [3, 8]


def test_the_streams_of_the_best_steps_make_the_headline() -> None:
    """They become those of the clean windows; all others stay with their steps."""
    run = Run()
    for window, count in (("step 3", 10), ("step 8", 20), ("step 4", 40), ("ramp", 80)):
        run.tally("chat_ws", window).chunks = count
    SEARCH.crown(run)

    assert {window: tally.chunks for (_, window), tally in run.tallies.items()} == {
        "step 4": 40,
        "ramp": 80,
        CLEAN: 30,
    }


def test_objectives_are_shown_of_the_best_load() -> None:
    """Of its last step; where nothing held, of the last one there was."""
    assert [result.shown for result in SEARCH.results] == ["8"]
    assert [result.shown for result in searched((31, MISSED)).results] == ["1"]
    assert searched().results == ()


def test_a_step_without_length_has_no_rate() -> None:
    """It ended at once."""
    assert replace(step(1, 5, HELD), lasted_s=0.0).good_per_s == 0.0


@pytest.mark.parametrize(
    ("given", "held"),
    [
        (["ttft_ms p95 < 500"], ("ttft_ms p95 < 500", "unexpected count < 1")),
        (["good share >= 0.99"], ("good share >= 0.99",)),
        (["unexpected{scenario=chat_ws} count < 9"], ("unexpected{scenario=chat_ws} count < 9",)),
    ],
)
def test_nothing_undeclared_may_come_unless_an_objective_says(
    given: list[str], held: tuple[str, ...]
) -> None:
    """How many streams may fail is said once."""
    assert of_a_step(given) == held


def test_what_is_known_only_at_the_end_is_no_aim() -> None:
    """One line with the metric."""
    with pytest.raises(UsageError, match="relay_ms is known only at the end of a run"):
        of_a_step(["ttft_ms p95 < 500", "relay_ms{scenario=chat_ws} p99 < 5"])
