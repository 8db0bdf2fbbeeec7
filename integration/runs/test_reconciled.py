"""Clients, database and provider tell the same story of a run, and a backend that does not is named."""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress
from pathlib import Path

import httpx2
import psutil  # type: ignore[import-untyped]
import pytest

from integration.plant import planted
from integration.runs.locust import headless, over, running
from integration.timing import SCALE, eventually

pytestmark = pytest.mark.holds

STARTED_S = 30 * SCALE


@pytest.mark.timeout(900)
def test_ten_runs_in_a_row_have_no_difference(tmp_path: Path) -> None:
    """Each with its own seed and all kinds of failures; what started is counted alike on every side."""
    found = {}
    for seed in range(1, 11):
        reports = tmp_path / str(seed)
        run = headless("-u", "20", "-r", "20", "-t", "10s", "--seed", str(seed), reports=reports)
        reconciled = run.run["reconciliation"]
        sums = reconciled["sums"]
        both = {name: n + sums["never_asked"][name] for name, n in sums["provider"].items()}
        alike = sums["client"] == sums["database"] == both and reconciled["compared"] > 0
        found[seed] = (reconciled["differences"], alike)

    assert found == dict.fromkeys(range(1, 11), ({}, True))


@pytest.mark.parametrize(
    ("plant", "scenario", "difference"),
    [
        ("asked_again", "reset_late", "asked again after the first chunk"),
        (
            "cancel_kept",
            "client_cancel",
            "the row is CANCELLED, the provider's stream went on for more than 1 s",
        ),
    ],
)
def test_what_only_the_provider_can_tell_is_named(
    plant: str, scenario: str, difference: str, tmp_path: Path
) -> None:
    """A retry behind the first token, and a cancel that never reaches the provider."""
    run = headless(
        "--app-dir", str(planted(plant, tmp_path)), "--scenario", scenario,
        "-u", "2", "-r", "2", "-t", "5s", "--seed", "3", "--coverage", "off",
        reports=tmp_path / "reports",
    )  # fmt: skip

    assert difference in run.run["reconciliation"]["differences"]
    assert run.code == 1


def test_a_dead_provider_is_no_fault_of_the_target(tmp_path: Path) -> None:
    """It is ours: the run ends at once, says so in one line, and says nothing of the target."""
    reports = tmp_path / "reports"
    args = ("--headless", "-u", "4", "-r", "4", "-t", "60s", "--seed", "3", "--coverage", "off")
    with running(*args, reports=reports) as process:
        eventually(lambda: asked_of_provider(reports), "the first chat", within_s=STARTED_S)
        os.kill(provider_of(process.pid), signal.SIGKILL)
        run = over(process, reports)

    (reason,) = run.run["verdict"]["reasons"]
    assert reason.startswith("INVALID: the scripted provider died ")
    assert reason.endswith(" (SIGKILL); it is a part of the instrument")
    assert run.code == 6


def asked_of_provider(reports: Path) -> int:
    """How many chats have reached it; 0 before it listens."""
    for log in reports.glob("*/provider.log"):
        with suppress(ValueError):  # not written whole yet
            url = json.loads(log.read_text())["listening"]
            stats: dict[str, int] = httpx2.get(f"{url}/__admin/stats", trust_env=False).json()
            return stats["requests"]
    return 0


def provider_of(pid: int) -> int:
    """The process id of the scripted provider that this Locust started."""
    (found,) = [
        child
        for child in psutil.Process(pid).children()
        if child.status() != psutil.STATUS_ZOMBIE and "load.faults.upstream" in child.cmdline()
    ]
    return int(found.pid)
