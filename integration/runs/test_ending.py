"""The end phase behind a whole run: a locked database, a look for leaks, a target that is told to stop."""

from __future__ import annotations

from pathlib import Path

import pytest

from integration.plant import planted
from integration.runs.locust import Ended, headless

pytestmark = pytest.mark.holds

ENDS = {
    "commit_delayed": "DONE",
    "create_locked": "REFUSED(503, storage_unavailable)",
    "create_locked_stream": "ERROR(storage_unavailable)",
    "commit_failed": "ERROR(storage_unavailable)",
    "at_rest": "DONE",
    "drain_finishes": "DONE",
    "drain_exceeded": "ERROR(server_shutdown)",
    "late_connect": "REFUSED(503, server_shutdown)",
    "late_request": "REFUSED(503, server_shutdown)",
}


def ended(folder: Path, *more: str) -> Ended:
    """Six users for six seconds, and what comes behind them."""
    return headless("-u", "6", "-r", "6", "-t", "6s", "--seed", "4", *more, reports=folder / "reports")


def test_each_row_of_the_end_phase_comes_as_declared(tmp_path: Path) -> None:
    """Once, and nothing else; database and clients agree about all of it."""
    run = ended(tmp_path)

    scenarios = run.run["scenarios"]
    assert run.code == 0, run.out
    assert {name: scenarios[name]["expected"] for name in ENDS} == ENDS
    assert {
        name: (scenarios[name]["total"], scenarios[name]["as_expected"]) for name in ENDS
    } == dict.fromkeys(ENDS, (1, 1))


@pytest.mark.parametrize(
    ("plant", "reason"),
    [
        (
            "terminal_before_commit",
            "BEHAVIOUR commit_delayed: 1 of 2 streams ended told to be done before that could be stored",
        ),
        ("frames_kept", "BEHAVIOUR at_rest: 1 of 1 stream ended run_frame_log_bytes"),
    ],
)
def test_what_only_the_end_phase_can_see_is_named(plant: str, reason: str, tmp_path: Path) -> None:
    """An end that is told before it is stored, and frames that are never forgotten."""
    run = ended(tmp_path, "--app-dir", str(planted(plant, tmp_path)))

    assert run.code == 1
    assert any(found.startswith(reason) for found in run.run["verdict"]["reasons"]), run.out
