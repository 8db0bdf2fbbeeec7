"""A generator that is at fault itself says so, names the remedy, and books nothing of it on the target."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Final

import pytest

from integration.runs.locust import Ended, headless, over, running
from integration.timing import eventually

pytestmark = pytest.mark.holds

START_S: Final = 60.0
STOPPED_S: Final = 7.0
"""Beyond the target's deadline for an answer: whatever runs then has ended when the generator goes on."""


def booked(run: Ended) -> dict[str, list[str]]:
    """What every scenario ended as that nobody declared."""
    scenarios = run.run["scenarios"].items()
    return {name: [kind["seen"] for kind in found["unexpected"]] for name, found in scenarios}


def test_a_late_generator_cannot_tell(tmp_path: Path) -> None:
    """More than half of its time is stolen, in portions longer than the gaps between chunks."""
    run = headless(
        "-f", "integration/runs/locustfiles/late.py", "-u", "8", "-r", "8", "-t", "8s", "--seed", "3",
        "--failures", "none",
        reports=tmp_path,
    )  # fmt: skip

    (reason,) = run.run["verdict"]["reasons"]
    assert reason.startswith("INVALID: generator_late: ")
    assert "fewer users (-u)" in reason
    assert run.code == 6


def test_a_generator_that_is_kept_from_running_cannot_tell(tmp_path: Path) -> None:
    """Others saturate its core; it has little to do itself, and says so."""
    run = headless(
        "-f", "integration/runs/locustfiles/crowded.py", "-u", "8", "-r", "8", "-t", "8s", "--seed", "3",
        "--failures", "none",
        reports=tmp_path,
    )  # fmt: skip

    (reason,) = run.run["verdict"]["reasons"]
    assert reason.startswith("INVALID: generator_late: ")
    assert "so other programs kept it from running" in reason
    assert run.code == 6


def test_without_file_descriptors_the_target_is_not_to_blame(tmp_path: Path) -> None:
    """None is left after a while; neither is anything refused, nor the target down."""
    run = headless(
        "-f", "integration/runs/locustfiles/starved.py", "-u", "4", "-r", "4", "-t", "12s", "--seed", "3",
        "--think-s", "0.2", "--failures", "none",
        reports=tmp_path,
    )  # fmt: skip

    ((what, count),) = run.run["generator"]["faults"].items()
    assert what.startswith("out of file descriptors; raise the limit (ulimit -n)")
    assert run.reasons == [f"INVALID: generator_fault: {count} times {what}"]
    assert run.code == 6
    assert booked(run) == {"newcomer": [], "browse": []}
    assert count >= 4, "each user asks again and again"


def test_too_few_file_descriptors_are_refused_before_the_start(tmp_path: Path) -> None:
    """50 users need 164; the line says so."""
    prefix = ("sh", "-c", 'ulimit -n 120 && exec "$@"', "sh")
    with running("--headless", "-u", "50", reports=tmp_path, prefix=prefix) as locust:
        run = over(locust, tmp_path)

    assert run.lines[-1] == (
        "USAGE: --users 50: 164 open files are needed, and no more than 120 allowed;"
        " raise the limit (ulimit -n 164), or come with fewer users"
    )
    assert run.code == 2
    assert not list(tmp_path.iterdir())


def test_a_stopped_generator_does_not_blame_the_target_for_what_it_did_too_late(tmp_path: Path) -> None:
    """It was to cancel answers; meanwhile the target's own deadline has ended them."""
    arguments = ("--scenario", "client_cancel", "-u", "4", "-r", "4", "-t", "16s", "--seed", "3")
    with running("--headless", *arguments, reports=tmp_path) as locust:

        def cancelled() -> bool:
            assert locust.poll() is None, over(locust, tmp_path).out
            return any(log.read_text().count("run_ended") >= 10 for log in tmp_path.glob("*/target.log"))

        eventually(cancelled, "ten cancelled answers", START_S)
        os.kill(locust.pid, signal.SIGSTOP)
        time.sleep(STOPPED_S)
        os.kill(locust.pid, signal.SIGCONT)
        run = over(locust, tmp_path)

    ((what, count),) = run.run["generator"]["faults"].items()
    assert what.startswith("an undeclared end around a standstill of the generator")
    assert 1 <= count <= 4
    assert run.reasons == [f"INVALID: generator_fault: {count} times {what}"]
    assert run.code == 6
    assert booked(run) == {"client_cancel": []}
