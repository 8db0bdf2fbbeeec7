"""A server whose processor time is compared: what it is asked to do, and what that took it."""

from __future__ import annotations

import http.client
import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from websockets.sync.client import connect

from load.target.config import bundled
from load.target.launch import Target, launch

REQUESTS: Final = 200
STREAMS: Final = 10
CHUNKS: Final = 200
SETTINGS: Final = {
    "BACKEND_RATE_MESSAGES_PER_MIN": "600000",
    "BACKEND_RATE_BURST": "10000",
    # The same order of every set in each process: where things lie alone makes one in fifty.
    "PYTHONHASHSEED": "0",
}
PROCESS_CLOCK: Final = 2
"""`CPUCLOCK_SCHED` of Linux: processor time in ns, of threads that have ended, too."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What is measured in a server."""

    name: str
    lines: bool
    probes: bool


@dataclass(frozen=True, slots=True)
class Account:
    """Who asks, of whom; both are in the server's database."""

    token: str
    agent: str


@dataclass(frozen=True, slots=True)
class Server:
    target: Target
    account: Account

    def cpu_ns(self) -> int:
        """Processor time of all its threads so far."""
        return time.clock_gettime_ns((~self.target.pid << 3) | PROCESS_CLOCK)

    def spent_ns(self, work: Callable[[Server], int]) -> float:
        """Of one unit of that work."""
        before = self.cpu_ns()
        count = work(self)
        return (self.cpu_ns() - before) / count

    def pin(self, core: int) -> None:
        for task in Path(f"/proc/{self.target.pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), {core})

    def requests(self) -> int:
        """Looks at the agent, over one connection; gives how often."""
        client = http.client.HTTPConnection(urlsplit(self.target.url).netloc)
        headers = {"Authorization": f"Bearer {self.account.token}"}
        for _ in range(REQUESTS):
            client.request("GET", f"/api/agents/{self.account.agent}", headers=headers)
            response = client.getresponse()
            response.read()
            assert response.status == 200, f"status {response.status}"
        client.close()
        return REQUESTS

    def chunks(self) -> int:
        """Streams answers, one behind the other; gives the chunks."""
        url = f"ws{self.target.url.removeprefix('http')}/api/agents/{self.account.agent}/stream"
        headers = {"Authorization": f"Bearer {self.account.token}"}
        count = 0
        with connect(url, additional_headers=headers, proxy=None, compression=None) as socket:
            for _ in range(STREAMS):
                socket.send(json.dumps({"message": "Tell me a story."}))
                while not (frame := json.loads(socket.recv()))["done"]:
                    count += frame["type"] == "delta"
        assert count == STREAMS * CHUNKS, f"{count} chunks"
        return count


WORKS: Final[Mapping[str, Callable[[Server], int]]] = MappingProxyType(
    {"request": Server.requests, "chunk": Server.chunks}
)


def start(stack: ExitStack, kind: Kind, folder: Path, python: Path, known: Account | None) -> Server:
    """In that folder, with the account that an earlier server there has made."""
    config = replace(
        bundled(1, SETTINGS, coverage="auto" if kind.lines else "off"), probes=kind.probes, python=python
    )
    if known is not None:
        config = replace(config, setup=())
    target = launch(config, folder, "bench")
    stack.callback(target.stop)
    server = Server(target, known or make_account(target))
    for work in WORKS.values():
        work(server)  # what is only done once
    return server


def make_account(target: Target) -> Account:
    demo = json.loads(target.setup_output[1])
    client = http.client.HTTPConnection(urlsplit(target.url).netloc)
    pace = {"tokens": CHUNKS, "interval_ms": 0, "first_token_ms": 0}
    body = {"name": "bench", "model": "embedded/markov-1", "configuration": {"embedded": pace}}
    headers = {"Authorization": f"Bearer {demo['admin']['token']}", "Content-Type": "application/json"}
    client.request("POST", "/api/agents", json.dumps(body | {"maturity_level": "AUTONOMOUS"}), headers)
    response = client.getresponse()
    made: dict[str, Any] = json.loads(response.read())
    assert response.status == 201, made
    client.close()
    return Account(demo["users"][0]["token"], made["id"])
