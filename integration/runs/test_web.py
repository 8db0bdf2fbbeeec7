"""The web UI: our options stand in its start form, and a run started there leaves the same report."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path

import httpx2

from integration.runs.locust import reasons, running

READY_S = 20.0
RUN_S = 40.0


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until_answered(client: httpx2.Client, path: str) -> httpx2.Response:
    """The first answer to `path`. Raises TimeoutError after READY_S."""
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        try:
            return client.get(path)
        except httpx2.ConnectError:
            time.sleep(0.1)
    raise TimeoutError(f"nothing answered {path} within {READY_S} s")


def until_written(latest: Path) -> object:
    """`run.json` of the run, once it is there. Raises TimeoutError after RUN_S."""
    deadline = time.monotonic() + RUN_S
    while time.monotonic() < deadline:
        if (latest / "run.json").exists():
            return json.loads((latest / "run.json").read_text())
        time.sleep(0.2)
    raise TimeoutError(f"no run.json within {RUN_S} s")


def test_a_run_started_in_the_web_ui_leaves_the_same_report(tmp_path: Path) -> None:
    """Options are in the form, and what the form says is what is run."""
    port = free_port()
    with (
        running("--web-port", str(port), "--web-host", "127.0.0.1", reports=tmp_path),
        httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=30.0) as client,
    ):
        form = until_answered(client, "/").text
        started = client.post(
            "/swarm",
            data={
                "user_count": "3",
                "spawn_rate": "3",
                "run_time": "4s",
                "scenario": "chat_ws",
                "seed": "11",
                "host": "",
            },
        )
        run = until_written(tmp_path / "latest")

    for option in (
        "app_dir",
        "coverage",
        "scenario",
        "mix",
        "failures",
        "prompts",
        "seed",
        "arrivals",
        "think_s",
    ):
        assert f'"{option}": {{"choices"' in form
    assert started.json()["success"] is True
    assert isinstance(run, dict)
    assert reasons(run) == []
    assert run["profile"]["users"] == 3
    assert run["profile"]["seed"] == 11
    assert set(run["scenarios"]) == {"chat_ws"}
