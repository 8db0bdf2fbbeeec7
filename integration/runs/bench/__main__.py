"""`make bench`: what Streamgauge costs and how far off it is, beside other clients, in one run.

Each cell is one client against the reference server, each on a core of its own where there are two, several
runs in turns. Where something waited for a core in more than a fifth of a cell's time although both had their
own, it is repeated once and marked. Writes `reports/bench/bench.json` and prints Markdown.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from integration.runs.bench import tools
from integration.runs.bench.cell import OURS, Cell, python_of_peers, run
from integration.runs.bench.peers import PEERS
from integration.runs.bench.places import HERE, Place
from integration.runs.locust import ROOT

PARTS: Final = ("flat", "paced", "most")
DISTURBED: Final = 0.2
FILE: Final = ROOT / "reports" / "bench" / "bench.json"
FLAT, FLAT_S, PEER_S, OURS_S = 50, 9, 6, 10
TOOL_S: Final = 4
"""Whole tools take so much longer to come to rest."""
PACE_MS: Final = 20.0
PACED: Final = (10, 100, 500, 1_000)
PACED_SSE, PACED_PEERS = 400, {"ws": 500, "sse": 400}
WIRES: Final = {name: wire for name, (_, wire, _) in PEERS.items()} | tools.WIRES
STEPS: Final = (100, 200, 300, 400, 500, 600, 700, 800, 900)
MORE_THAN: Final = 3
"""Cores that are taken by the server, a master and one worker."""
SHARES_SPARE, SHARES_ONE_CORE = (1.0, 1.5, 1.7, 2.0), (0.4, 0.6, 0.8, 1.0, 1.2)
"""Streams that two processes try, as a share of what one can."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m integration.runs.bench", description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", help="this part alone; repeatable")
    parser.add_argument("--runs", type=int, default=3, help="of each cell")
    asked = parser.parse_args()
    parts = asked.only or PARTS
    peers, skipped = available()
    document: dict[str, Any] = machine() | {"runs": asked.runs, "peers": peers, "skipped": skipped}
    cells: list[Cell] = []
    if "flat" in parts:
        cells += [Cell(OURS, wire, FLAT, 0, FLAT_S) for wire in ("ws", "sse")]
        cells += [Cell(name, WIRES[name], FLAT, 0, seconds(name)) for name in peers]
    if "paced" in parts:
        cells += [Cell(OURS, "ws", streams, PACE_MS, OURS_S) for streams in PACED]
        cells += [Cell(OURS, "sse", PACED_SSE, PACE_MS, OURS_S)]
        cells += [Cell(n, WIRES[n], PACED_PEERS[WIRES[n]], PACE_MS, seconds(n) + 1) for n in peers]
    every: dict[str, list[dict[str, Any]]] = {cell.name: [] for cell in cells}
    say(head())
    for _ in range(asked.runs):
        for cell in cells:
            every[cell.name].append(once(cell))
    document["cells"] = [summary(runs) for runs in every.values()]
    for one in document["cells"]:
        say(line(one))
    if "most" in parts:
        document["most"] = most()
        say(f"\n{document['most']['told']}")
    for name in skipped:
        say(f"skipped: {name} is not installed")
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(json.dumps(document, indent=1) + "\n")


def seconds(peer: str) -> int:
    """How long it runs."""
    return PEER_S + TOOL_S * (peer in tools.WIRES)


def once(cell: Cell, place: Place = HERE) -> dict[str, Any]:
    """One run, or a second one where the first was disturbed. A full core waits for itself: that counts as
    disturbed only where the client and the server have no core each."""
    found = run(cell, place)
    if disturbed(found):
        found = run(cell, place)
    return found | {"disturbed": disturbed(found)}


def disturbed(found: dict[str, Any]) -> bool:
    return found["psi"] is not None and found["psi"] > DISTURBED


