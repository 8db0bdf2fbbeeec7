"""integration/mutate/loaded.py: what tells a run with a mutant from runs without."""

from __future__ import annotations

from dataclasses import replace

import pytest

from integration.mutate.loaded import HUNG, Told, sign
from load.errors import ExitCode

SITES = frozenset("abc")
PASSED = Told(ExitCode.PASS, (), SITES, SITES)
UNCHANGED = (PASSED, replace(PASSED, reached=frozenset("ab")))


def ended(code: int, *reasons: str) -> Told:
    return replace(PASSED, code=code, reasons=reasons)


def test_a_run_like_the_unchanged_ones_has_no_sign() -> None:
    assert sign(PASSED, UNCHANGED) == ""


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (ended(ExitCode.BEHAVIOUR, "1 of 9 streams BROKEN"), "1 of 9 streams BROKEN"),
        (ended(ExitCode.OBJECTIVE, "ttft"), "ttft"),
        (ended(ExitCode.INVALID, "INVALID: not_reached: row P6"), "INVALID: not_reached: row P6"),
        (ended(ExitCode.TARGET_DOWN), "exit code 7"),
        (ended(HUNG, "hang: longer than 240 s"), "hang: longer than 240 s"),
        (ended(-9), "exit code -9"),
    ],
)
def test_an_end_that_no_unchanged_run_has_is_a_sign(told: Told, expected: str) -> None:
    assert sign(told, UNCHANGED) == expected


def test_what_an_unchanged_run_says_with_other_numbers_is_none() -> None:
    unchanged = (PASSED, ended(ExitCode.INVALID, "INVALID: row P6 came 1 x"))
    assert sign(ended(ExitCode.INVALID, "INVALID: row P6 came 0 x"), unchanged) == ""


def test_a_late_generator_is_none() -> None:
    assert sign(ended(ExitCode.INVALID, "INVALID: generator_late: 5 %"), UNCHANGED) == ""


def test_a_path_that_all_reached_and_it_did_not_is_a_sign() -> None:
    assert sign(replace(PASSED, reached=frozenset("bc")), UNCHANGED) == "1 paths lost: a"


def test_a_path_that_only_some_reached_is_none() -> None:
    assert sign(replace(PASSED, reached=frozenset("ab")), UNCHANGED) == ""


def test_a_path_that_the_mutant_does_not_have_is_none() -> None:
    assert sign(replace(PASSED, reached=frozenset("bc"), sites=frozenset("bc")), UNCHANGED) == ""
