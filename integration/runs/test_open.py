"""Open load and steps of users: streams start when they are due, whatever happens to those before."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Final

import psutil  # type: ignore[import-untyped]
import pytest

from integration.runs.locust import headless, over, running
from integration.timing import eventually

pytestmark = pytest.mark.holds

START_S: Final = 60.0
ALONE: Final = ("--scenario", "chat_ws", "--failures", "none", "--coverage", "off", "--seed", "3")


def target_of(pid: int) -> int:
    """The process that is measured."""
    (target,) = [
        child
        for child in psutil.Process(pid).children()
        if any(word.endswith("target/inside.py") for word in child.cmdline())
    ]
    return int(target.pid)


def test_a_frozen_target_delays_no_arrival(tmp_path: Path) -> None:
    """It stands still for two seconds, and 80 streams start meanwhile, each when it was due."""
    arguments = (*ALONE, "--rate", "40/s", "--max-in-flight", "250", "-t", "12s")
    with running("--headless", *arguments, reports=tmp_path) as locust:

        def answering() -> bool:
            assert locust.poll() is None, over(locust, tmp_path).out
            return any(log.read_text().count("run_ended") >= 20 for log in tmp_path.glob("*/target.log"))

        eventually(answering, "twenty answers", START_S)
        target = target_of(locust.pid)
        os.kill(target, signal.SIGSTOP)
        frozen_ns = time.perf_counter_ns()
        time.sleep(2.0)
        thawed_ns = time.perf_counter_ns()
        os.kill(target, signal.SIGCONT)
        run = over(locust, tmp_path)

    meanwhile = [row for row in run.streams() if frozen_ns < row["intended_us"] * 1000 < thawed_ns]
    due = (thawed_ns - frozen_ns) / 1e9 * 40
    assert abs(len(meanwhile) - due) <= 1
    assert run.run["streams"]["never_started"] == 0
    assert run.run["profile"]["loop"] == "open load"


def test_an_arrival_that_finds_nobody_is_counted(tmp_path: Path) -> None:
    """Four at once answer some 15 a second; the rest of 40 never start, and that is an objective missed."""
    run = headless(*ALONE, "--rate", "40/s", "--max-in-flight", "4", "-t", "6s", reports=tmp_path)

    streams, steady_s = run.run["streams"], run.run["profile"]["steady_s"]
    never = streams["never_started"]
    assert abs(streams["total"] + streams["unfinished"] + never - 40 * steady_s) <= 2
    assert run.reasons == [f"OBJECTIVE never_started: never_started count < 1: missed, it was {never}"]
    assert run.code == 3
    assert run.run["metrics"]["undisturbed"]["ttft_intended_ms"]["at_least"] is True
    assert run.run["profile"]["max_in_flight"] == 4


def test_a_trace_comes_again_as_it_was(tmp_path: Path) -> None:
    """To the microsecond: bursts and pauses."""
    offsets = [0, 0.0001, 0.0002, 0.7, 0.7, 1.25, 2.0, 2.000_05, 3.1]
    trace = tmp_path / "trace.jsonl"
    trace.write_text("".join(json.dumps({"at_s": 100 + offset}) + "\n" for offset in offsets))
    reports = tmp_path / "reports"
    run = headless(*ALONE, "--replay", str(trace), "-u", "10", "-t", "7s", reports=reports)

    starts = sorted(row["intended_us"] for row in run.streams())
    assert [start - starts[0] for start in starts] == pytest.approx([at * 1e6 for at in offsets], abs=1.5)
    assert run.reasons == []


def test_users_come_in_steps(tmp_path: Path) -> None:
    """Two for three seconds, then five for three; the run ends behind the last."""
    run = headless(*ALONE, "--stages", "2:3s,5:3s", "--think-s", "0.2", reports=tmp_path)

    first: dict[int, int] = {}
    for row in sorted(run.streams(), key=lambda row: int(row["intended_us"])):
        first.setdefault(row["user"], row["intended_us"])
    begun = min(first.values())
    assert sorted(user for user, at in first.items() if at - begun < 2.5e6) == [0, 1]
    assert sorted(first) == [0, 1, 2, 3, 4]
    assert run.reasons == []
    assert 5.5 < run.run["profile"]["steady_s"] < 9
