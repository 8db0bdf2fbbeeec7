"""load/joint.py: what tests and a load run miss together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from integration.instrument.documents import COVERAGE
from integration.instrument.pathparts import BLANK, FULL, hit, part
from integration.instrument.test_target_pathparts import left
from load.joint import Joint, findings, join
from load.verdict.errorpaths import make_map
from load.verdict.judge import Finding
from load.verdict.rules import Rules

RULES = Rules(minimum={"backend/api/chat.py": 90}, must_reach=("respond",))
BOTH = make_map([part("integration"), part("load", hit(BLANK))])


def told(found: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.kind.name, finding.reason) for finding in found]


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where main is guarded."""
    monkeypatch.setenv("CI", "true")


@pytest.mark.usefixtures("guarded")
def test_minimums_and_kinds_are_judged_where_main_is_guarded() -> None:
    """By tests and load together."""
    assert told(list(findings(Joint(BOTH, COVERAGE), RULES, rows=()))) == [
        (
            "OBJECTIVE",
            "respond: shop/api.py:12 respond http-5xx 503 reached by neither integration nor load",
        ),
        ("OBJECTIVE", "backend/api/chat.py 87.5 % < 90 %"),
    ]


def test_by_hand_they_are_only_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of the phases is often missing then."""
    monkeypatch.delenv("CI", raising=False)

    assert list(findings(Joint(BOTH, COVERAGE), RULES, rows=())) == []


@pytest.mark.usefixtures("guarded")
@pytest.mark.parametrize("joint", [Joint(None), Joint(BOTH), Joint(make_map([part("load")]), COVERAGE)])
def test_without_data_of_the_tests_the_run_cannot_tell(joint: Joint) -> None:
    """The command that makes it is named; it is no pass and no miss."""
    assert told(list(findings(joint, RULES, rows=()))) == [
        ("INVALID", "there is no data of integration for these sources; make test makes it")
    ]


@pytest.mark.usefixtures("guarded")
def test_a_target_without_rules_is_not_judged() -> None:
    """Somebody else's app has what tests it likes."""
    assert list(findings(Joint(make_map([part("load")])), Rules(), rows=())) == []


def test_a_map_that_cannot_be_trusted_makes_the_run_invalid() -> None:
    """And nothing else is said about it."""
    broken = make_map([replace(part("load", hit(FULL)), probe_errors=2)])

    assert told(list(findings(Joint(broken), RULES, rows={"P6"}))) == [
        ("INVALID", "selfcheck: H6 load.1: 2 probes failed")
    ]


def test_parts_of_other_sources_are_named_and_not_joined(tmp_path: Path) -> None:
    """The tests were run on an older commit."""
    run, tests = tmp_path / "run", tmp_path / "integration"
    left(run / "coverage", "load.7")
    left(tests / "coverage", "integration.8", phase="integration", sources={"shop/run.py": "01"})

    paths = join(run, None, Rules(), began_ns=0, of_tests=tests).paths

    assert paths is not None
    assert (list(paths.phases), paths.left_out) == (["load"], ("integration.8: measured other sources",))
