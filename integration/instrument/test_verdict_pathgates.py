"""load/verdict/pathgates.py: what the map must show."""

from __future__ import annotations

from dataclasses import replace

import pytest

from integration.instrument.pathparts import BLANK, CAUGHT, FULL, LATE, SITES, hit, part
from load.metrics.paths import Fired, Hit, Site
from load.report.paths import to_plain
from load.verdict.errorpaths import ErrorPaths, make_map
from load.verdict.judge import Finding
from load.verdict.pathgates import early, gate, lost, unreached_rows
from load.verdict.rules import Rules

MANY = tuple(replace(BLANK, id=f"{BLANK.id}{n}") for n in range(100))


def joint(*hits: Hit, sites: tuple[Site, ...] = SITES, declared: dict[str, str] | None = None) -> ErrorPaths:
    return make_map(
        [part("integration", sites=sites), part("load", *hits, sites=sites)], declared=declared or {}
    )


def reasons(found: list[Finding]) -> list[str]:
    return [finding.reason for finding in found]


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (
            ("respond",),
            ["respond: shop/api.py:12 respond http-5xx 503 reached by neither integration nor load"],
        ),
        (("respond http-5xx",), 1),
        (("respond http-4xx",), 0),
        (("raise",), 0),
        (("timeout", "except"), 2),
    ],
)
def test_a_kind_that_must_be_reached_names_what_nobody_reached(
    kinds: tuple[str, ...], expected: int | list[str]
) -> None:
    """A kind as a whole, or one line of the table."""
    found = reasons(gate(joint(hit(BLANK)), Rules(must_reach=kinds)))

    assert expected == (found if isinstance(expected, list) else len(found))


def test_a_declared_path_is_not_missed() -> None:
    """As long as the declarations are few."""
    declared = {MANY[0].id: "needs a crash between two commits"}
    hits = [hit(site) for site in MANY[1:]]

    assert (
        reasons(
            gate(
                joint(*hits, sites=MANY, declared=declared),
                Rules(must_reach=("raise",), allow_neither=declared),
            )
        )
        == []
    )


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ({MANY[1].id: "cannot be"}, [f"allow_neither names a path that chat reached: {MANY[1].id}"]),
        (
            {"shop/gone.py::x::raise:domain:X#1": "?"},
            ["allow_neither names no path: shop/gone.py::x::raise:domain:X#1"],
        ),
        ({MANY[0].id: " "}, [f"allow_neither gives no reason for {MANY[0].id}"]),
        (
            {site.id: "cannot be" for site in (MANY[0], *MANY[2:5])},
            ["allow_neither has 4 entries, at most 3 may be (3% of 100 paths)"],
        ),
        ({site.id: "cannot be" for site in (MANY[0], *MANY[2:4])}, []),
    ],
)
def test_a_list_of_declarations_must_not_rot(declared: dict[str, str], expected: list[str]) -> None:
    """An entry that is reached, names nothing or has no reason; and too many of them."""
    paths = joint(hit(MANY[1]), sites=MANY, declared=declared)

    assert expected == reasons(gate(paths, Rules(allow_neither=declared)))


def test_a_path_that_was_reached_in_the_base_is_lost_by_name() -> None:
    """Its test was removed; the path is still there."""
    base = to_plain(make_map([part("integration", hit(BLANK, "test:a"), hit(CAUGHT, "test:b"))]))
    now = make_map([part("integration", hit(CAUGHT, "test:b"))])

    assert reasons(lost(now, base)) == [
        "lost: shop/api.py:10 raise domain Problem was reached in the base (by test:a)"
    ]


def test_what_is_gone_from_the_source_or_was_not_run_is_not_lost() -> None:
    """Nor is a path that the other phase reaches when the base's was not run."""
    base = to_plain(make_map([part("integration", hit(BLANK, "test:a"))]))

    assert lost(make_map([part("integration", sites=[FULL])]), base) == []
    assert lost(make_map([part("load")]), base) == []


def test_a_clock_that_fires_before_its_limit_is_named() -> None:
    """By more than the millisecond that two clocks may differ."""
    fired = Fired(LATE.id, 500.0, (300.0, 501.0))
    paths = make_map([part("load", hit(LATE), fired=[fired])])
    on_time = make_map([part("load", hit(LATE), fired=[replace(fired, elapsed_ms=(499.5, 501.0))])])

    assert reasons(early(paths)) == [
        "shop/run.py:20 timeout fired fail_after fired 200.0 ms before its limit (load)"
    ]
    assert early(on_time) == []


def test_every_place_of_a_row_has_to_be_reached_by_load() -> None:
    """Of the rows that were asked for."""
    two = (replace(BLANK, rows=("F2",)), replace(FULL, rows=("F2",)), LATE)
    paths = joint(hit(BLANK), sites=two)

    assert reasons(unreached_rows(paths, {"F2"})) == [
        "not_reached: row F2, shop/api.py:12 respond http-5xx 503 not reached by load"
    ]
    assert unreached_rows(paths, {"H1"}) == []
