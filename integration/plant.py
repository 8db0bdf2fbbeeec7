"""Plants a defect: a copy of this tree with one patch of `integration/plants/` applied.

    folder = planted("skipped_seq", tmp_path)       # locust … --app-dir folder; or pytest in it

A patch holds one defect and one line of context, so that changes around it leave it valid. Once it does not
apply any more: make its change by hand in a clean checkout, then

    git diff -U1 backend > integration/plants/NAME.patch && git checkout backend
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLANTS = ROOT / "integration" / "plants"

LEFT_OUT = shutil.ignore_patterns(
    ".git", "reports", "__pycache__", ".coverage*", ".*_cache", ".hypothesis", "*.db*"
)
"""What .gitignore names, and the history; environments are known by what they hold."""


class PlantError(Exception):
    """There is no such patch, or it does not apply; one line says which and why."""


def planted(name: str, into: Path) -> Path:
    """A new folder below `into` with this tree and the defect of that name.

    Raises PlantError when the patch does not apply exactly.
    """
    patch = PLANTS / f"{name}.patch"
    if not patch.is_file():
        known = ", ".join(sorted(path.stem for path in PLANTS.glob("*.patch")))
        raise PlantError(f"{patch}: no such plant; there are {known}")
    folder = copied(into / name)
    apply(patch, folder)
    return folder


def copied(folder: Path) -> Path:
    """This tree, tracked files and others, in the new folder `folder`: what a download without git gives."""
    shutil.copytree(ROOT, folder, symlinks=True, ignore=_left_out)
    return folder


def apply(patch: Path, folder: Path) -> None:
    """Changes the files of `folder` as the patch says. Raises PlantError when it does not fit exactly."""
    # Inside a repository git would take the paths from its root, and apply nothing without a word.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment["GIT_CEILING_DIRECTORIES"] = str(folder.parent)
    try:
        done = subprocess.run(
            ["git", "apply", str(patch)],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise PlantError(f"{patch}: needs git to be applied") from error
    if done.returncode != 0:
        why = done.stderr.strip().splitlines()[0] if done.stderr.strip() else f"exit code {done.returncode}"
        raise PlantError(
            f"{patch} does not apply: {why}; the docstring of integration/plant.py says what to do"
        )


def _left_out(parent: str, names: list[str]) -> Iterable[str]:
    environments = {name for name in names if Path(parent, name, "pyvenv.cfg").exists()}
    return environments | set(LEFT_OUT(parent, names))
