"""One cell of the tables: one client against the server, each on a core of its own, and what came of it."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from integration.runs.bench import ours, tools
from integration.runs.bench.figures import Journal, Seen, errors, lateness_ms, quantile_ms, sent_between
from integration.runs.bench.places import HERE, Place
from integration.runs.locust import ROOT

FOLDER: Final = ROOT / "reports" / "bench" / "cells"
OURS: Final = "streamgauge"
SETTLE_S: Final = 3.0
"""From the first stream until processor time is counted: imports, connects and the ramp are over."""
END_S: Final = 1.5
"""From then until a client ends."""
FIRST_S: Final = 40.0
"""So long the first stream is waited for."""
CHUNKS_FLAT, CHUNKS_PACED = 2_000, 100


@dataclass(frozen=True, slots=True)
class Cell:
    """client: `streamgauge`, or a name of `peers`. pace_ms: 0 is flat out. seconds: of load. relay_ms: how
    long a relay between holds each chunk back; None without a relay."""

    client: str
    wire: str
    streams: int
    pace_ms: float
    seconds: int = 10
    processes: int = 1
    relay_ms: float | None = None

    @property
    def name(self) -> str:
        pace = f"{self.pace_ms:g}ms" if self.pace_ms else "flat"
        more = f"-{self.processes}p" if self.processes > 1 else ""
        more += "" if self.relay_ms is None else f"-relay-{self.relay_ms:g}ms"
        return f"{self.client}-{self.wire}-{self.streams}-{pace}{more}"


def run(cell: Cell, place: Place = HERE) -> dict[str, Any]:
    """Its figures; with a relay, against what that sent."""
    folder = FOLDER / cell.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    cores = sorted(os.sched_getaffinity(0))
    apart = len(cores) > 1
    journal = folder / "journal.json"
    chunks = CHUNKS_PACED if cell.pace_ms else CHUNKS_FLAT
    core = str(cores[-1] if apart else -1)
    before: list[Behind] = []
    try:
        args = (str(journal), str(chunks), str(cell.pace_ms), core, place.host)
        before.append(Behind.start("server", args, place))
        if cell.relay_ms is not None:
            args = (str(folder / "relay.json"), place.host, str(before[-1].port), str(cell.relay_ms), core)
            before.append(Behind.start("relay", args, place))
        client = start(cell, folder, place, before[-1].port)
        os.sched_setaffinity(client.pid, set(cores[:-1]) if apart else set(cores))
        before[0].await_stream()
        began, spent, waited = watch(client, cell)
        client.wait(timeout=cell.seconds + 60)
    finally:
        for one in reversed(before):
            one.end()
    rows = of_server = json.loads(journal.read_text())
    if cell.relay_ms is not None:
        rows = json.loads((folder / "relay.json").read_text())
    since, until = began
    sent = sent_between(rows, since, until)
    document, seen = left(cell, folder)
    found = errors(seen, rows, since)
    health: dict[str, Any] = {} if document is None else document["verdict"]
    return {
        "cell": cell.name,
        "cpu_s_per_10k": round(spent / 1e9 / sent * 10_000, 4) if sent else None,
        "chunks_per_s": round(sent / ((until - since) / 1e9)),
        "streams_seen": len(seen),
        "server_late_p99_ms": lateness_ms(rows, int(cell.pace_ms * 1e6), since),
        "psi": waited,
        "verdict": health.get("status"),
        "reasons": health.get("reasons", []),
        **(found.told() if cell.pace_ms else {}),
        **({} if cell.relay_ms is None else {"past_relay_ms": past_ms(seen, rows, of_server, since)}),
    }


def past_ms(seen: list[Seen], rows: Journal, of_server: Journal, since: int) -> float | None:
    """By how much a first chunk was later than the server had sent it, in the median."""
    passed = {name: of_server[name] for name in rows}
    return quantile_ms(errors(seen, passed, since).first, 0.5)


@dataclass(frozen=True, slots=True)
class Behind:
    """A process that a client talks to, directly or not; it writes its journal at its end."""

    process: subprocess.Popen[str]
    port: int

    @classmethod
    def start(cls, module: str, args: Sequence[str], place: Place) -> Behind:
        """`module` of this package; it says its port."""
        process = subprocess.Popen(
            [*place.server, sys.executable, "-m", f"integration.runs.bench.{module}", *args],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        return cls(process, int(process.stdout.readline()))

    def await_stream(self) -> None:
        """Until its first answer is asked for. Raises TimeoutError."""
        assert self.process.stdout is not None
        if not select.select([self.process.stdout], [], [], FIRST_S)[0]:
            raise TimeoutError("no stream came")

    def end(self) -> None:
        """Its journal is there afterwards."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=60)


def start(cell: Cell, folder: Path, place: Place, port: int) -> subprocess.Popen[str]:
    if cell.client == OURS:
        return ours.start(folder, place, port, cell.wire, cell.streams, cell.seconds, cell.processes)
    tool = tools.installed().get(cell.client)
    if tool is not None:
        return tools.start(tool, folder, port, cell.streams, cell.seconds, paced=bool(cell.pace_ms))
    args = [cell.client, str(port), str(cell.streams), str(cell.seconds), str(folder / "seen.json")]
    with (folder / "out.txt").open("w") as out:
        return subprocess.Popen(
            [python_of_peers(), "-m", "integration.runs.bench.peers", *args],
            cwd=ROOT,
            stdout=out,
            stderr=out,
            text=True,
        )


def python_of_peers() -> str:
    """That of their own environment, where there is one."""
    own = ROOT / ".venv-bench" / "bin" / "python"
    return str(own) if own.exists() else sys.executable


def left(cell: Cell, folder: Path) -> tuple[Any, list[Seen]]:
    if cell.client == OURS:
        return ours.run_of(folder)
    if cell.client in tools.WIRES:
        return None, tools.seen(cell.client, folder)
    if not (folder / "seen.json").exists():
        raise SystemExit(f"{cell.name} failed:\n{(folder / 'out.txt').read_text()[-1000:]}")
    found = json.loads((folder / "seen.json").read_text())
    return None, [Seen(name, tuple(arrivals)) for name, arrivals in found.items() if arrivals]


def watch(client: subprocess.Popen[str], cell: Cell) -> tuple[tuple[int, int], int, float | None]:
    """From when to when, the processor time of the client and its children in it, and the share of that time
    in which something waited for a core, without the client itself being the cause where it has its own."""
    settle_s = SETTLE_S + 0.002 * cell.streams
    time.sleep(settle_s)
    since, cpu, stalled = time.perf_counter_ns(), cpu_ns(client.pid), waited_us()
    time.sleep(max(2.0, cell.seconds - settle_s - END_S))
    until, more, later = time.perf_counter_ns(), cpu_ns(client.pid), waited_us()
    share = None
    if stalled is not None and later is not None:
        share = round((later - stalled) * 1000 / (until - since), 3)
    return (since, until), more - cpu, share


def cpu_ns(pid: int) -> int:
    """Of all threads of the process and of its children, to the nanosecond."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
        for child in (task / "children").read_text().split():
            total += cpu_ns(int(child))
    return total


def waited_us() -> int | None:
    """So long something has waited for a core since the machine started; None where it does not tell."""
    try:
        return int(Path("/proc/pressure/cpu").read_text().split("total=")[1].split()[0])
    except OSError:
        return None
