"""One comparison, as a user runs it: a clone in a folder of its own, `locust --headless --base HEAD`."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from integration.evidence.cases import Case
from integration.evidence.code import code_hash
from integration.evidence.lines import Line, packed, told_again
from integration.plant import ROOT, apply
from load.errors import ExitCode
from load.report.blocks import read_blocks
from load.verdict.comparison import BlockLine, Comparison, decide_again

TIMEOUT_S: Final = 600.0
"""More than twice what a run with its confirmation may take."""
STOP_S: Final = 30.0
MOST_FINDINGS: Final = 5
BUSY: Final = 2


class TrialError(Exception):
    """Nothing was compared; the message has the last lines that were said."""


def compared(case: Case, number: int) -> Line:
    """Really run. Raises TrialError where it was refused before it began; after KeyboardInterrupt nothing of
    it goes on."""
    with tempfile.TemporaryDirectory(prefix="evidence-", ignore_cleanup_errors=True) as folder:
        tree = Path(folder) / "tree"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(tree)], check=True)
        sha = _git(tree, "rev-parse", "HEAD")
        code = code_hash(tree)
        if case.patch is not None:
            apply(case.patch, tree)
        seed = seed_of(case, number)
        utc = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        began = time.monotonic()
        with _busy(seed) if case.busy else contextlib.nullcontext():
            exit_code = _run(case, seed, tree, Path(folder))
        job_s = time.monotonic() - began
        if exit_code in (ExitCode.USAGE, ExitCode.INTERRUPTED):
            raise TrialError(_last_lines(Path(folder)))
        document, found = _left(Path(folder) / "reports")
    first, answer = told_again(found)
    return Line(
        case=case.name,
        number=number,
        seed=seed,
        utc=utc,
        sha=sha,
        code=code,
        first=first,
        answer=answer,
        exit_code=exit_code,
        exit_warn=ExitCode.PASS if exit_code == ExitCode.INCONCLUSIVE else exit_code,
        findings=tuple(
            (one["kind"], one["scenario"], one["reason"][:200])
            for one in document.get("findings", [])[:MOST_FINDINGS]
        ),
        load_s=round(sum(one.load_s for one in found.values()), 3),
        job_s=round(job_s, 2),
        runs=packed(found),
    )


def seed_of(case: Case, number: int) -> int:
    """The same comparison again has the same words."""
    text = f"{case.series}/{case.name}/{number}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest()) >> 1


def command(case: Case, seed: int, reports: Path) -> list[str]:
    """What is run."""
    options = ["--headless", "--base", "HEAD", "--seed", str(seed), "--reports", str(reports)]
    options += [] if case.model is None else ["--model", case.model]
    return [sys.executable, "-m", "locust", "-f", "locustfile.py", *options]


def _run(case: Case, seed: int, tree: Path, folder: Path) -> int:
    """The exit code; negative where it had to be killed."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CI", "COV", "PYTEST", "GIT_"))
    }
    scratch = folder / "tmp"
    scratch.mkdir()
    with (folder / "out").open("wb") as out:
        process = subprocess.Popen(
            command(case, seed, folder / "reports"),
            cwd=tree,
            env=inherited | {"NO_COLOR": "1", "TMPDIR": str(scratch)},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            return process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return _ended(process)
        except KeyboardInterrupt:
            _ended(process)
            raise


def _ended(process: subprocess.Popen[bytes]) -> int:
    """Asked to end, so that it takes its own processes along; killed where it does not. Negative."""
    process.send_signal(signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return -signal.SIGKILL


@contextlib.contextmanager
def _busy(seed: int) -> Iterator[None]:
    command = [sys.executable, "-m", "integration.evidence.busy", str(seed)]
    loops = [subprocess.Popen(command, cwd=ROOT, start_new_session=True) for _ in range(BUSY)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def _left(reports: Path) -> tuple[Mapping[str, Any], Mapping[str, Comparison]]:
    """`run.json` and the comparisons of the only run; empty where it left none."""
    folders = [path for path in reports.glob("*") if path.is_dir() and not path.is_symlink()]
    if not folders:
        return {}, {}
    (folder,) = folders
    run, blocks = folder / "run.json", folder / "blocks.jsonl"
    document: Mapping[str, Any] = json.loads(run.read_text()) if run.exists() else {}
    found = decide_again(map(BlockLine.from_json, read_blocks(folder))) if blocks.exists() else {}
    return document, found


def _last_lines(folder: Path) -> str:
    return "\n".join((folder / "out").read_text(errors="replace").splitlines()[-8:])


def _git(tree: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=tree, capture_output=True, text=True, check=True)
    return done.stdout.strip()
