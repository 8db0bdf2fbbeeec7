"""One load run: its folder, what runs for it, what it has seen, and what follows from its options."""

from __future__ import annotations

import os
import resource
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from load.compared import Compared
from load.drivers.clock import CLOCK
from load.metrics.run import STEADY, Health
from load.metrics.tally import Tally
from load.metrics.timeline import Limits
from load.options import Options
from load.report.figures import Accuracy
from load.report.provenance import Provenance, gather
from load.report.store import StreamRows, create_folder
from load.scenarios.base import Session
from load.scenarios.held import measured
from load.scenarios.ledger import Ledger
from load.scenarios.rest import Rest
from load.scenarios.rows.needed import needed
from load.scenarios.windows import Windows, planned
from load.target.launch import Target
from load.target.locks import Locks
from load.target.provider import Provider
from load.verdict.baseline import Baseline
from load.verdict.behaviour import Needed
from load.verdict.crew import Crew
from load.verdict.judge import Verdict
from load.verdict.objective import Objective
from load.verdict.rules import Rules
from load.verdict.search import Search
from load.verdict.slo import Result, evaluate
from load.verdict.validity import late_budget_ns

WHOLE_FROM_S: Final = 20.0
WHOLE_FROM_WALKERS: Final = 20
"""A shorter measuring window, or fewer failure users, cannot reach every row."""


