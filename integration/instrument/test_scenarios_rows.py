"""The rows that the load profile declares are those that docs/errors.md promises of it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
ERRORS = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
NOT_BUILT = frozenset(("providers & keys", "workflows"))
SHORTEST_WINDOW_S = 7.0
"""Of the default profile: (30 s - spawning) / 4."""

DECLARED = """
import dataclasses, json
from load.scenarios.ending import Ending
from load.scenarios.failures import ROWS
from load.scenarios.profile import AGENTS
rows = {name: [row.id, row.agents, row.lasts_s, row.times] for name, row in ROWS.items()}
print(json.dumps({"rows": rows, "end": Ending.ROWS, "agents": list(AGENTS)}))
"""


@pytest.fixture(scope="module")
def declared() -> Any:
    """From a process of its own: importing scenarios patches the whole process for gevent."""
    said = subprocess.run([sys.executable, "-c", DECLARED], cwd=ROOT, capture_output=True, check=True)
    return json.loads(said.stdout)


def promised(load: str) -> set[str]:
    """Ids of rows with that word in the column Load, whose stage is built."""
    lines = re.findall(r"^\| ([A-Z]\d+) \| ([^|]+?) \|.*\| (\S+) \|$", ERRORS, re.MULTILINE)
    return {row_id for row_id, stage, word in lines if word == load and stage not in NOT_BUILT}


def test_every_row_marked_run_is_declared_and_no_other(declared: Any) -> None:
    assert {row[0] for row in declared["rows"].values()} == promised("run")


def test_a_row_needs_only_agents_that_the_profile_makes(declared: Any) -> None:
    known = set(declared["agents"])

    assert {name: row[1] for name, row in declared["rows"].items() if not known.issuperset(row[1])} == {}


def test_every_row_ends_within_a_rough_window(declared: Any) -> None:
    """One that lasts longer would never be started."""
    assert {name: row[2] for name, row in declared["rows"].items() if row[2] >= SHORTEST_WINDOW_S} == {}
