"""`python -m integration.runs.bench.overhead [--python PATH]`: what it costs the target to be measured.

Three servers of the same sources: neither lines nor probes, probes alone, lines and probes. In one round each
does the same work twice, in an order that reads the same both ways (A B C C B A, C B A A B C), the server
on one core and its client on another; what is compared is the servers' processor time in ns. A request is one
look at an agent; a chunk one of 200 in a streamed answer. Servers are started anew after every few rounds:
two processes of one program differ, too.

Means are trimmed by 20 % at each end; the interval is 95 %, and has the part that lies between starts where
there is one. `reports/overhead.json` keeps the last figure of each Python; reports of later runs quote it.
Ends with 3 where an interval lies above its limit; with 6, and keeps nothing, where the limit lies within it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from integration.runs.bench.measured import WORKS, Account, Kind, Server, start
from load.errors import ExitCode
from load.report.store import write_atomically
from load.target.config import ROOT
from load.target.overhead import FORMAT, STORED, stored
from load.verdict.robust import over_lifetimes

STARTS, ROUNDS = 6, 24
PLAIN: Final = Kind("plain", lines=False, probes=False)
MEASURED: Final = (
    Kind("probes", lines=False, probes=True),
    Kind("lines and probes", lines=True, probes=True),
)
FOLDER: Final = ROOT / "reports" / "bench" / "overhead"
_VERSIONS: Final = (
    "import coverage, json, platform; print(json.dumps([platform.python_version(), coverage.__version__]))"
)


@dataclass(frozen=True, slots=True)
class Ratio:
    """Measured over plain, with its interval."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, by_start: Sequence[Sequence[float]]) -> Ratio:
        estimate = over_lifetimes(dict(enumerate(by_start)))
        if estimate is None:
            raise SystemExit("five rounds or more give an estimate")
        return cls(*(round(one, 4) for one in (estimate.mean, estimate.bound(0.025), estimate.bound(0.975))))

    def against(self, limit: float | None) -> ExitCode:
        """Below it for sure, above it for sure, or neither; None allows anything."""
        if limit is None or self.high <= limit:
            return ExitCode.PASS
        return ExitCode.OBJECTIVE if self.low > limit else ExitCode.INVALID

    def __str__(self) -> str:
        return f"{self.mean:.3f} × [{self.low:.3f}, {self.high:.3f}]"


def main() -> ExitCode:
    parser = argparse.ArgumentParser(prog="python -m integration.runs.bench.overhead", description=__doc__)
    parser.add_argument("--python", type=Path, default=Path(sys.executable), help="of the servers")
    parser.add_argument("--starts", type=int, default=STARTS, help="of each server")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="between two starts")
    asked = parser.parse_args()
    python = asked.python.absolute()
    shutil.rmtree(FOLDER, ignore_errors=True)
    accounts: dict[Kind, Account] = {}
    ratios: dict[tuple[str, str], list[list[float]]] = {}
    core = "-"
    for number in range(asked.starts):
        found, core = one_start(python, asked.rounds, accounts, odd=bool(number % 2))
        for key, of_it in found.items():
            ratios.setdefault(key, []).append(of_it)
        say(f"{number + 1} of {asked.starts} starts")
    version, of_coverage = versions(python)
    limits = {"probes": 1.03} | ({"lines and probes": 1.10} if core == "sysmon" else {})
    told: dict[str, dict[str, Any]] = {kind.name: {} for kind in MEASURED}
    ended = ExitCode.PASS
    for (name, unit), by_start in ratios.items():
        ratio = Ratio.of(by_start)
        told[name][unit] = {"mean": ratio.mean, "low": ratio.low, "high": ratio.high}
        allowed = f", allowed {limits[name]:.2f}" if name in limits else ""
        say(f"Python {version}, {name} ({core}), CPU per {unit}: {ratio}{allowed}")
        answer = ratio.against(limits.get(name))
        if answer is ExitCode.INVALID:
            say("  the limit lies within the interval: repeat it on a quiet machine, or with more --rounds")
        ended = max(ended, answer)
    if ended is ExitCode.INVALID:
        return ended
    keep(
        {
            "python": version,
            "coverage": of_coverage,
            "core": core,
            "measured": datetime.now(UTC).date().isoformat(),
            "pairs": asked.starts * asked.rounds,
            "starts": asked.starts,
            "cpu_ratio": told,
        }
    )
    return ended


def one_start(
    python: Path, rounds: int, accounts: dict[Kind, Account], *, odd: bool
) -> tuple[Mapping[tuple[str, str], list[float]], str]:
    """Ratios of each round by kind and unit, and the core that recorded lines."""
    cores = sorted(os.sched_getaffinity(0))
    found: dict[tuple[str, str], list[float]] = {}
    with ExitStack() as stack:
        servers: dict[Kind, Server] = {}
        for kind in (PLAIN, *MEASURED):
            folder = FOLDER / kind.name.replace(" ", "-")
            servers[kind] = start(stack, kind, folder, python, accounts.get(kind))
            accounts[kind] = servers[kind].account
        if len(cores) > 1:
            os.sched_setaffinity(0, set(cores[:-1]))
            stack.callback(os.sched_setaffinity, 0, set(cores))
            for server in servers.values():
                server.pin(cores[-1])
        for number in range(rounds):
            order = [PLAIN, *MEASURED] if number % 2 == odd else [*MEASURED[::-1], PLAIN]
            for unit, work in WORKS.items():
                spent = dict.fromkeys(servers, 0.0)
                for kind in (*order, *order[::-1]):
                    spent[kind] += servers[kind].spent_ns(work)
                for kind in MEASURED:
                    found.setdefault((kind.name, unit), []).append(spent[kind] / spent[PLAIN])
        core = servers[MEASURED[-1]].target.coverage.core
    return found, core


def versions(python: Path) -> tuple[str, str]:
    """Of the servers' Python and coverage."""
    done = subprocess.run([str(python), "-c", _VERSIONS], capture_output=True, text=True, check=True)
    version, of_coverage = json.loads(done.stdout)
    return version, of_coverage


def keep(figure: Mapping[str, Any]) -> None:
    """In place of the one of the same Python, coverage and core."""
    same = ("python", "coverage", "core")
    others = [one for one in stored(STORED) if any(one.get(name) != figure[name] for name in same)]
    document = {"format": FORMAT, "figures": [*others, dict(figure)]}
    write_atomically(STORED, json.dumps(document, indent=1) + "\n")


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    raise SystemExit(int(main()))
