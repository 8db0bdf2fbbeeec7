"""Several processes measure as one: all that is reported is the sum of theirs, or the run says INVALID."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import reduce
from itertools import pairwise
from operator import add
from pathlib import Path
from typing import Final

import pytest

from integration.runs.locust import ROOT, Ended, command, environment, headless, over, running
from integration.timing import eventually
from load.metrics.run import Run

pytestmark = pytest.mark.holds

QUICK: Final = ("--failures", "none", "--coverage", "off", "--seed", "3", "--think-s", "0.3")
START_S: Final = 60.0
OF_THE_JOURNAL: Final = ("relay", "backend_ttft", "connect", "admission", "provider", "backend")
"""Figures that the master adds when all is over."""


def merged(run: Ended) -> Run:
    """What the report says, without what only the master can know."""
    found = Run.from_json(run.run)
    for tally in found.tallies.values():
        for name in OF_THE_JOURNAL:
            setattr(tally, name, type(tally.ttft)())
    return found


def dumps(run: Ended) -> list[Run]:
    """What each worker counted for itself."""
    return [Run.from_json(json.loads(file.read_text())) for file in sorted(run.folder.glob("worker-*.json"))]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def worker(port: int, reports: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker of its own, as on another machine: it knows the master and nothing else."""
    with subprocess.Popen(
        command("--worker", "--master-port", str(port), reports=reports),
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def test_processes_add_up(tmp_path: Path) -> None:
    """Counts, histograms and the generator's own health, to the last sample; so do the rows."""
    run = headless("--processes", "2", *QUICK, "-u", "6", "-r", "6", "-t", "7s", reports=tmp_path)
    parts = dumps(run)

    assert run.reasons == []
    assert merged(run) == reduce(add, parts)
    assert [part.health.processes for part in parts] == [1, 1]
    assert all(part.total().ended for part in parts)
    assert len(run.streams()) == run.run["streams"]["total"]
    assert sorted({row["user"] for row in run.streams()}) == list(range(6))


def test_a_master_and_two_workers_add_up(tmp_path: Path) -> None:
    """Failures, too: each worker walks its share of the rows, and the end phase is the master's."""
    port = free_port()
    arguments = (
        "--headless", "--master", "--master-bind-port", str(port), "--expect-workers", "2", *QUICK,
        "--failures", "all", "--scenario", "chat_ws,unknown_agent,no_credential", "-u", "6", "-r", "6",
        "-t", "9s",
    )  # fmt: skip
    with ExitStack() as stack:
        master = stack.enter_context(running(*arguments, reports=tmp_path))
        workers = [stack.enter_context(worker(port, tmp_path / "none")) for _ in range(2)]
        run = over(master, tmp_path)
        codes = [one.wait(30) for one in workers]

    assert run.reasons == []
    assert merged(run) == reduce(add, dumps(run))
    assert (codes, len(dumps(run))) == ([0, 0], 2)
    assert {"unknown_agent", "no_credential"} <= set(run.run["scenarios"])


@contextmanager
def reporting(
    folder: Path, *arguments: str, slow_s: float = 0
) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Two workers, and the folder in which one can see what they have reported."""
    told = folder / "told"
    told.mkdir()
    asked = ("--headless", "-f", "integration/runs/locustfiles/reporting.py", "--processes", "2", *QUICK)
    env = {"REPORTING_FOLDER": str(told), "REPORTING_SLOW_S": str(slow_s)}
    with running(*asked, "-u", "6", "-r", "6", *arguments, reports=folder / "reports", env=env) as locust:
        yield locust, told


def test_a_killed_worker_is_named_and_what_it_sent_is_kept(tmp_path: Path) -> None:
    """Its first reports have come; the other one goes on to the end."""
    with reporting(tmp_path, "-t", "12s") as (locust, told):

        def reported() -> list[Path]:
            assert locust.poll() is None, over(locust, tmp_path / "reports").out
            twice = [file for file in told.iterdir() if file.read_text().count("\n") >= 2]
            return twice if len(twice) == 2 else []

        victim = eventually(reported, "two reports of each worker", START_S)[0]
        os.kill(int(victim.name), signal.SIGKILL)
        run = over(locust, tmp_path / "reports")

    (reason,) = run.reasons
    assert reason.startswith("INVALID: incomplete: worker ")
    assert "sent no last report: it was killed or cut off; what its" in reason
    assert run.code == 6
    (survivor,) = dumps(run)
    reported_streams = sum(int(streams) for streams in victim.read_text().split())
    assert merged(run).total().ended >= survivor.total().ended + reported_streams


def test_a_slow_last_report_is_waited_for(tmp_path: Path) -> None:
    """Locust itself waits for half a second; nothing is missing."""
    with reporting(tmp_path, "-t", "6s", slow_s=1.5) as (locust, _):
        run = over(locust, tmp_path / "reports")

    assert run.reasons == []
    assert merged(run) == reduce(add, dumps(run))
    assert len(run.streams()) == run.run["streams"]["total"]


def test_a_worker_that_never_comes_does_not_hold_the_run_up(tmp_path: Path) -> None:
    """After the time that it has, in one line; nothing is left running."""
    port = free_port()
    run = headless(
        "--master", "--master-bind-port", str(port), "--expect-workers", "1",
        "--expect-workers-max-wait", "3", *QUICK,
        reports=tmp_path,
    )  # fmt: skip

    assert run.lines[-1] == "INVALID: incomplete: 1 workers were expected, and 0 came within 3 s"
    assert run.code == 6


def test_two_runs_at_once_keep_their_workers(tmp_path: Path) -> None:
    """Nobody named a port."""
    arguments = (
        "--headless",
        "--processes",
        "2",
        *QUICK,
        "--scenario",
        "chat_ws",
        "-u",
        "2",
        "-r",
        "2",
        "-t",
        "6s",
    )
    with (
        running(*arguments, reports=tmp_path / "a") as first,
        running(*arguments, reports=tmp_path / "b") as second,
    ):
        runs = [over(first, tmp_path / "a"), over(second, tmp_path / "b")]

    assert [run.reasons for run in runs] == [[], []]
    assert [merged(run) == reduce(add, dumps(run)) for run in runs] == [True, True]


def test_open_load_is_shared_out(tmp_path: Path) -> None:
    """Each arrival once: together they are as evenly spaced as one process would send them."""
    run = headless(
        "--processes", "2", *QUICK, "--scenario", "chat_ws", "--rate", "20/s", "--max-in-flight", "20",
        "-t", "7s",
        reports=tmp_path,
    )  # fmt: skip

    starts = sorted(row["intended_us"] for row in run.streams())
    assert run.reasons == []
    assert [b - a for a, b in pairwise(starts)] == pytest.approx([50_000] * (len(starts) - 1), abs=2_000)
