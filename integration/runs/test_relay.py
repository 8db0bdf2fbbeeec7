"""`relay_ms` answers work in the backend."""

from __future__ import annotations

from pathlib import Path
from statistics import median

import pytest

from integration.plant import planted
from integration.runs.locust import ROOT, headless

PLANTED_MS = 5.0
PAIRS = 3
"""In turn, and the median of each: a neighbour on the machine moves a single p50 by half a millisecond."""


def relay_p50_ms(app_dir: Path, reports: Path) -> float:
    """Of one user's chats: with others, one's work would be the wait of another."""
    run = headless(
        "--app-dir", str(app_dir), "--scenario", "chat_ws", "--coverage", "off",
        "-u", "1", "-r", "1", "-t", "7s", "--seed", "3",
        reports=reports,
    )  # fmt: skip
    relay = run.run["metrics"]["undisturbed"]["relay_ms"]
    assert relay["n"] >= 100
    p50: float = relay["p50"]
    return p50


@pytest.mark.holds
@pytest.mark.timeout(400)
def test_five_milliseconds_a_chunk_are_seen(tmp_path: Path) -> None:
    """The plant sleeps 5 ms for each chunk; p50 grows by that, within 1 ms."""
    slow = planted("slow_chunk", tmp_path)
    plain, worked = [], []
    for number in range(PAIRS):
        plain.append(relay_p50_ms(ROOT, tmp_path / f"plain-{number}"))
        worked.append(relay_p50_ms(slow, tmp_path / f"slow-{number}"))

    assert median(worked) - median(plain) == pytest.approx(PLANTED_MS, abs=1.0)
