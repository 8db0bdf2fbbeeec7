"""A defect in the backend makes the run fail by name, and the flight recorder shows it."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest

from integration.plant import planted
from integration.runs.locust import Ended, headless


def measured(plant: str, scenario: str, folder: Path) -> Ended:
    """Four users for three seconds against a backend with that defect."""
    return headless(
        "--app-dir", str(planted(plant, folder)), "--scenario", scenario,
        "-u", "4", "-r", "4", "-t", "3s", "--seed", "3",
        reports=folder / "reports",
    )  # fmt: skip


def recording(run: Ended) -> list[dict[str, Any]]:
    """The flight recorder's lines of the first stream of the first finding."""
    (name, *_) = run.run["findings"][0]["recordings"]
    return [json.loads(line) for line in (run.folder / name).read_text().splitlines()]


def every_stream(scenario: str, ended: str, declared: str = "DONE") -> re.Pattern[str]:
    """The reason of a finding that concerns each stream there was."""
    return re.compile(
        rf"BEHAVIOUR {scenario}: ([1-9]\d*) of \1 streams ended {re.escape(ended)}, declared is"
        rf" {re.escape(declared)}"
    )


def test_a_skipped_seq_is_named_and_can_be_seen_in_the_recording(tmp_path: Path) -> None:
    """The verdict says loss; the frames show the hole, the log lines the same run."""
    run = measured("skipped_seq", "chat_ws", tmp_path)

    (reason,) = run.reasons
    assert every_stream("chat_ws", "BROKEN(loss)").fullmatch(reason)
    assert run.code == 1

    head, *lines = recording(run)
    frames = [json.loads(line["text"]) for line in lines if line.get("way") == "received"]
    numbers = [frame["seq"] for frame in frames if frame["type"] == "delta"]
    assert [pair for pair in itertools.pairwise(numbers) if pair[1] != pair[0] + 1] == [(3, 5)]
    logged = [json.loads(line["log"]) for line in lines if "log" in line]
    assert ("run_ended", head["id"]) in [(line["event"], line.get("execution_id")) for line in logged]


def test_a_timeout_at_twice_its_limit_is_late(tmp_path: Path) -> None:
    """The right error at the wrong time is not what was declared."""
    run = measured("timeout_doubled", "first_token_timeout", tmp_path)

    (reason,) = run.reasons
    error = "ERROR(first_token_timeout)"
    late = f"{error} late: after more than 2.625 s, configured 1.5 s"
    assert every_stream("first_token_timeout", late, error).fullmatch(reason)
    assert run.code == 1
    deadline = run.run["deadlines"]["first_token_timeout"]
    assert deadline["configured_ms"] == 1500
    assert deadline["observed_ms"]["min"] >= 2995


@pytest.mark.holds
@pytest.mark.parametrize(
    ("plant", "broken"), [("duplicated_delta", "BROKEN(duplicate)"), ("reply_differs", "BROKEN(text)")]
)
def test_a_broken_stream_is_named_by_how_it_broke(plant: str, broken: str, tmp_path: Path) -> None:
    """A delta that came twice is no loss, another text is neither."""
    run = measured(plant, "chat_ws", tmp_path)

    (reason,) = run.reasons
    assert every_stream("chat_ws", broken).fullmatch(reason)
    assert run.code == 1
