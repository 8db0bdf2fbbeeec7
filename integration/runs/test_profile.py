"""The default profile as `make load` runs it, whole."""

from __future__ import annotations

import pytest

from integration.instrument.test_scenarios_rows import promised
from integration.runs.locust import Ended, headless

pytestmark = pytest.mark.holds


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    return headless("--seed", "7", reports=tmp_path_factory.mktemp("reports"))


def test_it_passes(run: Ended) -> None:
    assert (run.code, run.run["verdict"]["reasons"]) == (0, []), run.out


def test_every_promised_row_came_often_enough_and_as_declared(run: Ended) -> None:
    """Those marked `run` twice, unless they come once in a run, those marked `end` once."""
    rows = run.run["rows"]

    assert set(rows) == promised("run") | promised("end")
    assert {row_id for row_id, row in rows.items() if row["times"] != row["total"]} == set()
    assert {row_id for row_id, row in rows.items() if row["times"] < row["needed"]} == set()
    assert {row_id for row_id, row in rows.items() if row["needed"] == 2} == promised("run") - {"C7"}
    assert {row_id for row_id, row in rows.items() if row["needed"] == 1} == promised("end") | {"C7"}
    assert {name for row in rows.values() for name, times in row["scenarios"].items() if not times} == set()


def test_clean_and_rough_windows_saw_the_same_traffic(run: Ended) -> None:
    """Two of each, and streams of the undisturbed scenarios in both; the ratio is that of the medians."""
    windows = run.run["windows"]
    p50 = {name: windows[name]["ttft_ms"]["p50"] for name in ("clean", "rough")}

    assert sorted(windows["order"]) == ["clean", "rough"]
    assert 6.0 < windows["length_s"] < 7.5
    assert min(windows[name]["streams"] for name in p50) > 100
    assert windows["ttft_p50_ratio"] == round(p50["rough"] / p50["clean"], 4)


def test_failures_happened_in_rough_windows_alone(run: Ended) -> None:
    """What a failure user sends belongs there, and nothing of it is a headline figure."""
    tallies = run.run["tallies"]
    of_failures = {name for name, found in run.run["scenarios"].items() if found["of_failures"]}
    clean = {key.rpartition("/")[0] for key in tallies if key.endswith("/clean")}

    assert clean & of_failures == set()
    assert set(run.run["metrics"]["undisturbed"]["scenarios"]) == {"chat_http", "chat_sse", "chat_ws"}
