"""Where a run comes from: the commit that was measured, the command, and the machine it ran on."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

GIT_TIMEOUT_S: Final = 5


@dataclass(frozen=True, slots=True)
class Provenance:
    """sha: None without git. dirty: something in the tree is not committed. command: repeats the run. python:
    the generator's. job: address of the CI job; None outside of one."""

    sha: str | None
    dirty: bool
    command: str
    python: str
    platform: str
    kernel: str
    cpus: int | None
    job: str | None

    @property
    def short_sha(self) -> str:
        """For names: seven digits, or `nogit`."""
        return self.sha[:7] if self.sha else "nogit"


def gather(tree: Path, command: str) -> Provenance:
    """The provenance of a run that measures what lies in `tree`."""
    sha = _git(tree, "rev-parse", "HEAD")
    return Provenance(
        sha=sha,
        dirty=sha is not None and _git(tree, "status", "--porcelain", "--", ".") != "",
        command=command,
        python=platform.python_version(),
        platform=f"{sys.platform} {platform.machine()}",
        kernel=platform.release(),
        cpus=os.cpu_count(),
        job=_ci_job(),
    )


def _git(tree: Path, *command: str) -> str | None:
    """None where there is no git, no repository, or no answer in time."""
    argv = ["git", "-C", str(tree), *command]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=GIT_TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _ci_job() -> str | None:
    """Where GitHub's or GitLab's variables are set."""
    env = os.environ
    if "GITHUB_RUN_ID" in env:
        server, repository = env.get("GITHUB_SERVER_URL", ""), env.get("GITHUB_REPOSITORY", "")
        return f"{server}/{repository}/actions/runs/{env['GITHUB_RUN_ID']}"
    return env.get("CI_JOB_URL")
