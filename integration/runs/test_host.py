"""A server that already runs, started by hand: what may be sent there, and what is not."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from integration.runs.locust import ROOT, environment, headless
from integration.timing import eventually

HARMFUL = {"malformed_frame", "rate_limited", "concurrency_limit", "payload_too_large", "connection_limit"}
"""What floods, malformed frames and the like are answered with."""

READY = re.compile(r'"listening":\s*"([^"]+)"')

pytestmark = pytest.mark.holds


@dataclass(frozen=True, slots=True)
class Running:
    """A backend somebody started. admin: a token; tokens: of its demo users, separated by blanks."""

    url: str
    admin: str
    tokens: str
    log: Path

    def counted(self, metric: str) -> dict[str, float]:
        """Label values of one metric of it -> count."""
        request = urllib.request.Request(
            f"{self.url}/metrics", headers={"authorization": f"Bearer {self.admin}"}
        )
        with urllib.request.urlopen(request, timeout=5) as response:
            text = response.read().decode()
        return {
            labels: float(value)
            for labels, value in re.findall(rf"^{metric}{{(.*)}} (\S+)$", text, re.MULTILINE)
        }

    def codes(self) -> set[str]:
        """Every error code in its log."""
        events = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return {event["code"] for event in events if event.get("code")}


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Running]:
    """`python -m backend migrate`, `demo`, and then `python -m backend` on a free port."""
    env = environment({"BACKEND_DATABASE_URL": f"sqlite:///{tmp_path}/b.db", "BACKEND_PORT": "0"})
    base = [sys.executable, "-m", "backend"]
    subprocess.run([*base, "migrate"], cwd=ROOT, env=env, check=True, timeout=60)
    demo = subprocess.run(
        [*base, "demo", "--users", "3", "--json"],
        cwd=ROOT,
        env=env,
        check=True,
        timeout=60,
        capture_output=True,
    )
    people = json.loads(demo.stdout)
    log = tmp_path / "backend.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(base, cwd=ROOT, env=env, stdout=sink, stderr=subprocess.STDOUT)
    try:
        ready = eventually(lambda: READY.findall(log.read_text()), "the ready line")
        yield Running(
            ready[0], people["admin"]["token"], " ".join(user["token"] for user in people["users"]), log
        )
    finally:
        process.terminate()
        process.wait(20)


def test_only_what_is_harmless_is_sent(backend: Running, tmp_path: Path) -> None:
    """It says before what will be sent; the server's own log and counts are the witnesses of what was."""
    run = headless(
        "--host", backend.url, "--token-env", "T", "-u", "3", "-r", "3", "-t", "20s",
        "--mix", "chat_ws=1,chat_http=1,failures=1",
        reports=tmp_path / "r", env={"T": backend.tokens},
    )  # fmt: skip

    assert run.reasons == [], run.out
    assert run.lines[0].startswith(f"to {backend.url}: 3 users (")
    assert run.lines[1].startswith("failures (harmless): ")
    assert backend.codes() & HARMFUL == set()
    assert sum(backend.counted("runs_total").values()) > 0


def test_all_failures_are_sent_where_they_are_asked_for(backend: Running, tmp_path: Path) -> None:
    """Then the flood reaches the server."""
    headless(
        "--host", backend.url, "--token-env", "T", "--failures", "all", "--scenario", "rate_limited",
        "-u", "1", "-r", "1", "-t", "6s", reports=tmp_path / "r", env={"T": backend.tokens},
    )  # fmt: skip

    refused = [labels for labels in backend.counted("http_requests_total") if 'status="429"' in labels]
    assert len(refused) == 1
