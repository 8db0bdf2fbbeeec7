"""One run over several processes: what a worker is told, and how it tells what it measured.

    master -> worker   FACTS     the target, accounts and agents, which share of the users' numbers is its own
                       WINDOWS   when the measuring part began, and its windows
                       HALT      stop the users, then send the last report
    worker -> master   Locust's own report every 3 s carries a part of the ledger under `PART`;
                       LAST      the last part

Target, provider, report and verdict are the master's. Each worker walks its own share of the failure rows,
and takes every n-th arrival of open load.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from load.drivers.clock import CLOCK
from load.metrics.row import StreamRow
from load.metrics.run import Run
from load.metrics.timeline import Limits
from load.options import Options
from load.report.store import line_of, write_atomically
from load.scenarios.accounts import Accounts, Auth
from load.scenarios.base import Session
from load.scenarios.ledger import Ledger
from load.scenarios.numbers import Numbers
from load.scenarios.open import Pool
from load.scenarios.own import Own
from load.scenarios.part import MOST_ROWS, take
from load.scenarios.prompts import PromptSource, load_prompts
from load.scenarios.rows.needed import due
from load.scenarios.walk import Walk
from load.scenarios.windows import Windows

FACTS: Final = "streamgauge_facts"
WINDOWS: Final = "streamgauge_windows"
HALT: Final = "streamgauge_halt"
LAST: Final = "streamgauge_last"
PART: Final = "streamgauge"

Facts = Mapping[str, Any]
"""Plain values, as they go over the wire."""


def fingerprint(options: Options) -> str:
    """Of the instrument's code and of the files that options name; equal where runs can be added up."""
    digest = hashlib.sha256(".".join(platform.python_version_tuple()[:2]).encode())
    home = Path(__file__).parent
    named = [path for path in (options.prompts, options.config, *options.scenario_files) if path is not None]
    for path in [*sorted(home.rglob("*.py")), *named]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def facts_of(
    session: Session, folder: Path, walkers: int, weights: Mapping[str, float], place: tuple[int, int]
) -> Facts:
    """What a worker needs to know. place: its index, and how many there are. weights: of those who take the
    arrivals of open load."""
    return {
        "run": folder.name,
        "folder": str(folder.resolve()),
        "place": list(place),
        "users": session.options.users,
        "spawn_rate": session.options.spawn_rate,
        "run_time_s": session.options.run_time_s,
        "url": session.target_url,
        "upstream_url": session.upstream_url,
        "tokens": list(session.tokens),
        "admin_token": session.admin_token,
        "agents": dict(session.agents),
        "failures": list(session.failures),
        "walkers": walkers,
        "weights": dict(weights),
    }


def windows_of(windows: Windows) -> Facts:
    """Windows by the wall clock, which processes share."""
    ago_ns = time.perf_counter_ns() - windows.from_ns
    return {
        "from_utc_ns": time.time_ns() - ago_ns,
        "length_ns": windows.length_ns,
        "kinds": list(windows.kinds),
        "rough_s": windows.rough_s,
    }


def windows_from(facts: Facts) -> Windows:
    """The same on this process's clock."""
    ago_ns = time.time_ns() - int(facts["from_utc_ns"])
    return Windows(
        time.perf_counter_ns() - ago_ns, facts["length_ns"], tuple(facts["kinds"]), facts["rough_s"]
    )


class Shift:
    """A worker's part in one run. verdict: never; it is the master's to say."""

    verdict: None = None

    def __init__(self, options: Options, own: Own | None, facts: Facts) -> None:
        self.facts = facts
        self.options = options
        self.index, self.count = facts["place"]
        self.fingerprint = fingerprint(options)
        self.over = False
        self._rows: list[bytes] = []
        self._reports = 0
        self._total = Run()
        self._began_ns, self._cpu_s = time.perf_counter_ns(), time.process_time()
        CLOCK.drain()
        self.ledger = Ledger(self._keep)
        conversations, limits, url = load_prompts(options.prompts), Limits(), str(facts["url"])
        failures = tuple(facts["failures"])
        mine = set(failures[self.index :: self.count])
        self.session = Session(
            options=options,
            target_url=url,
            upstream_url=facts["upstream_url"],
            tokens=tuple(facts["tokens"]),
            admin_token=facts["admin_token"],
            accounts=Accounts(Auth({}) if own is None else own.auth, url),
            agents=facts["agents"],
            failures=failures,
            # How often a row is due depends on all of them.
            walk=Walk({name: row for name, row in due(failures).items() if name in mine}, options.seed),
            ledger=self.ledger,
            prompts=lambda user: PromptSource(conversations, options.seed, user),
            limits=limits,
            seed=options.seed,
            pool=Pool() if options.is_open else None,
            numbers=Numbers(self.index, self.count),
            walkers=itertools.count(self.index, self.count),
        )

    def of_open_load(self, starts: Iterator[int]) -> Iterator[int]:
        """Its own arrivals of all."""
        return itertools.islice(starts, self.index, None, self.count)

    def report(self, *, final: bool = False) -> dict[str, Any]:
        """What came since the last report."""
        ledger = self.ledger
        if final:
            ledger.settle()
            health = ledger.run.health
            health.processes += 1
            health.wall_ns += time.perf_counter_ns() - self._began_ns
            health.cpu_ns += int((time.process_time() - self._cpu_s) * 1e9)
        ledger.run.health = ledger.run.health + CLOCK.drain()
        self._total = self._total + ledger.run
        part = take(ledger, self._rows)
        part |= {
            "of": self.facts["run"],
            "number": self._reports,
            "final": final,
            "fingerprint": self.fingerprint,
        }
        self._reports += 1
        return part

    def dump(self) -> None:
        """Its own figures beside the run's, where the folder is within reach."""
        folder = Path(self.facts["folder"])
        if folder.is_dir():
            with suppress(OSError):  # the master has it all
                content = json.dumps(self._total.to_json())
                write_atomically(folder / f"worker-{self.index}.json", content)

    def _keep(self, row: StreamRow) -> None:
        # What does not fit is only counted.
        self._rows.append(line_of(row) if len(self._rows) < MOST_ROWS else b"")
