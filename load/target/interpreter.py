"""The Python that runs the base: the same as for the head, unless their locks of packages differ."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from load.errors import InvalidRun

LOCK: Final = "requirements.lock"
INSTALL_TIMEOUT_S: Final = 900.0
_LIST: Final = (
    "import importlib.metadata as m, json;"
    "print(json.dumps({d.metadata['Name'].lower(): d.version for d in m.distributions()}))"
)


@dataclass(frozen=True, slots=True)
class Packages:
    """python: of the base. changed: package -> (version in base, in head), None where it is not there."""

    python: Path
    changed: Mapping[str, tuple[str | None, str | None]]


def for_base(base: Path, head: Path, inside: Path, python: Path) -> Packages:
    """base, head: the trees. inside: where the app lies in each. python: the head's.

    An environment of its own is made once for each lock and kept. Raises InvalidRun when that fails.
    """
    wanted, own = _lock_of(base, inside), _lock_of(head, inside)
    if wanted is None or (own is not None and wanted.read_bytes() == own.read_bytes()):
        return Packages(python, {})
    made = _environment(wanted, python)
    there, here = _versions(made), _versions(python)
    changed = {
        name: (there.get(name), here.get(name))
        for name in sorted(there.keys() | here.keys())
        if there.get(name) != here.get(name)
    }
    return Packages(made, changed)


def _lock_of(tree: Path, inside: Path) -> Path | None:
    """Beside the app, else in the top folder."""
    for folder in (tree / inside, tree):
        if (folder / LOCK).is_file():
            return folder / LOCK
    return None


def _environment(lock: Path, python: Path) -> Path:
    version = _answer(python, "import sys; print(sys.version)")
    key = hashlib.sha256(lock.read_bytes() + version.encode()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "streamgauge"
    folder = cache / f"python-{key}"
    made, complete = folder / "bin" / "python", folder / "complete"
    if complete.is_file():
        return made
    shutil.rmtree(folder, ignore_errors=True)
    # A lock with hashes is whole: pip before 23.3 fails at what an extra asks for.
    hashed = ["--require-hashes", "--no-deps"] if "--hash=" in lock.read_text() else []
    try:
        _must([str(python), "-m", "venv", str(folder)])
        _must(
            [
                str(made),
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                *hashed,
                "-r",
                str(lock),
            ]
        )
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    complete.touch()
    return made


def _must(argv: list[str]) -> None:
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=INSTALL_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InvalidRun(f"base_unusable: the environment of its {LOCK} was not made: {error}") from error
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["no word"]
        raise InvalidRun(f"base_unusable: the environment of its {LOCK} was not made: {said[-1]}")


def _versions(python: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads(_answer(python, _LIST))
    return found


def _answer(python: Path, program: str) -> str:
    done = subprocess.run(
        [str(python), "-c", program], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise InvalidRun(
            f"{python} cannot be run: {(done.stderr.strip().splitlines() or [sys.platform])[-1]}"
        )
    return done.stdout
