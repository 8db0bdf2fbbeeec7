"""`python -m integration.runs.bench.overhead [PAIRS]`: what it costs the target to be measured.

Three servers of the same sources: neither lines nor probes, probes alone, lines and probes. Each pair asks
one of the two measured ones and the plain one for the same work, one right behind the other and in turns, and
compares their processor time. A request is one look at an agent; a chunk one of 200 in a streamed answer.
Means are trimmed by 20 % at each end; the interval is Yuen's, 95 %. Written to `reports/overhead.json`, which
reports of later runs quote. Ends with 3 where a mean is above its limit.
"""

from __future__ import annotations

import http.client
import json
import platform
import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import coverage
import numpy
from scipy import stats
from websockets.sync.client import connect

from load.errors import ExitCode
from load.report.store import write_atomically
from load.target.config import ROOT, bundled
from load.target.launch import Target, launch

PAIRS: Final = 30
TRIM: Final = 0.2
REQUESTS: Final = 150
STREAMS: Final = 4
CHUNKS: Final = 200
FOLDER: Final = ROOT / "reports" / "bench" / "overhead"
FILE: Final = ROOT / "reports" / "overhead.json"
LIMITS: Final = {"probes": 1.03, "lines and probes": 1.10}
SETTINGS: Final = {"BACKEND_RATE_MESSAGES_PER_MIN": "600000", "BACKEND_RATE_BURST": "10000"}


@dataclass(frozen=True, slots=True)
class Server:
    """One of the three, with who asks it."""

    target: Target
    token: str
    agent: str

    def cpu_ns(self) -> int:
        """Processor time of all its threads so far, to the nanosecond."""
        tasks = Path(f"/proc/{self.target.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)

    def requests(self) -> int:
        """Looks at the agent, over one connection; gives how often."""
        client = http.client.HTTPConnection(urlsplit(self.target.url).netloc)
        headers = {"Authorization": f"Bearer {self.token}"}
        for _ in range(REQUESTS):
            client.request("GET", f"/api/agents/{self.agent}", headers=headers)
            response = client.getresponse()
            response.read()
            assert response.status == 200, f"status {response.status}"
        client.close()
        return REQUESTS

    def chunks(self) -> int:
        """Streams answers, one behind the other; gives the chunks."""
        url = f"ws{self.target.url.removeprefix('http')}/api/agents/{self.agent}/stream"
        headers = {"Authorization": f"Bearer {self.token}"}
        count = 0
        with connect(url, additional_headers=headers, proxy=None, compression=None) as socket:
            for _ in range(STREAMS):
                socket.send(json.dumps({"message": "Tell me a story."}))
                while not (frame := json.loads(socket.recv()))["done"]:
                    count += frame["type"] == "delta"
        assert count == STREAMS * CHUNKS, f"{count} chunks"
        return count


def main(pairs: int) -> ExitCode:
    shutil.rmtree(FOLDER, ignore_errors=True)
    works: dict[str, Callable[[Server], int]] = {"request": Server.requests, "chunk": Server.chunks}
    found: dict[str, dict[str, Any]] = {name: {} for name in LIMITS}
    core = "-"
    with ExitStack() as stack:
        plain = started(stack, "plain", lines=False, probes=False)
        for name in LIMITS:
            measured = started(stack, name.replace(" ", "-"), lines=name != "probes", probes=True)
            core = measured.target.coverage.core if name != "probes" else core
            for unit, work in works.items():
                work(plain), work(measured)  # what is only done once
                found[name][unit] = ratio([pair(plain, measured, work, n % 2 == 0) for n in range(pairs)])
                say(f"{name}, CPU per {unit}: {told(found[name][unit])}, allowed {LIMITS[name]:.2f}")
            measured.target.stop()
    document = {
        "format": 1,
        "python": platform.python_version(),
        "coverage": coverage.__version__,
        "core": core,
        "measured": datetime.now(UTC).date().isoformat(),
        "pairs": pairs,
        "cpu_ratio": found,
    }
    write_atomically(FILE, json.dumps(document, indent=1) + "\n")
    above = [n for n, limit in LIMITS.items() if any(one["mean"] > limit for one in found[n].values())]
    return ExitCode.OBJECTIVE if above else ExitCode.PASS


def started(stack: ExitStack, name: str, *, lines: bool, probes: bool) -> Server:
    config = bundled(1, SETTINGS, coverage="auto" if lines else "off")
    target = launch(replace(config, probes=probes), FOLDER / name, "bench")
    stack.callback(target.stop)
    demo = json.loads(target.setup_output[1])
    client = http.client.HTTPConnection(urlsplit(target.url).netloc)
    pace = {"tokens": CHUNKS, "interval_ms": 0, "first_token_ms": 0}
    body = {"name": "bench", "model": "embedded/markov-1", "configuration": {"embedded": pace}}
    headers = {"Authorization": f"Bearer {demo['admin']['token']}", "Content-Type": "application/json"}
    client.request("POST", "/api/agents", json.dumps(body | {"maturity_level": "AUTONOMOUS"}), headers)
    response = client.getresponse()
    made = json.loads(response.read())
    assert response.status == 201, made
    return Server(target, demo["users"][0]["token"], made["id"])


def pair(plain: Server, measured: Server, work: Callable[[Server], int], first: bool) -> float:
    """Measured over plain, of the same work; first: the plain one is asked first."""
    spent = {}
    for server in (plain, measured) if first else (measured, plain):
        before = server.cpu_ns()
        count = work(server)
        spent[server] = (server.cpu_ns() - before) / count
    return spent[measured] / spent[plain]


def ratio(ratios: Sequence[float]) -> dict[str, float]:
    """The trimmed mean with its interval."""
    low, high = stats.mstats.trimmed_mean_ci(numpy.asarray(ratios), limits=(TRIM, TRIM))
    mean = float(stats.trim_mean(ratios, TRIM))
    return {"mean": round(mean, 4), "low": round(float(low), 4), "high": round(float(high), 4)}


def told(one: dict[str, float]) -> str:
    return f"{one['mean']:.3f} × [{one['low']:.3f}, {one['high']:.3f}]"


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    raise SystemExit(int(main(int(sys.argv[1]) if len(sys.argv) > 1 else PAIRS)))
