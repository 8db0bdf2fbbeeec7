"""The two trees of a comparison: the base's commit in a worktree, and a copy of the working tree.

The copy is taken once, since the processes of an arm start again and again while somebody may go on editing.
Both lie in a temporary folder whose lock we hold while we live, so that the trees of a run that was killed
are known by their lock and removed by the next.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from load.errors import InvalidRun, UsageError

PREFIX: Final = "streamgauge-trees-"
GIT_TIMEOUT_S: Final = 120.0
SETTLED_S: Final = 30.0
"""A younger folder may not be locked yet."""


@dataclass(frozen=True, slots=True)
class Base:
    """A commit to compare with.

    given: as the user wrote it. repository: its top folder. inside: where the app lies in it. ahead: commits
    that it has and HEAD has not: what they do is not the working tree's doing.
    """

    given: str
    sha: str
    repository: Path
    inside: Path
    ahead: int

    def __str__(self) -> str:
        return f"{self.given} ({self.sha[:7]})"


def resolve(ref: str, app_dir: Path) -> Base:
    """The commit that `ref` names in the repository that holds `app_dir`.

    Raises UsageError in one line where there is none.
    """
    top = _git(app_dir, "rev-parse", "--show-toplevel")
    if top is None:
        raise UsageError(f"--base {ref}: {app_dir.resolve()} lies in no git repository")
    repository = Path(top)
    sha = _git(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    if sha is None:
        shallow = _git(repository, "rev-parse", "--is-shallow-repository") == "true"
        hint = "; the clone is shallow: fetch the base first (git fetch --unshallow)" if shallow else ""
        raise UsageError(f"--base {ref}: no such commit in {repository}{hint}")
    ahead = _git(repository, "rev-list", "--count", f"HEAD..{sha}")
    inside = app_dir.resolve().relative_to(repository.resolve())
    return Base(ref, sha, repository, inside, int(ahead or 0))


class Trees:
    """The folder of both trees; empty until they are made.

    Whoever makes one calls `remove`, whatever happens.
    """

    def __init__(self) -> None:
        remove_stale()
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._lock = _locked(self.folder)
        self._repositories: list[Path] = []

    def base(self, base: Base) -> Path:
        """Where the app lies in a worktree of the base's commit. Raises InvalidRun when git makes none."""
        tree = self.folder / "base"
        self._repositories.append(base.repository)
        # Hooks and filters of a checkout are somebody's own programs.
        argv = [
            "-c",
            "core.hooksPath=/dev/null",
            "worktree",
            "add",
            "--quiet",
            "--detach",
            str(tree),
            base.sha,
        ]
        done = _run(base.repository, argv)
        if done.returncode != 0:
            raise InvalidRun(f"base_unusable: git worktree add {base}: {_last(done)}")
        app_dir = tree / base.inside
        if not app_dir.is_dir():
            raise InvalidRun(f"base_unusable: {base} has no folder {base.inside}")
        return app_dir

    def head(self, base: Base) -> Path:
        """Where the app lies in a copy of the working tree: all files but ignored ones.

        Raises InvalidRun where it cannot be copied.
        """
        tree = self.folder / "head"
        listed = _run(base.repository, ["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        if listed.returncode != 0:
            raise InvalidRun(f"the working tree cannot be listed: {_last(listed)}")
        for name in filter(None, listed.stdout.split("\0")):
            source, copy = base.repository / name, tree / name
            if source.is_symlink() or source.is_file():
                try:
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(source, copy, follow_symlinks=False)
                except OSError as error:
                    raise InvalidRun(f"the working tree cannot be copied: {error}") from error
        app_dir = tree / base.inside
        app_dir.mkdir(parents=True, exist_ok=True)
        return app_dir

    def remove(self) -> None:
        """Both trees, and what git knows of them; may be called again."""
        shutil.rmtree(self.folder, ignore_errors=True)
        while self._repositories:
            _run(self._repositories.pop(), ["worktree", "prune"])
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def remove_stale() -> None:
    """Removes the trees of runs that were killed; git forgets their worktrees at its next `prune`."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            if time.time() - folder.stat().st_mtime < SETTLED_S:
                continue
        except FileNotFoundError:  # its owner has just ended
            continue
        lock = _locked(folder)
        if lock is None:
            continue
        worktree = folder / "base" / ".git"
        repository = None
        if worktree.is_file():  # "gitdir: REPOSITORY/.git/worktrees/NAME"
            repository = Path(worktree.read_text().partition(":")[2].strip()).parent.parent
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)
        if repository is not None and repository.is_dir():
            _run(repository, ["worktree", "prune"])


def _locked(folder: Path) -> int | None:
    """An open file whose lock ends with this process; None where somebody else has it, or we may not look."""
    try:
        lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock


def _git(folder: Path, *command: str) -> str | None:
    """What git says in one line; None where it refuses."""
    done = _run(folder, list(command))
    return done.stdout.strip() if done.returncode == 0 else None


def _last(done: subprocess.CompletedProcess[str]) -> str:
    """What git said last of what went wrong."""
    return (done.stderr.strip().splitlines() or ["no word"])[-1]


def _run(folder: Path, argv: list[str]) -> subprocess.CompletedProcess[str]:
    # Inside a hook git names another repository by these.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        return subprocess.run(
            ["git", "-C", str(folder), *argv],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",  # names of files are bytes
            timeout=GIT_TIMEOUT_S,
            env=environment,
            check=False,
        )
    except FileNotFoundError as error:
        raise UsageError("--base needs git, and there is none on the PATH") from error
    except subprocess.TimeoutExpired as error:
        raise InvalidRun(f"git {argv[0]} took more than {GIT_TIMEOUT_S:g} s") from error
