"""Starts `locust -f locustfile.py` as a user does, and reads what it left."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 100.0


@dataclass(frozen=True, slots=True)
class Ended:
    """One run that is over. out: what it printed to both streams; report: the lines on standard output.
    reports: where it was told to leave its folder."""

    code: int
    out: str
    report: tuple[str, ...]
    reports: Path

    @property
    def folder(self) -> Path:
        """The only run folder. Raises ValueError where there are none or several."""
        (folder,) = [path for path in self.reports.iterdir() if path.is_dir() and not path.is_symlink()]
        return folder

    @property
    def run(self) -> Any:
        """`run.json`."""
        return json.loads((self.folder / "run.json").read_text())

    @property
    def reasons(self) -> list[str]:
        """Why it did not pass."""
        return reasons(self.run)

    def streams(self) -> list[dict[str, Any]]:
        """The rows of `streams.jsonl.gz`."""
        with gzip.open(self.folder / "streams.jsonl.gz", "rt") as lines:
            return [json.loads(line) for line in lines]

    @property
    def lines(self) -> list[str]:
        """What it printed, without blank lines."""
        return [line for line in self.out.splitlines() if line.strip()]


def reasons(document: Any) -> list[str]:
    """Why a run did not pass, from its `run.json`. That the generator was late is left out: where others use
    the machine it is true, and nothing that most tests are about; it has tests of its own."""
    found: list[str] = document["verdict"]["reasons"]
    return [reason for reason in found if not reason.startswith("INVALID: generator_late")]


def command(*args: str, reports: Path) -> list[str]:
    """The command line of one run."""
    return [sys.executable, "-m", "locust", "-f", "locustfile.py", "--reports", str(reports), *args]


def environment(extra: Mapping[str, str] = {}) -> dict[str, str]:  # read only
    """Without colours, and without the coverage of the pytest process."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("CI", "COV", "PYTEST"))
    }
    return inherited | {"NO_COLOR": "1", "COLUMNS": "200"} | dict(extra)


def headless(*args: str, reports: Path, env: Mapping[str, str] = {}, cwd: Path = ROOT) -> Ended:
    """One headless run to its end; killed after TIMEOUT_S."""
    with running("--headless", *args, reports=reports, env=env, cwd=cwd) as process:
        return over(process, reports)


def over(process: subprocess.Popen[str], reports: Path) -> Ended:
    """What a started run left, once it is over. Raises TimeoutExpired after TIMEOUT_S."""
    out, err = process.communicate(timeout=TIMEOUT_S)
    return Ended(process.returncode, err + out, tuple(filter(None, out.splitlines())), reports)


@contextmanager
def running(
    *args: str,
    reports: Path,
    env: Mapping[str, str] = {},
    cwd: Path = ROOT,
    prefix: Sequence[str] = (),
) -> Iterator[subprocess.Popen[str]]:
    """A started `locust`, in a process group of its own that is gone afterwards. prefix: put before it."""
    with subprocess.Popen(
        [*prefix, *command(*args, reports=reports)],
        cwd=cwd,
        env=environment(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
