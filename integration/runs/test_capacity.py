"""The largest load within the objectives, of targets whose limit is known."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from integration.runs.locust import ROOT, environment, headless, over, running
from integration.timing import eventually

READY: Final = re.compile(r'"listening":\s*"([^"]+)"')
CAP: Final = 120
PLACES: Final = 200
"""Users who have an account."""

pytestmark = pytest.mark.holds


@dataclass(frozen=True, slots=True)
class Capped:
    """A backend that runs at most CAP answers at once, each 1.5 s long in eight chunks: no work at all."""

    url: str
    tokens: str


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Capped]:
    folder = tmp_path_factory.mktemp("capped")
    env = environment(
        {
            "BACKEND_DATABASE_URL": f"sqlite:///{folder}/b.db",
            "BACKEND_PORT": "0",
            "BACKEND_MAX_RUNS": str(CAP),
            # Or many users would share the places, one waiting for the other.
            "BACKEND_RUN_QUEUE_TIMEOUT": "0.05",
            "BACKEND_RATE_MESSAGES_PER_MIN": "100000",
            "BACKEND_RATE_BURST": "1000",
        }
    )
    base = [sys.executable, "-m", "backend"]
    subprocess.run([*base, "migrate"], cwd=ROOT, env=env, check=True, timeout=60)
    made = subprocess.run(
        [*base, "demo", "--users", str(PLACES), "--json"],
        cwd=ROOT,
        env=env,
        check=True,
        timeout=60,
        capture_output=True,
    )
    people = json.loads(made.stdout)
    log = folder / "backend.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(base, cwd=ROOT, env=env, stdout=sink, stderr=subprocess.STDOUT)
    try:
        (url,) = eventually(lambda: READY.findall(log.read_text()), "the ready line")
        for agent in people["agents"]:
            post(url, people["admin"]["token"], f"/api/agents/{agent['id']}/pause", {})
        slow = {"tokens": 8, "first_token_ms": 100, "interval_ms": 200}
        agent = {
            "name": "slow",
            "description": "eight chunks in a second and a half",
            "maturity_level": "AUTONOMOUS",
            "model": "embedded/markov-1",
            "configuration": {"embedded": slow},
        }
        post(url, people["admin"]["token"], "/api/agents", agent)
        yield Capped(url, " ".join(user["token"] for user in people["users"]))
    finally:
        process.terminate()
        process.wait(30)


def post(url: str, token: str, path: str, body: object) -> None:
    """As the admin does."""
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    request = urllib.request.Request(f"{url}{path}", json.dumps(body).encode(), headers)
    urllib.request.urlopen(request, timeout=5).close()


def arguments(backend: Capped, *more: str) -> tuple[str, ...]:
    """Users who are always busy."""
    return (
        "--find-capacity", "--host", backend.url, "--token-env", "T", "--scenario", "chat_ws",
        "-u", str(PLACES), "--arrivals", "closed", "--think-s", "0.01", "--seed", "3", *more,
    )  # fmt: skip


def test_a_planted_cap_is_found(backend: Capped, tmp_path: Path) -> None:
    """Within ten per cent, in users and in streams at once, and nothing of it is BEHAVIOUR."""
    run = headless(
        *arguments(backend, "-t", "90s", "--objective", "ttft_ms p95 < 1500"),
        reports=tmp_path, env={"T": backend.tokens},
    )  # fmt: skip

    found = run.run["capacity"]
    assert run.reasons == [], run.out
    assert (run.code, found["end"]) == (0, "target")
    assert 0.9 * CAP <= found["low"] <= found["at_once"] + 1
    assert found["high"] <= 1.1 * CAP
    assert {seen for step in found["steps"] for seen in step["undeclared"]} == {"ERROR(capacity)"}


def test_an_interrupted_search_keeps_what_it_found(backend: Capped, tmp_path: Path) -> None:
    """Exit code 130, with the steps that had come to their end."""
    env = {"T": backend.tokens}
    more = ("-t", "60s", "--objective", "good share >= 1")
    with running("--headless", *arguments(backend, *more), reports=tmp_path, env=env) as locust:
        steps = 0
        assert locust.stderr is not None
        while steps < 2:
            line = locust.stderr.readline()
            assert line
            steps += line.startswith("step ")
        locust.send_signal(signal.SIGINT)
        run = over(locust, tmp_path)

    found = run.run["capacity"]
    assert (run.code, found["low"], found["high"]) == (130, 24, None)
    assert found["told"] == "at least 24 users: there was no time for more"


def test_arrivals_are_varied_with_a_rate(backend: Capped, tmp_path: Path) -> None:
    """Four places of 1.5 s take some 2.7 arrivals a second, evenly spaced; what never starts is the limit."""
    run = headless(
        *arguments(backend, "-t", "40s", "--objective", "good share >= 1"),
        "--rate", "5/s", "--max-in-flight", "4", "--arrivals", "poisson",
        reports=tmp_path, env={"T": backend.tokens},
    )  # fmt: skip

    found: dict[str, Any] = run.run["capacity"]
    assert run.reasons == [], run.out
    assert (found["unit"], found["end"]) == ("arrivals a second", "target")
    assert 2.0 < found["low"] < found["high"] < 3.2


def test_a_generator_that_ends_first_gives_a_lower_bound(tmp_path: Path) -> None:
    """Its users work so much that some 15 of them take too much of its core; the target is not to blame."""
    run = headless(
        "-f", "integration/runs/locustfiles/hungry.py", "--find-capacity", "-u", "32", "-t", "30s",
        "--think-s", "0.1", "--objective", "ttft_ms p95 < 5000", "--seed", "3",
        reports=tmp_path,
    )  # fmt: skip

    found = run.run["capacity"]
    assert run.reasons == [], run.out
    assert (run.code, found["end"], found["high"]) == (0, "generator", None)
    assert 1 <= found["low"] < found["ceiling"] <= 32
    assert found["told"] == f"at least {found['low']} users: the generator ends first, at {found['ceiling']}"


def test_what_will_be_sent_is_told_before_the_first_message(tmp_path: Path) -> None:
    """Here the first message, which tries the dialect, finds nobody."""
    run = headless("--host", "http://127.0.0.1:9", "--protocol", "openai", reports=tmp_path)

    assert run.code == 7
    assert run.lines[0].startswith("to http://127.0.0.1:9: 50 users (chat 100%), about 25 messages a second")
    assert run.lines[-1].startswith("TARGET_DOWN: scenario chat: ")


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ((), "--find-capacity: within which objectives? name at least one with --objective"),
        (
            ("--objective", "relay_ms p99 < 5"),
            "--find-capacity: relay_ms is known only at the end of a run, not of a step",
        ),
    ],
)
def test_a_search_without_an_aim_is_refused(given: tuple[str, ...], line: str, tmp_path: Path) -> None:
    """In one line, before anything is started."""
    run = headless("--find-capacity", *given, reports=tmp_path)

    assert (run.code, run.lines) == (2, [f"USAGE: {line}"])
