"""One mutant against the tests of the subject, in a tree of its own.

tests that reached the site  ->  one fails, and again alone: killed
                             ->  all of integration/subject  ->  one fails, and again: killed, else survived
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from integration.covered import FOLDER_VARIABLE
from integration.mutate.operators import Mutation
from integration.plant import copied

SUITE = "integration/subject"
NO_JUDGES = ("test_plants.py", "test_docs_errors.py", "test_docs_origin.py")
"""They read the source, or change it themselves: what they say of a mutant says nothing of its behaviour."""

TEST_TIMEOUT_S = 60
TRIAL_TIMEOUT_S = 420.0
"""Three times what the suite takes on two cores."""
STOPPING_S = 30.0
MOST_ALONE = 6
NOTHING_LEFT = 5
"""Pytest's exit code when every test was deselected."""

HUNG, NOT_IMPORTED, LEFT_BEHIND = "(no test)", "(collection)", "(end of the tests)"
ENDED = (HUNG, NOT_IMPORTED)
"""Nothing is left to be asked again."""

LEFT_OUT = (FOLDER_VARIABLE, "PYTHONDONTWRITEBYTECODE")
"""Where compiled files are not kept, each start of each mutant would compile everything."""

PYTEST = (
    "-q",
    "-x",
    "--color=no",
    "-p",
    "no:cacheprovider",
    "-rfE",
    "--tb=line",
    "-o",
    f"timeout={TEST_TIMEOUT_S}",
)
FAILED = re.compile(
    r"^(?P<how>FAILED|ERROR) (?P<test>\S+\.py\S*(?:\[.*?\])?)(?: - (?P<why>.*))?$", re.MULTILINE
)


class TrialError(Exception):
    """Pytest could not be asked at all; nothing is known of the mutant."""


@dataclass(frozen=True, slots=True)
class Trial:
    """killed_by: the test; None: the mutant survived. how: what that test said. stage: `reaching`, `all`."""

    killed_by: str | None
    how: str
    stage: str
    seconds: float


class Trees:
    """Copies of one copy of this tree: its compiled files are made once, and what others edit meanwhile does
    not count."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.clean = copied(folder / "clean")
        for name in NO_JUDGES:
            (self.clean / SUITE / name).unlink()

    def mutant(self, mutation: Mutation) -> Path:
        """A tree with that change; it replaces the former."""
        tree = self._folder / "mutant"
        shutil.rmtree(tree, ignore_errors=True)
        shutil.copytree(self.clean, tree, symlinks=True)
        (tree / mutation.site.file).write_text(mutation.source, encoding="utf-8")
        return tree


def tests_in(tree: Path) -> list[str]:
    """The node ids of the suite. Raises TrialError."""
    code, out = _pytest(tree, (SUITE, "--collect-only"))
    if code != 0:
        raise TrialError(f"{SUITE} cannot be collected:\n{out}")
    return [line for line in out.splitlines() if line.startswith(SUITE) and "::" in line]


def tried(tree: Path, reaching: Sequence[str]) -> Trial:
    """Raises TrialError."""
    began = time.monotonic()

    def trial(killed_by: str | None, how: str, stage: str) -> Trial:
        return Trial(killed_by, how, stage, time.monotonic() - began)

    def twice(arguments: tuple[str, ...]) -> tuple[str, str] | None:
        """A test that fails, and again by itself, and what it said. One failure may be chance: it goes on
        without that test, but not for ever."""
        alone: list[str] = []
        while len(alone) <= MOST_ALONE:
            code, out = _pytest(tree, (*arguments, *(f"--deselect={test}" for test in alone)))
            if code in (0, NOTHING_LEFT):
                return None
            killer, how = _killer(code, out)
            again = arguments if killer == LEFT_BEHIND else (killer,)
            if killer in ENDED or _pytest(tree, again)[0] != 0:
                return killer, how
            alone.append(killer)
        return None

    if reaching:
        found = twice(tuple(reaching))
        if found is not None:
            return trial(*found, "reaching")
    found = twice((SUITE,))
    return trial(None, "", "all") if found is None else trial(*found, "all")


def failing(tree: Path, tests: Sequence[str]) -> set[str]:
    """Those of the tests that fail without any change."""
    code, out = _pytest(tree, (*tests, "--maxfail=1000"))
    return set() if code == 0 else {found["test"] for found in FAILED.finditer(out)} or set(tests)


def _killer(code: int | None, out: str) -> tuple[str, str]:
    found = FAILED.search(out)
    if found is not None:
        how = found["why"] or ("set-up failed" if found["how"] == "ERROR" else "failed")
        return found["test"], f"hang: {how}" if "Timeout" in how and ">" in how else how
    if code is None:
        return HUNG, f"hang: longer than {TRIAL_TIMEOUT_S:.0f} s"
    if code == 4 and "ImportError while loading conftest" in out:
        return NOT_IMPORTED, "the package cannot be imported"
    if code == 1 and "ResourceWarning" in out:
        return LEFT_BEHIND, "something was never closed"
    raise TrialError(f"pytest ended with {code}:\n{out[-2000:]}")


def _pytest(tree: Path, arguments: Sequence[str]) -> tuple[int | None, str]:
    """Exit code (None: it did not end in time) and what was printed."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in LEFT_OUT and not name.startswith(("COV", "PYTEST"))
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", *PYTEST, *arguments],
        cwd=tree,
        env=inherited,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        out, _ = process.communicate(timeout=TRIAL_TIMEOUT_S)
        return process.returncode, out
    except subprocess.TimeoutExpired:
        # First as a user would: pytest then ends what it has started.
        process.send_signal(signal.SIGINT)
        try:
            out, _ = process.communicate(timeout=STOPPING_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, _ = process.communicate()
        return None, out