def most() -> dict[str, Any]:
    """The largest number of paced streams that was valid, of one process and of two."""
    one, tried = largest(STEPS)
    told = f"Most paced streams that were valid: {one} of one process"
    if not one:
        return {"one": one, "two": None, "tried": tried, "told": f"{told}."}
    spare = len(os.sched_getaffinity(0)) > MORE_THAN
    steps = [int(one * share / 2) * 2 for share in (SHARES_SPARE if spare else SHARES_ONE_CORE)]
    two, more = largest(steps, processes=2)
    told += f", {two} of two ({two / one:.2f} times)"
    if not spare:
        told += "; these share a core with their master, there is none to spare beside the server's"
    return {"one": one, "two": two, "tried": tried | more, "told": f"{told}."}


def largest(steps: Sequence[int], processes: int = 1) -> tuple[int, dict[str, Any]]:
    """The last of these numbers of streams before one was INVALID, 0 for none; and all that was tried."""
    tried, best = {}, 0
    for streams in steps:
        cell = Cell(OURS, "ws", streams, PACE_MS, OURS_S, processes)
        found = tried[cell.name] = once(cell)
        if found["verdict"] == "INVALID":
            break
        best = streams
    return best, tried


def summary(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Median, smallest and largest of each figure; what was said once, of every run."""
    found: dict[str, Any] = {"cell": runs[0]["cell"], "runs": len(runs)}
    for key in runs[0]:
        values = [one[key] for one in runs]
        numbers = [
            value for value in values if isinstance(value, int | float) and not isinstance(value, bool)
        ]
        if numbers:
            found[key] = {"median": statistics.median(numbers), "min": min(numbers), "max": max(numbers)}
        elif key != "cell":
            found[key] = values
    return found


def head() -> str:
    names: tuple[str, ...] = (
        "cell",
        "CPU-s / 10,000 chunks",
        "chunks/s",
        "TTFT error p99, ms",
        "gap error p99, ms",
    )
    names += ("bound over all gaps p99, ms", "unresolved", "server late p99, ms", "verdict", "disturbed")
    return f"| {' | '.join(names)} |\n|{'---|' * len(names)}"


def line(one: dict[str, Any]) -> str:
    keys: tuple[str, ...] = (
        "cpu_s_per_10k",
        "chunks_per_s",
        "ttft_error_p99_ms",
        "gap_error_p99_ms",
        "gap_bound_p99_ms",
    )
    keys += ("unresolved", "server_late_p99_ms")
    shown = [told(one.get(key)) for key in keys]
    verdicts = ", ".join(sorted({v for v in one["verdict"] if v})) or "–"
    share = f"{sum(one['disturbed'])} of {one['runs']}"
    return f"| {' | '.join((one['cell'], *shown, verdicts, share))} |"


def told(figure: Any) -> str:
    if not isinstance(figure, dict):
        return "–"
    return f"{figure['median']:g} ({figure['min']:g}–{figure['max']:g})"


def available() -> tuple[dict[str, str], list[str]]:
    """The peers that are installed with their versions, and those that are not."""
    code = "import importlib.metadata as m, json\n"
    code += "print(json.dumps({d.name: d.version for d in m.distributions()}))"
    answer = subprocess.run([python_of_peers(), "-c", code], capture_output=True, text=True, check=True)
    versions = json.loads(answer.stdout)
    found = {name: versions[of] for name, (of, _, _) in PEERS.items() if of in versions}
    found |= {name: tool.version for name, tool in tools.installed().items()}
    return found, [name for name in WIRES if name not in found]


def machine() -> dict[str, Any]:
    cpu = [
        row.split(":")[1].strip()
        for row in Path("/proc/cpuinfo").read_text().splitlines()
        if "model name" in row
    ]
    names = ("locust", "gevent", "websockets", "httptools", "orjson", "uvloop")
    return {
        "format": 1,
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "cpu": cpu[0] if cpu else "",
        "cores": len(os.sched_getaffinity(0)),
        "versions": {name: importlib.metadata.version(name) for name in names},
    }


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
