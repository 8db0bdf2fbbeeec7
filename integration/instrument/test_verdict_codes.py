"""load/verdict/codes.py: codes on both sides."""

from __future__ import annotations

from dataclasses import replace

import pytest

from integration.instrument.pathparts import BLANK, CAUGHT, FULL, hit, part
from load.metrics.paths import Hit
from load.verdict.codes import compare
from load.verdict.errorpaths import make_map

AGAIN = replace(BLANK, id="shop/api.py::ask::raise:re-raise:#1", sub="re-raise")
SITES = (BLANK, FULL, CAUGHT, AGAIN)


@pytest.mark.parametrize(
    ("told", "hits", "expected"),
    [
        (3, [hit(BLANK, code="late", count=3)], ("matched", 3)),
        (3, [hit(BLANK, code="late", count=2), hit(FULL, code="late", count=1)], ("matched", 3)),
        (1, [hit(BLANK, code="late", count=2)], ("matched", 2)),  # an attempt that was repeated
        (3, [hit(BLANK, code="late", count=2)], ("unplaced", 2)),
        (3, [], ("implicit", 0)),
        (1, [hit(BLANK, "feedback", code="late")], ("implicit", 0)),  # somebody else's
        (1, [hit(BLANK, code="early")], ("implicit", 0)),
        (1, [hit(AGAIN, code="late"), hit(CAUGHT, code="late")], ("implicit", 0)),  # neither says it
    ],
)
def test_a_code_is_held_against_the_places_that_say_it(
    told: int, hits: list[Hit], expected: tuple[str, int]
) -> None:
    """Under the label of the request alone."""
    (found,) = compare({"chat": {"late": told}}, make_map([part("load", *hits, sites=SITES)]).paths)

    assert (found.result, found.server) == expected


def test_hits_of_tests_do_not_answer_clients_of_the_load() -> None:
    """Even under an equal label."""
    paths = make_map([part("integration", hit(BLANK, code="late")), part("load")]).paths

    assert [found.result for found in compare({"chat": {"late": 1}}, paths)] == ["implicit"]
