"""Each planted defect of the service is named by a test of this suite, which passes without it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType

import pytest

from integration.covered import FOLDER_VARIABLE, Measured
from integration.plant import PLANTS, PlantError, apply, copied, planted
from integration.subject.ahead import Ahead, Work

RUNS = "integration/subject/test_runs.py"
ENDPOINTS = "integration/subject/test_atom_agent_endpoints.py"
NAMED_BY: Mapping[str, str] = MappingProxyType(
    {
        "skipped_seq": f"{RUNS}::test_inv_R1_R2_frames_are_numbered_without_a_gap",
        "duplicated_delta": f"{RUNS}::test_no_delta_is_sent_twice",
        "terminal_before_commit": f"{RUNS}::test_terminal_frame_comes_after_the_commit",
        "governance_reversed": f"{ENDPOINTS}::test_governance_check_for_student_agent",
        "reply_differs": f"{RUNS}::test_inv_R3_deltas_are_the_answer_and_the_stored_text",
        "timeout_doubled": f"{RUNS}::test_first_token_timeout",
    }
)
"""Plant -> the test that must fail. One server starts for each."""

SEEN_BY_RUNS = ("skipped_seq", "duplicated_delta", "reply_differs", "timeout_doubled")
"""A whole run names these too, in integration/runs/test_planted.py."""

CHILD_TIMEOUT_S = 90.0
PYTEST = (
    "pytest",
    "-q",
    "--color=no",
    "-p",
    "no:cacheprovider",
    "-p",
    "no:faker",
    "-p",
    "no:hypothesispytest",
)
"""Leaves nothing behind; the plugins it goes without take as long to import as all the rest."""


def outcome(folder: Path, *tests: str) -> tuple[int, str]:
    """Exit code and last line of a pytest of its own in `folder`, as `1 failed`."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        # What a planted service did must not count as covered here.
        if name != FOLDER_VARIABLE and not name.startswith(("COV", "PYTEST"))
    }
    done = subprocess.run(
        [sys.executable, "-m", *PYTEST, *tests],
        cwd=folder,
        env=inherited,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=CHILD_TIMEOUT_S,
        check=False,
    )
    told = done.stdout.strip().splitlines() or done.stderr.strip().splitlines() or ["(nothing)"]
    return done.returncode, told[-1].partition(" in ")[0]


def outcome_with(plant: str, _: Measured) -> tuple[int, str]:
    """The same in a copy with that defect, of the test that names it."""
    with tempfile.TemporaryDirectory(prefix="plant-") as folder:
        return outcome(planted(plant, Path(folder)), NAMED_BY[plant])


OUTCOMES = {plant: Work(partial(outcome_with, plant)) for plant in NAMED_BY if plant not in SEEN_BY_RUNS}
AHEAD = tuple(OUTCOMES.values())


@pytest.mark.parametrize("plant", OUTCOMES)
def test_a_planted_defect_fails_the_test_that_names_it(plant: str, ahead: Ahead) -> None:
    """The test runs, and fails: it neither passes nor stumbles before it looks."""
    assert ahead.result(OUTCOMES[plant]) == (1, "1 failed")


@pytest.mark.holds
@pytest.mark.parametrize("plant", SEEN_BY_RUNS)
def test_what_runs_name_the_suite_names_too(plant: str, tmp_path: Path) -> None:
    """The same for the defects that a whole run has shown already."""
    assert outcome(planted(plant, tmp_path), NAMED_BY[plant]) == (1, "1 failed")


@pytest.mark.holds
def test_without_a_defect_the_same_tests_pass(tmp_path: Path) -> None:
    """In the same kind of copy: no copy fails by being one."""
    assert outcome(copied(tmp_path / "copy"), *NAMED_BY.values()) == (0, f"{len(NAMED_BY)} passed")


def test_every_patch_is_planted_by_a_test() -> None:
    """A patch that nobody plants would rot."""
    tests = "".join(file.read_text() for file in PLANTS.parent.rglob("test_*.py"))
    unused = [patch.stem for patch in PLANTS.glob("*.patch") if f'"{patch.stem}"' not in tests]

    assert unused == []


def test_a_patch_that_does_not_apply_is_one_clear_error(tmp_path: Path) -> None:
    """It names the patch and the file that has changed, and where help is."""
    (tmp_path / "name.py").write_text("changed\n")
    patch = tmp_path / "stale.patch"
    patch.write_text("--- a/name.py\n+++ b/name.py\n@@ -1 +1 @@\n-gone\n+new\n")

    with pytest.raises(PlantError) as caught:
        apply(patch, tmp_path)

    assert str(caught.value) == (
        f"{patch} does not apply: error: patch failed: name.py:1;"
        " the docstring of integration/plant.py says what to do"
    )


def test_an_unknown_plant_names_those_there_are(tmp_path: Path) -> None:
    """One line, and nothing is copied."""
    with pytest.raises(PlantError) as caught:
        planted("nonsense", tmp_path)

    known = ", ".join(sorted(patch.stem for patch in PLANTS.glob("*.patch")))
    assert str(caught.value) == f"{PLANTS / 'nonsense.patch'}: no such plant; there are {known}"
    assert list(tmp_path.iterdir()) == []
