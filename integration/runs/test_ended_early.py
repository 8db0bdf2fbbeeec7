"""Runs that end before their time: by a signal to Locust, or because the target was killed."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path
from subprocess import Popen

import psutil  # type: ignore[import-untyped]
import pytest

from integration.runs.locust import over, running
from integration.timing import eventually

pytestmark = pytest.mark.holds

START_S = 40.0
AT_ONCE_S = 0.03
FILES = {
    "run.json",
    "streams.jsonl.gz",
    "report.html",
    "summary.md",
    "junit.xml",
    "coverage.json",
    "errorpaths.json",
    "target.log",
}
LONG = ("--headless", "-u", "6", "-r", "6", "-t", "60s", "--seed", "5")


def target_of(locust: Popen[str], reports: Path) -> int:
    """The target's process id, once ten answers have ended."""

    def ended() -> bool:
        assert locust.poll() is None, over(locust, reports).out
        return any(log.read_text().count("run_ended") >= 10 for log in reports.glob("*/target.log"))

    eventually(ended, "ten ended runs in the target's log", START_S)
    pids: list[int] = [
        child.pid
        for child in psutil.Process(locust.pid).children()
        if any(part.endswith("load/target/inside.py") for part in child.cmdline())
    ]
    (target,) = pids
    return target


@pytest.mark.parametrize(
    "signals",
    [
        (signal.SIGTERM,),
        (signal.SIGINT,),
        (signal.SIGINT, signal.SIGINT),
        (signal.SIGTERM, signal.SIGTERM),
        (signal.SIGINT, signal.SIGTERM),
    ],
    ids=lambda signals: "+".join(number.name for number in signals),
)
def test_a_signal_ends_the_run_with_everything_written(
    signals: tuple[signal.Signals, ...], tmp_path: Path
) -> None:
    """130 and the word first; every file is there, rows agree with the totals, and nothing runs on."""
    with running(*LONG, reports=tmp_path) as locust:
        target = target_of(locust, tmp_path)
        for number in signals:
            os.kill(locust.pid, number)
            time.sleep(AT_ONCE_S)  # the second one comes while the first is being obeyed
        run = over(locust, tmp_path)

    assert run.code == 130
    assert run.report[0].startswith("INTERRUPTED  stopped by a signal")
    assert "Traceback" not in run.out
    assert run.run["verdict"]["reasons"] == ["INTERRUPTED: stopped by a signal before its end"]
    assert {path.name for path in run.folder.iterdir()} >= FILES
    assert (tmp_path / "latest").resolve() == run.folder
    assert len(run.streams()) == run.run["streams"]["total"] >= 1
    assert run.run["errorpaths"]["phases"]["load"] == {"processes": 1, "incomplete": []}
    assert not psutil.pid_exists(target)


def test_a_killed_target_is_down_with_its_last_words(tmp_path: Path) -> None:
    """7: when it died, by which signal, and the end of its log; everything is written."""
    with running(*LONG, reports=tmp_path) as locust:
        os.kill(target_of(locust, tmp_path), signal.SIGKILL)
        run = over(locust, tmp_path)

    died = run.run["target"]["died"]
    log = (run.folder / "target.log").read_text().splitlines()
    assert run.code == 7
    assert re.fullmatch(r"the target died \d+\.\d s into the run \(SIGKILL\)", died)
    assert run.run["verdict"]["reasons"][0] == f"TARGET_DOWN: {died}"
    assert run.run["target"]["last_words"] == log[-10:]
    assert f"target: {log[-1]}" in run.report
    assert "Traceback" not in run.out
    assert {path.name for path in run.folder.iterdir()} >= FILES - {"coverage.json"}
    # What was reached up to 2 s before its end is there.
    assert len(run.run["errorpaths"]["phases"]["load"]["incomplete"]) == 1
    assert run.run["errorpaths"]["complete"] is False
