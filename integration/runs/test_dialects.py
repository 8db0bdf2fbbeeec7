"""One run that speaks every shipped dialect."""

from __future__ import annotations

from pathlib import Path

import pytest

from integration.runs.locust import ROOT, headless
from load.drivers.dialects.reading import preset, preset_names


@pytest.mark.holds
def test_every_shipped_dialect_is_measured_in_one_run(tmp_path: Path) -> None:
    """Eight chunks a stream, all of them DONE; what a wire cannot prove stands in the report."""
    config = ROOT / "integration" / "speaking" / "streamgauge.toml"
    run = headless("--config", str(config), "-u", "16", "-r", "16", "-t", "6s", reports=tmp_path)

    assert run.reasons == [], run.out
    scenarios = run.run["scenarios"]
    assert set(scenarios) == set(preset_names())
    assert {entry["expected"] for entry in scenarios.values()} == {"DONE"}
    assert {name: tuple(entry["not_checkable"]) for name, entry in scenarios.items()} == {
        name: preset(name).not_checkable for name in preset_names()
    }
    chunks = {row["chunks"] for row in run.streams() if row["scenario"] != "text" and row["state"] == "DONE"}
    assert chunks == {8}
    assert "Not checkable in text, whose wire does not tell: order, loss, duplicate, text, error." in run.out
