"""A process that stands still: the target's stalls are the target's, the generator's its own."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, Final

import pytest

from integration.covered import Measured
from integration.runs.locust import over, running
from integration.subject.stage import running as served
from integration.timing import eventually

pytestmark = pytest.mark.holds

START_S: Final = 60.0
USERS: Final = 8
CHUNKS: Final = 100
"""Every 20 ms, and the next answer begins 2.3 s after the last: out of step after their first ones, nine of
ten users read at any time."""
STALL_US: Final = 1_000_000
"""The stall limit of `locustfiles/proxied.py`."""
STOPS_US: Final = 5_000
"""A signal takes effect so soon, on a busy machine too."""
GOES_ON_US: Final = 150_000
"""One gap, and what a busy machine takes to go on with all of them."""


def stand_still(pid: int, for_s: float) -> tuple[int, int]:
    """Stops a process for a while; when, in monotonic us."""
    os.kill(pid, signal.SIGSTOP)
    from_us = time.perf_counter_ns() // 1000
    time.sleep(for_s)
    until_us = time.perf_counter_ns() // 1000
    os.kill(pid, signal.SIGCONT)
    return from_us, until_us


def answering(log: Callable[[], str], times: int) -> None:
    """Waits until so many answers have ended."""
    eventually(lambda: log().count("run_ended") >= times, f"{times} answers", START_S)


def chunks_us(row: dict[str, Any]) -> list[int]:
    """When each chunk of a stream came."""
    if row["ttft_us"] is None:
        return []
    first = row["intended_us"] + row["sent_us"] + row["ttft_us"]
    return list(accumulate(row["gaps_us"], initial=first))


def test_a_target_that_pauses_stalls_every_open_stream(measured: Measured, tmp_path: Path) -> None:
    """Once, for as long as it paused; the generator was there all along, and the objective is missed."""
    with served(measured, "pauses", {}, covered=False) as service:
        agent = service.agent(tokens=CHUNKS, first_token_ms=20, interval_ms=20)
        tokens = " ".join(service.person().token for _ in range(USERS))
        arguments = (
            "--headless", "-f", "integration/runs/locustfiles/proxied.py", "--host", service.target.url,
            "--token-env", "T", "--scenario", "ws", "--arrivals", "constant", "--think-s", "2.3",
            "--seed", "3", "-u", str(USERS), "-r", str(USERS), "-t", "80s", "--objective", "stalls count < 1",
        )  # fmt: skip
        env = {"T": tokens, "PROXIED_AGENT": agent.id, "PROXIED_STREAMS": str(4 * USERS)}
        with running(*arguments, reports=tmp_path, env=env) as locust:
            answering(service.target.log.read_text, 2 * USERS)
            from_us, until_us = stand_still(service.target.pid, 1.5)
            run = over(locust, tmp_path)

    paused_us, stalled = until_us - from_us, 0
    for row in run.streams():
        at = chunks_us(row)
        stalls = [(b - a, a) for a, b in pairwise(at) if b - a > STALL_US]
        if at and at[0] < from_us and at[-1] > until_us:
            ((stall, since),) = stalls
            assert paused_us - STOPS_US <= stall <= paused_us + GOES_ON_US
            assert since <= from_us + STOPS_US
            stalled += 1
        else:
            assert stalls == []
    assert stalled >= USERS // 2
    assert run.run["streams"]["stalls"] == stalled
    reasons = run.run["verdict"]["reasons"]
    assert reasons == [f"OBJECTIVE stalls: stalls count < 1: missed, it was {stalled}"]
    assert run.code == 3


def test_a_generator_that_pauses_cannot_tell(tmp_path: Path) -> None:
    """What came meanwhile would look like a stall of the target."""
    arguments = ("--scenario", "chat_ws", "--failures", "none", "--coverage", "off", "-u", "8", "-r", "8")
    with running("--headless", *arguments, "-t", "8s", "--seed", "3", reports=tmp_path) as locust:
        answering(lambda: "".join(log.read_text() for log in tmp_path.glob("*/target.log")), 10)
        stand_still(locust.pid, 2.0)
        run = over(locust, tmp_path)

    (reason,) = run.run["verdict"]["reasons"]
    assert reason.startswith("INVALID: generator_late: ")
    assert re.search(r"it stood still for 2\.\d s", reason)
    assert run.code == 6