@dataclass(slots=True)
class LoadRun:
    """not_checkable: as in `RunFacts`. asked: scenarios that must have come. rules: what must be covered.
    walkers: failure users. users: how many there were from each moment (monotonic) on. conversations: how
    many there were to choose from. before: what the target held when nobody had come, None where we may not
    look. verdict: None until `conclude`. gone: why the target counts as down, None while it does not.
    expected_to_end: it was told to stop. crew: the workers that measured for it, None where this process
    does. search: for a capacity, compared: two servers; None in any other run. fingerprint: as far as it is
    known before the first user. baseline: the stored run it is held against, None without one.
    """

    options: Options
    folder: Path
    rows: StreamRows
    ledger: Ledger
    limits: Limits
    provenance: Provenance
    started: datetime
    session: Session | None = None
    target: Target | None = None
    provider: Provider | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    asked: tuple[str, ...] = ()
    not_checkable: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    objectives: tuple[Objective, ...] = ()
    rules: Rules = field(default_factory=Rules)
    users: list[tuple[int, int]] = field(default_factory=list)
    walkers: int = 0
    conversations: int = 0
    before: Rest | None = None
    verdict: Verdict | None = None
    gone: str | None = None
    expected_to_end: bool = False
    crew: Crew | None = None
    search: Search | None = None
    compared: Compared | None = None
    fingerprint: Mapping[str, Any] = field(default_factory=dict)
    baseline: Baseline | None = None
    _started_ns: int = field(default_factory=time.perf_counter_ns)
    _usage: resource.struct_rusage = field(default_factory=lambda: resource.getrusage(resource.RUSAGE_SELF))

    @classmethod
    def create(cls, options: Options) -> LoadRun:
        """A run with its folder. Raises UsageError when nothing can be written there."""
        started = datetime.now(UTC)
        provenance = gather(options.app_dir, shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]))
        folder = create_folder(options.reports, started, provenance.short_sha)
        rows = StreamRows(folder)
        CLOCK.drain()
        return cls(options, folder, rows, Ledger(rows.write), Limits(), provenance, started)

    def discard(self, *, keep_log: bool) -> None:
        """Nothing came of it: leaves nothing running, and a folder only where the target's log says why."""
        self.rows.close()
        if self.target is not None:
            self.target.stop(timeout_s=2.0)
        if self.provider is not None:
            self.provider.stop()
        if not (keep_log and any(self.folder.glob("*.log"))):
            shutil.rmtree(self.folder, ignore_errors=True)

    def target_gone(self, refusals_in_a_row: int = 20) -> bool:
        """Whether there is nothing left to measure; keeps why."""
        watched = self.target is not None and not self.expected_to_end
        death = self.target.death() if watched and self.target is not None and self.gone is None else None
        if death is not None:
            self.gone = str(death)
        elif self.gone is None and self.ledger.refused_in_a_row >= refusals_in_a_row:
            seconds = (time.perf_counter_ns() - self._started_ns) / 1e9
            self.gone = f"{refusals_in_a_row} connects in a row were refused, {seconds:.1f} s into the run"
        return self.gone is not None

    @property
    def provider_died(self) -> str | None:
        """How the provider behind the target ended by itself; None while it has not."""
        death = None if self.provider is None else self.provider.death()
        return None if death is None else str(death)

    @property
    def may_end_together(self) -> bool:
        """Whether an end phase makes sense: the bundled backend of ours is alive, and failures are wanted."""
        wanted = self.options.failures == "all" and not self.options.scenarios
        known = self.session is not None and self.session.admin_token is not None
        alive = self.target is not None and not self.target_gone() and not self.provider_died
        return alive and wanted and known

    def locks(self) -> Locks:
        """Starts the process that locks the target's database. Raises InvalidRun."""
        assert self.target is not None
        assert self.target.database_url is not None
        return Locks(self.folder, self.target.database_url)

    def signal_target(self) -> None:
        """Tells the target to stop, as an operator would."""
        if self.target is not None:
            self.expected_to_end = True
            os.kill(self.target.pid, signal.SIGTERM)

    @property
    def reproduce(self) -> str:
        """A command with `{scenario}` in it that repeats a part of this run."""
        options = self.options
        where = "" if options.app_dir == Path() else f" --app-dir {shlex.quote(str(options.app_dir))}"
        if options.host is not None:
            where = f" --host {options.host} --token-env {options.token_env}"
            where += "" if options.tls_ca is None else f" --tls-ca {shlex.quote(str(options.tls_ca))}"
            where += " --insecure" if options.insecure else ""
        if options.is_paired:
            named = {"base": options.base, "base-app": options.base_app, "base-host": options.base_host}
            selfcheck = " --selfcheck" if options.selfcheck else ""
            base = selfcheck + "".join(
                f" --{name} {_braced(shlex.quote(value))}" for name, value in named.items() if value
            )
            return f"locust -f locustfile.py --headless{base} --seed {options.seed}{where}"
        for_s = "" if options.run_time_s is None else f" -t {options.run_time_s:g}s"
        crowd = f"-u {options.users}"
        if options.is_open:
            crowd = f"--max-in-flight {options.users - self.walkers} "
            crowd += f"--rate {options.rate.given}" if options.rate else f"--replay {options.replay}"
        elif options.find_capacity:
            crowd += " --find-capacity"
        elif options.stages:
            crowd = "--stages " + ",".join(f"{stage.users}:{stage.lasts_s:g}s" for stage in options.stages)
        return (
            f"locust -f locustfile.py --headless {crowd} -r {options.spawn_rate:g}{for_s}"
            f" --scenario {{scenario}} --seed {options.seed}{where}"
        )

    def open_windows(self, began_ns: int) -> Windows:
        """All users have come; began_ns: when the run time began to count."""
        now_ns, run_time_s = time.perf_counter_ns(), self.options.run_time_s
        left_s = None if run_time_s is None else run_time_s - (now_ns - began_ns) / 1e9
        self.ledger.windows = planned(
            now_ns, left_s, self.options.seed, clean=bool(self.asked), rough=self.walkers > 0
        )
        return self.ledger.windows

    def needed(self) -> tuple[Needed, ...]:
        """The rows that this run has to reach: all of them, unless it is short, small or a part."""
        return needed(self.ledger.outcomes.rows, while_measuring=self.is_whole)

    def needed_rows(self) -> frozenset[str]:
        """Ids of docs/errors.md, every path of which the load has to reach."""
        return frozenset(row.id for row in self.needed()) if self.is_whole else frozenset()

    @property
    def is_whole(self) -> bool:
        """Whether it is long and large enough to be held against everything that is asked of the default."""
        options, steady_s = self.options, self.steady_s
        whole = options.host is None and options.failures == "all" and not options.scenarios
        long = steady_s is not None and steady_s >= WHOLE_FROM_S
        return whole and long and self.walkers >= WHOLE_FROM_WALKERS

    @property
    def steady_s(self) -> float | None:
        """Length of the measuring window; None when it never opened."""
        windows, end = self.ledger.windows, self.ledger.steady_until_ns
        return None if windows is None or end is None else (end - windows.from_ns) / 1e9

    @property
    def began_ns(self) -> int:
        """When the users began to come, or the run where none did."""
        return self.users[0][0] if self.users else self._started_ns

    @property
    def undisturbed(self) -> tuple[str, ...]:
        """Scenarios without a failure of their own."""
        scenarios = self.ledger.outcomes.scenarios
        return tuple(name for name, outcome in scenarios.items() if not outcome.of_failures)

    @property
    def quiet(self) -> Tally:
        """The undisturbed streams of the measuring window; all of them where none are."""
        run = self.ledger.run
        return sum(
            (run.total(scenario=name, windows=STEADY) for name in self.undisturbed or run.scenarios()),
            Tally(),
        )

    @property
    def late_budget_ns(self) -> int:
        """How late we may look at a chunk."""
        limits = [self.limits.stall_ns, *(objective.most_ns for objective in self.objectives)]
        return late_budget_ns(self.quiet.gap, [limit for limit in limits if limit is not None])

    def results(self) -> tuple[Result, ...]:
        """Every objective, held against what was measured; of a search, under the largest load that held."""
        if self.search is not None:
            return self.search.results
        core = "" if self.target is None else self.target.coverage.core
        accuracy = Accuracy.of(self.ledger.run.health, core)
        late_ns = accuracy.late_p99_ns or 0
        held = measured(
            self.ledger,
            self.undisturbed,
            steady_s=self.steady_s,
            late_ns=late_ns,
            on_time=late_ns <= self.late_budget_ns,
            tracer=accuracy.tracer,
        )
        return tuple(evaluate(objective, held) for objective in self.objectives)

    def health(self) -> Health:
        """How well the generator kept up, processor time included; empties the clock's counts."""
        if self.crew is not None:
            return self.ledger.run.health  # what this process did beside them is no lateness of theirs
        health = self.ledger.run.health + CLOCK.drain()
        usage = resource.getrusage(resource.RUSAGE_SELF)
        spent_s = usage.ru_utime + usage.ru_stime - self._usage.ru_utime - self._usage.ru_stime
        health.cpu_ns += int(spent_s * 1e9)
        health.wall_ns += time.perf_counter_ns() - self._started_ns
        health.involuntary_switches += usage.ru_nivcsw - self._usage.ru_nivcsw
        health.processes += 1
        return health


def _braced(text: str) -> str:
    """What `format` gives back as it is: `HEAD@{1}` names a commit."""
    return text.replace("{", "{{").replace("}", "}}")
