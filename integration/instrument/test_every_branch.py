"""What talks and measures has no branch that its own tests do not take."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

FOLDER: Final = Path(__file__).parent
ROOT: Final = FOLDER.parents[1]
WITHIN_S: Final = 240.0


@pytest.mark.holds
@pytest.mark.timeout(2 * WITHIN_S)
def test_every_branch_of_drivers_and_metrics_is_taken(tmp_path: Path) -> None:
    """By the files that are named after them alone; what cannot be reached is deleted.

    Not a part of the tests of every day: under the tracer their times would be other ones.
    """
    files = [*FOLDER.glob("test_drivers_*.py"), *FOLDER.glob("test_metrics_*.py")]
    data = f"--data-file={tmp_path / 'coverage'}"
    run = [sys.executable, "-m", "coverage", "run", "--rcfile=", data, "--branch"]
    run += ["--source=load.drivers,load.metrics", "-m", "pytest", "-q", *map(str, sorted(files))]
    tests = run_to_its_end(run)
    report = run_to_its_end(
        [sys.executable, "-m", "coverage", "report", "--rcfile=", data, "--show-missing", "--skip-covered"]
    )

    assert tests.returncode == 0, tests.stdout
    assert report.stdout.splitlines()[-3].endswith(" 100%"), report.stdout


def run_to_its_end(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Without the coverage of this process."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("COV", "PYTEST"))
    }
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=WITHIN_S, check=False
    )
