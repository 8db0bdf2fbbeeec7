"""load/verdict/errorpaths.py: what the parts of two phases say together."""

from __future__ import annotations

from dataclasses import replace

import pytest

from integration.instrument.pathparts import (
    BLANK,
    CANCEL,
    CAUGHT,
    FULL,
    LATE,
    SECOND_NS,
    SET,
    SITES,
    TIDY,
    hit,
    part,
)
from load.metrics.paths import Armed, Fired, PathPart, Site
from load.verdict.errorpaths import ErrorPaths, Late, Path, Reached, make_map

TEST = "test:integration/subject/test_chat.py::test_blank"


def of(paths: ErrorPaths, site: Site) -> Path:
    return next(path for path in (*paths.paths, *paths.listed) if path.site.id == site.id)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([part("integration", hit(BLANK, TEST)), part("load")], "integration"),
        ([part("integration"), part("load", hit(BLANK))], "load"),
        ([part("integration", hit(BLANK, TEST)), part("load", hit(BLANK))], "both"),
        ([part("integration"), part("load")], "neither"),
        ([part("load", hit(FULL))], "neither"),
    ],
)
def test_a_path_is_reached_by_the_phases_that_hit_it(parts: list[PathPart], expected: str) -> None:
    """Whichever of their processes it was."""
    assert of(make_map(parts), BLANK).state == expected


def test_what_sets_a_clock_and_what_cancels_are_listed_and_no_paths() -> None:
    """An armed time-out is not one that fired."""
    paths = make_map([part()])

    assert [path.site for path in paths.listed] == [SET, CANCEL]
    assert [path.site for path in paths.paths] == [BLANK, FULL, LATE, CAUGHT, TIDY]
    assert paths.counts() == {"integration": 0, "load": 0, "both": 0, "neither": 5}


def test_a_clock_that_never_fired_is_armed_only() -> None:
    """However often it was set."""
    clock = of(make_map([part(armed=[Armed(SET.id, "chat", 412, 1500.0)])]), LATE)

    assert clock.state == "neither"
    assert clock.notes == ("armed only",)
    assert (clock.armed, clock.fired, clock.limit_ms, clock.late) == (412, 0, 1500.0, {})


@pytest.mark.parametrize("limit_ms", [None, 0.0])
def test_a_clock_without_a_limit_cannot_fire(limit_ms: float | None) -> None:
    """Nor one of zero, around what never waits."""
    clock = of(make_map([part(armed=[Armed(SET.id, "chat", 4, limit_ms)])]), LATE)

    assert clock.notes == ("armed only", "cannot fire")


def test_lateness_is_kept_for_each_phase() -> None:
    """Beyond the limit that was set, whatever the other phase set."""
    tested = part("integration", hit(LATE, TEST), fired=[Fired(LATE.id, 100.0, (101.0,))])
    loaded = part(
        "load",
        hit(LATE, count=100),
        armed=[Armed(SET.id, "chat", 500, 1500.0)],
        fired=[Fired(LATE.id, 1500.0, tuple(1500.0 + n for n in range(1, 101)))],
    )

    clock = of(make_map([tested, loaded]), LATE)

    assert clock.late == {
        "integration": Late(1, 1.0, 1.0, 1.0, 1.0),
        "load": Late(100, 1.0, 50.0, 99.0, 100.0),
    }
    assert (clock.armed, clock.fired) == (500, 101)


def test_hits_of_several_processes_under_one_label_are_one() -> None:
    """Their first is the earliest, with the users of that moment; each phase counts from its own begin."""
    one = part("load", hit(BLANK, code="invalid", count=2, first_s=30, min_in_flight=3))
    other = part("load", hit(BLANK, code="invalid", count=5, first_s=22, min_in_flight=2, after_stop=1))
    tested = part("integration", hit(BLANK, TEST, first_s=7))

    paths = make_map(
        [one, other, tested], began_ns={"load": 10 * SECOND_NS}, users_at=lambda ns: ns // SECOND_NS
    )

    assert of(paths, BLANK).hits == (
        Reached("integration", TEST, "Problem", None, 1, 7000.0, None, 1, 0),
        Reached("load", "chat", "Problem", "invalid", 7, 12000.0, 22, 2, 1),
    )


@pytest.mark.parametrize(
    ("fewest", "expected"), [((2, 40), ("only under concurrency",)), ((1, 40), ()), ((0, 40), ())]
)
def test_a_path_without_a_hit_alone_is_only_under_concurrency(
    fewest: tuple[int, int], expected: tuple[str, ...]
) -> None:
    """In any phase; nothing in flight is a task of the target's own."""
    tested, loaded = (hit(BLANK, min_in_flight=count) for count in fewest)

    paths = make_map([part("integration", tested), part("load", loaded)])

    assert of(paths, BLANK).notes == expected


@pytest.mark.parametrize(("after_stop", "expected"), [(3, ("shutdown only",)), (2, ())])
def test_a_path_hit_after_the_stop_alone_is_shutdown_only(after_stop: int, expected: tuple[str, ...]) -> None:
    """One hit before it is enough."""
    paths = make_map([part("load", hit(BLANK, count=3, after_stop=after_stop))])

    assert of(paths, BLANK).notes == expected


def test_a_cleanup_entered_the_ordinary_way_says_so() -> None:
    """By an exception or a cancellation it is an error path like any other."""
    ordinary = hit(TIDY, exception=None)

    assert of(make_map([part("load", ordinary)]), TIDY).notes == ("never by error",)
    for entered in (hit(TIDY, exception="ValueError"), hit(TIDY, exception=None, code="cancel")):
        assert of(make_map([part("load", ordinary, entered)]), TIDY).notes == ()


def test_a_swallowed_exception_is_a_smell() -> None:
    """The handler that logged now does nothing."""
    swallows = replace(CAUGHT, disposition="swallow")
    before, after = (make_map([part(sites=[site])]) for site in (CAUGHT, swallows))

    assert of(before, CAUGHT).notes == ()
    assert of(after, CAUGHT).notes == ("catch-all -> swallow",)


def test_a_handler_that_was_removed_is_no_path_any_more() -> None:
    """Nothing keeps it in the map."""
    before = make_map([part("load", hit(CAUGHT))])
    after = make_map([part("load", sites=[site for site in SITES if site is not CAUGHT])])

    assert CAUGHT in [path.site for path in before.paths]
    assert CAUGHT not in [path.site for path in after.paths]


def test_paths_are_found_by_their_row() -> None:
    """A comment may name several."""
    both = replace(BLANK, rows=("F2", "P6"))

    by_row = make_map([part(sites=[both, LATE])]).by_row()

    assert {row: [path.site for path in paths] for row, paths in by_row.items()} == {
        "F2": [both],
        "P6": [both, LATE],
    }


def test_a_part_of_a_killed_process_makes_the_map_incomplete() -> None:
    """It is named; what it told counts."""
    paths = make_map([part("load", hit(BLANK), final=False)])

    assert (paths.complete, paths.phases["load"].incomplete) == (False, ("load.1",))
    assert of(paths, BLANK).state == "load"
    assert make_map([part()]).complete


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        (part(probe_errors=2), "load.1: 2 probes failed"),
        (part(unhooked=["shop/x.py"]), "load.1: imported without probes: shop/x.py"),
    ],
)
def test_probes_that_failed_or_are_missing_make_the_map_unusable(broken: PathPart, expected: str) -> None:
    """A path that nobody saw would look unreached."""
    paths = make_map([part(), broken])

    assert (paths.usable, paths.checks) == (False, {"H6": expected})
    assert make_map([part()]).usable
