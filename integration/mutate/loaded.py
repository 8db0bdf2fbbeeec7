"""One mutant against a load run: does its verdict, or its map of error paths, say that something is wrong?

What a run of the unchanged tree says, and which paths two of those did not both reach, is no sign.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from load.errors import ExitCode

RUN_S = 30
TIMEOUT_S = 240.0
NAMING = (ExitCode.BEHAVIOUR, ExitCode.OBJECTIVE, ExitCode.INVALID, ExitCode.TARGET_DOWN)
NO_SIGN = "INVALID: generator_late"
"""That says something about this machine, not about the mutant."""


class LoadError(Exception):
    """The unchanged tree does not pass, so no mutant can be told from it."""


@dataclass(frozen=True, slots=True)
class Told:
    """What one run said. reached: sites that its load reached; sites: all there are."""

    code: int
    reasons: tuple[str, ...]
    reached: frozenset[str]
    sites: frozenset[str]


class Unchanged:
    """Two runs of the tree without a change. met: sites that one of them reached; `reached`: that both did.

    Raises LoadError when they say that something is wrong."""

    def __init__(self, tree: Path) -> None:
        first, second = run(tree), run(tree)
        for told in (first, second):
            if told.code not in (ExitCode.PASS, ExitCode.INVALID):
                raise LoadError(f"the unchanged tree ends with {told.code}: {'; '.join(told.reasons)}")
        self.reached = first.reached & second.reached
        self.met = first.reached | second.reached
        self.reasons = {_kind(reason) for told in (first, second) for reason in told.reasons}

    def name(self, tree: Path) -> str:
        """The first sign in a run of that tree; empty when there is none."""
        told = run(tree)
        if told.code in NAMING:
            for reason in told.reasons:
                if _kind(reason) not in self.reasons and not reason.startswith(NO_SIGN):
                    return reason
        if told.code == ExitCode.TARGET_DOWN or (told.code < 0 and not told.reasons):
            return f"exit code {told.code}"
        lost = sorted((self.reached & told.sites) - told.reached)
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
        return Told(-1, (f"hang: longer than {TIMEOUT_S:.0f} s",), frozenset(), frozenset())
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
