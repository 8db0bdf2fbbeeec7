"""One mutant against a load run: does its verdict, or its map of error paths, say that something is wrong?

What a run of the unchanged tree says, and a path that not all of those reached, is no sign.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from load.errors import ExitCode

RUN_S = 30
TIMEOUT_S = 240.0
UNCHANGED_RUNS = 3
NAMING = (ExitCode.BEHAVIOUR, ExitCode.OBJECTIVE, ExitCode.INVALID, ExitCode.TARGET_DOWN)
HUNG = -1
NO_SIGN = "INVALID: generator_late"
"""That says something about this machine, not about the mutant."""


class LoadError(Exception):
    """The unchanged tree does not pass, so no mutant can be told from it."""


@dataclass(frozen=True, slots=True)
class Told:
    """What one run said. code: negative for one that did not end by itself. reached: sites that its load
    reached; sites: all there are."""

    code: int
    reasons: tuple[str, ...]
    reached: frozenset[str]
    sites: frozenset[str]


class Unchanged:
    """Runs of the tree without a change. met: sites that one of them reached. alarms: how many of these runs
    would be named beside the others.

    Raises LoadError when one says that something is wrong."""

    def __init__(self, tree: Path) -> None:
        self._told = tuple(run(tree) for _ in range(UNCHANGED_RUNS))
        for told in self._told:
            if told.code not in (ExitCode.PASS, ExitCode.INVALID):
                raise LoadError(f"the unchanged tree ends with {told.code}: {'; '.join(told.reasons)}")
        self.met = frozenset[str]().union(*(told.reached for told in self._told))
        self.alarms = sum(
            bool(sign(told, [other for other in self._told if other is not told])) for told in self._told
        )

    def name(self, tree: Path) -> str:
        """The first sign in a run of that tree; empty when there is none."""
        return sign(run(tree), self._told)


def sign(told: Told, unchanged: Sequence[Told]) -> str:
    """What a run says that none of the unchanged ones says; empty for nothing.

    A finding, the end of the target or a hang; else a path that all of those reached, and it did not."""
    known = {_kind(reason) for one in unchanged for reason in one.reasons}
    if told.code in NAMING or told.code < 0:
        for reason in told.reasons or (f"exit code {told.code}",):
            if _kind(reason) not in known and not reason.startswith(NO_SIGN):
                return reason
    always = frozenset.intersection(*(one.reached for one in unchanged))
    lost = sorted((always & told.sites) - told.reached)
    return f"{len(lost)} paths lost: {lost[0]}" if lost else ""


def run(tree: Path) -> Told:
    """A headless run of the default profile in that tree."""
    reports = tree / "reports"
    before = set(_folders(reports))
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "locust",
            "-f",
            "locustfile.py",
            "--headless",
            "-t",
            f"{RUN_S}s",
            "--seed",
            "1",
        ],
        cwd=tree,
        env={name: value for name, value in os.environ.items() if not name.startswith(("COV", "PYTEST"))},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        code = process.wait(TIMEOUT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return Told(HUNG, (f"hang: longer than {TIMEOUT_S:.0f} s",), frozenset(), frozenset())
    new = [folder for folder in _folders(reports) if folder not in before]
    if not new:
        return Told(code, (f"no report, exit code {code}",), frozenset(), frozenset())
    document: Any = json.loads((new[0] / "run.json").read_text())
    reached, sites = _paths(new[0] / "errorpaths.json")
    return Told(code, tuple(document["verdict"]["reasons"]), reached, sites)


def _paths(file: Path) -> tuple[frozenset[str], frozenset[str]]:
    if not file.exists():
        return frozenset(), frozenset()
    sites: Any = json.loads(file.read_text())["sites"]
    reached = (site["id"] for site in sites if any(hit["phase"] == "load" for hit in site["hits"]))
    return frozenset(reached), frozenset(site["id"] for site in sites)


def _folders(reports: Path) -> list[Path]:
    return [file.parent for file in reports.glob("*/run.json") if not file.parent.is_symlink()]


def _kind(reason: str) -> str:
    """Without its numbers."""
    return "".join(letter for letter in reason if not letter.isdigit())
