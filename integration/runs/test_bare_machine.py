"""Runs where something is missing that Linux with a git checkout has."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from integration.plant import copied
from integration.runs.locust import ROOT, TIMEOUT_S, Ended, environment, over, running

pytestmark = pytest.mark.holds

SHORT = (
    "-u",
    "6",
    "-r",
    "6",
    "-t",
    "6s",
    "--seed",
    "2",
    "--mix",
    "chat_ws=2,chat_sse=1,chat_http=1,failures=2",
)


@dataclass(frozen=True, slots=True)
class WithoutProc:
    """prefix: put before a command, it sees an empty /proc, without pressure figures and all else. env: lets
    psutil, by which Locust watches itself and which elsewhere asks the system, find what it needs aside."""

    prefix: tuple[str, ...]
    env: Mapping[str, str]


def without_proc(folder: Path) -> WithoutProc:
    """Works in `folder`; there is nothing to hide but on Linux."""
    if sys.platform != "linux":
        return WithoutProc((), {})
    for name in ("empty", "aside", "site"):
        (folder / name).mkdir()
    (folder / "site" / "sitecustomize.py").write_text(
        f"import psutil\npsutil.PROCFS_PATH = {str(folder / 'aside')!r}\n"
    )
    alone = ("unshare", "--mount") if os.geteuid() == 0 else ("unshare", "--mount", "--map-root-user")
    hide = 'mount --rbind /proc "$0/aside" && mount --bind "$0/empty" /proc && exec "$@"'
    return WithoutProc((*alone, "sh", "-c", hide, str(folder)), {"PYTHONPATH": str(folder / "site")})


def test_without_proc_and_kernel_stamps_the_run_passes_with_lower_accuracy(tmp_path: Path) -> None:
    """As on macOS: every read has the user clock, which the report says beside its figures."""
    hidden = without_proc(tmp_path)
    prefix = (*hidden.prefix, sys.executable, "-m", "integration.runs.unstamped")
    reports = tmp_path / "reports"
    with running("--headless", *SHORT, reports=reports, env=hidden.env, prefix=prefix) as locust:
        run = over(locust, reports)

    assert run.reasons == [], run.out
    generator = run.run["generator"]
    assert generator["stamp_source"] == "user"
    assert generator["reads_unstamped"] == generator["reads"] > 100
    assert re.match(r"user clock: up to \+\d+\.\d ms late", generator["accuracy"])
    assert any(generator["accuracy"] in line for line in run.report)


def test_make_load_without_a_git_folder_passes(tmp_path: Path) -> None:
    """A download of the tree is enough: the folder says `nogit`, the report that there is no commit."""
    tree = copied(tmp_path / "tree")
    stamp = subprocess.check_output("cksum < requirements.lock | tr ' ' '-'", shell=True, cwd=tree, text=True)
    (tree / ".venv").mkdir()
    (tree / ".venv" / f".lock-{stamp.strip()}").touch()  # this environment, for make as if it were its own
    (tree / ".venv" / "bin").symlink_to(Path(sys.prefix, "bin"))
    done = subprocess.run(
        ["make", "load", f"ARGS={' '.join(SHORT)}"],
        cwd=tree,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    report = tuple(filter(None, done.stdout.splitlines()))
    run = Ended(done.returncode, done.stderr + done.stdout, report, tree / "reports")

    assert run.reasons == [], run.out
    assert re.fullmatch(r"\d{8}T\d{6}Z-nogit-[0-9a-f]{4}", run.folder.name)
    assert run.run["provenance"]["sha"] is None
    assert any(line.startswith("no git, ") for line in run.report)
    assert not (ROOT / "reports" / run.folder.name).exists()
