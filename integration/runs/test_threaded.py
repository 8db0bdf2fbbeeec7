"""Apps that know nothing of us have a map of error paths, too."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from integration.runs.locust import ROOT, Ended, headless

THREADED = ROOT / "integration" / "threaded" / "streamgauge.toml"
ELSEWHERE = ROOT / "integration" / "elsewhere" / "streamgauge.toml"

CAUGHT = {
    "timeout:APITimeoutError": "model_stalls",
    "domain:RateLimitError": "model_busy",
    "domain:APIConnectionError": "model_breaks_off",
}
"""Handlers of that app, and who made its model fail so."""

pytestmark = pytest.mark.holds


def reached(run: Ended, site: str) -> dict[str, int]:
    """How often under which label."""
    document: Any = json.loads((run.folder / "errorpaths.json").read_text())
    (found,) = [one for one in document["sites"] if site in one["id"]]
    counted: Counter[str] = Counter()
    for hit in found["hits"]:
        counted[hit["label"]] += hit["count"]
    return dict(counted)


def test_an_app_of_threads(tmp_path: Path) -> None:
    """Synchronous endpoints, bodies made in threads, background tasks, a worker: each scenario its own."""
    run = headless(
        "--config", str(THREADED), "-u", "8", "-r", "8", "-t", "6s", "--seed", "3", reports=tmp_path
    )
    rows = Counter(row["scenario"] for row in run.streams())

    assert run.reasons == [], run.out
    assert reached(run, "complete::raise:domain:HTTPException") == {"missing": rows["missing"]}
    assert reached(run, "words::except:domain:OutOfPaper") == {"short": rows["short"]}
    # What the end of the run cut off was not billed, and did not leave the queue.
    assert set(reached(run, "bill::except:domain:PermissionError")) == {"unbilled"}
    assert set(reached(run, "audit::except:domain:KeyError")) == {"-"}


def test_an_app_of_tasks(tmp_path: Path) -> None:
    """Each failure of its model was caught on behalf of the scenario that asked for it."""
    run = headless(
        "--config", str(ELSEWHERE), "-u", "12", "-r", "12", "-t", "12s", "--seed", "3", reports=tmp_path
    )
    rows = Counter(row["scenario"] for row in run.streams() if row["state"] == "ERROR")

    assert run.reasons == [], run.out
    for handler, scenario in CAUGHT.items():
        counted = reached(run, f"except:{handler}")
        assert set(counted) == {scenario}
        # What the end of the run cut off may have failed all the same.
        assert 0 <= counted[scenario] - rows[scenario] <= run.run["streams"]["unfinished"]


def test_several_workers_without_coverage(tmp_path: Path) -> None:
    """The same scenarios; the report has no map."""
    config = tmp_path / "streamgauge.toml"
    text = THREADED.read_text().replace('app_dir = ".."', f'app_dir = "{ROOT / "integration"}"')
    config.write_text("workers = 2\n" + text)
    covered = headless("--config", str(config), "-u", "4", "-t", "4s", reports=tmp_path / "covered")
    plain = headless(
        "--config",
        str(config),
        "--coverage",
        "off",
        "--scenario",
        "whole",
        "-u",
        "4",
        "-r",
        "4",
        "-t",
        "4s",
        reports=tmp_path / "r",
    )

    assert covered.code == 2
    assert covered.lines[-1] == (
        "USAGE: streamgauge.toml: 2 workers cannot be covered: that needs one process; use --coverage off"
        " (see app, setup, env and ready)"
    )
    assert plain.reasons == [], plain.out
    assert not (plain.folder / "errorpaths.json").exists()
