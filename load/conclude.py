"""One load run from its folder to its verdict: what it holds, what it found, and how it is written.

Raw data first: rows are written while the run goes on, coverage once the target has ended, then `run.json`,
and only then what is rendered from it.
"""

from __future__ import annotations

import os
import resource
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from load.drivers.clock import CLOCK
from load.drivers.route import proxy_for
from load.errors import ExitCode, InvalidRun
from load.metrics.run import STEADY, Health
from load.metrics.tally import Tally
from load.metrics.timeline import Limits
from load.options import Options
from load.report import console, render
from load.report.document import RunFacts, TargetFacts, build
from load.report.figures import Accuracy
from load.report.provenance import Provenance, gather
from load.report.recorder import write_recording
from load.report.store import StreamRows, create_folder
from load.scenarios.base import Session
from load.scenarios.held import measured
from load.scenarios.ledger import Ledger
from load.scenarios.rest import Rest
from load.scenarios.rows.needed import needed
from load.scenarios.windows import planned
from load.target.config import ROOT
from load.target.journal import Journal
from load.target.launch import Target
from load.target.locks import Locks
from load.target.parts import CoverageSummary, find_parts, write_coverage_json
from load.target.provider import Provider
from load.target.rows import read_executions
from load.verdict.behaviour import Needed, missing, undeclared, unreached
from load.verdict.judge import Finding, Verdict, judge
from load.verdict.objective import Objective
from load.verdict.reconcile import Reconciled, Stored, reconcile
from load.verdict.reconcile import findings as differences
from load.verdict.slo import Result, evaluate
from load.verdict.slo import findings as missed
from load.verdict.validity import late_budget_ns, untrustworthy

LAST_WORDS: Final = 10
"""Lines of a dead target's log that the report repeats."""

WHOLE_FROM_S: Final = 20.0
WHOLE_FROM_WALKERS: Final = 20
"""A shorter measuring window, or fewer failure users, cannot reach every row."""


@dataclass(slots=True)
class LoadRun:
    """not_checkable: as in `RunFacts`. asked: scenarios that must have come. walkers: failure users.
    conversations: how many there were to choose from. before: what the target held when nobody had
    come, None where we may not look. verdict: None until `conclude`. gone: why the target counts as
    down, None while it does not. expected_to_end: it was told to stop.
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
    walkers: int = 0
    conversations: int = 0
    before: Rest | None = None
    verdict: Verdict | None = None
    gone: str | None = None
    expected_to_end: bool = False
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
        for_s = "" if options.run_time_s is None else f" -t {options.run_time_s:g}s"
        crowd = f"-u {options.users}"
        if options.is_open:
            crowd = f"--max-in-flight {options.users - self.walkers} "
            crowd += f"--rate {options.rate.given}" if options.rate else f"--replay {options.replay}"
        elif options.stages:
            crowd = "--stages " + ",".join(f"{stage.users}:{stage.lasts_s:g}s" for stage in options.stages)
        return (
            f"locust -f locustfile.py --headless {crowd} -r {options.spawn_rate:g}{for_s}"
            f" --scenario {{scenario}} --seed {options.seed}{where}"
        )

    def open_windows(self, began_ns: int) -> None:
        """All users have come; began_ns: when the run time began to count."""
        now_ns, run_time_s = time.perf_counter_ns(), self.options.run_time_s
        left_s = None if run_time_s is None else run_time_s - (now_ns - began_ns) / 1e9
        self.ledger.windows = planned(
            now_ns, left_s, self.options.seed, clean=bool(self.asked), rough=self.walkers > 0
        )

    def needed(self) -> tuple[Needed, ...]:
        """The rows that this run has to reach: all of them, unless it is short, small or a part."""
        options, steady_s = self.options, self.steady_s
        whole = options.host is None and options.failures == "all" and not options.scenarios
        long = steady_s is not None and steady_s >= WHOLE_FROM_S
        return needed(
            self.ledger.outcomes.rows, while_measuring=whole and long and self.walkers >= WHOLE_FROM_WALKERS
        )

    @property
    def steady_s(self) -> float | None:
        """Length of the measuring window; None when it never opened."""
        windows, end = self.ledger.windows, self.ledger.steady_until_ns
        return None if windows is None or end is None else (end - windows.from_ns) / 1e9

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
        return late_budget_ns(self.quiet.gap, (self.limits.stall_ns,))

    def results(self) -> tuple[Result, ...]:
        """Every objective, held against what was measured."""
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
        health = self.ledger.run.health + CLOCK.drain()
        usage = resource.getrusage(resource.RUSAGE_SELF)
        spent_s = usage.ru_utime + usage.ru_stime - self._usage.ru_utime - self._usage.ru_stime
        health.cpu_ns += int(spent_s * 1e9)
        health.wall_ns += time.perf_counter_ns() - self._started_ns
        health.involuntary_switches += usage.ru_nivcsw - self._usage.ru_nivcsw
        health.processes += 1
        return health


def conclude(run: LoadRun, *, interrupted: bool) -> Verdict:
    """Stops the target, judges, writes, shows. Called once, when all users have ended."""
    run.ledger.settle()
    run.ledger.run.health = run.health()
    run.rows.close()
    run.target_gone()
    findings = list(_findings(run, interrupted=interrupted))
    if run.target is not None:
        run.target.stop()
    try:
        journal = None if run.provider is None else run.provider.end(run.folder)
    except InvalidRun as error:
        journal = None
        if not run.provider_died:
            findings.append(_invalid(str(error)))
    if journal is not None:
        run.ledger.kept.book(run.ledger.run, journal.entries)
    whole = not interrupted and run.gone is None and run.provider_died is None
    reconciled = _reconciled(run, journal) if whole else None
    if reconciled is not None:
        findings.extend(differences(reconciled))
    coverage, absent = _coverage(run)
    if absent and run.options.host is None and run.options.coverage != "off":
        findings.append(_invalid(f"selfcheck: {absent}"))
    results = run.results() if whole else ()
    findings.extend(missed(results))
    run.verdict = judge(findings, run.options.undecided)
    log = None if run.target is None else run.target.log
    recordings = {}
    for stream_id, frames in run.ledger.recordings.items():
        with suppress(OSError):  # a full disk shows again at run.json, and is named there
            recordings[stream_id] = write_recording(run.folder, stream_id, frames, log)
    windows = run.ledger.windows
    facts = RunFacts(
        options=run.options,
        target=_target(run),
        name=run.folder.name,
        started=run.started,
        ended=datetime.now(UTC),
        provenance=run.provenance,
        steady_s=run.steady_s,
        late_budget_ns=run.late_budget_ns,
        conversations=run.conversations,
        reconciled=reconciled,
        journal=journal is not None,
        target_cpu_s=None if run.target is None else round(run.target.facts()["cpu_s"], 3),
        provider_cpu_s=None if journal is None else round(journal.cpu_s, 3),
        coverage=coverage,
        coverage_absent=absent,
        undisturbed=run.undisturbed,
        recordings=recordings,
        rows_dropped=run.rows.dropped,
        needed=run.needed(),
        not_checkable=run.not_checkable,
        objectives=results,
        max_in_flight=run.options.users - run.walkers if run.options.is_open else None,
        window_order=() if windows is None else windows.kinds,
        window_s=None if windows is None or windows.endless else round(windows.length_ns / 1e9, 3),
    )
    document = build(facts, run.ledger.run, run.ledger.outcomes, run.verdict)
    console.show(document, run.folder)
    try:
        render.write_document(run.folder, document)
        failures = render.render_all(run.folder, document)
    except OSError as error:
        failures = (f"{run.folder / 'run.json'}: {error.strerror}",)
    if failures:
        for failure in failures:
            console.say(failure)
        run.verdict = judge([*findings, *(_invalid(f"not written: {failure}") for failure in failures)])
    return run.verdict


def _findings(run: LoadRun, *, interrupted: bool) -> Iterator[Finding]:
    if interrupted:
        yield Finding(ExitCode.INTERRUPTED, None, None, None, None, "stopped by a signal before its end")
    if run.gone is not None:
        yield Finding(ExitCode.TARGET_DOWN, None, None, None, None, run.gone)
    if run.provider_died is not None:
        # Every chat fails without it, and none of them is the target's fault.
        yield _invalid(f"{run.provider_died}; it is a part of the instrument")
        return
    yield from undeclared(run.ledger.outcomes, run.reproduce)
    yield from missing(run.ledger.outcomes, run.asked, run.reproduce)
    if not interrupted and run.gone is None:
        yield from unreached(run.ledger.outcomes, run.needed(), run.reproduce)
    if not interrupted:
        yield from untrustworthy(
            run.ledger.run.health,
            run.quiet,
            budget_ns=run.late_budget_ns,
            stall_ns=run.limits.stall_ns,
        )
    for defect in dict.fromkeys(run.ledger.defects):
        yield _invalid(f"a defect in the instrument: {defect}")


def _invalid(reason: str) -> Finding:
    return Finding(ExitCode.INVALID, None, None, None, None, reason)


def _reconciled(run: LoadRun, journal: Journal | None) -> Reconciled | None:
    """Clients, the database of the bundled target and the provider; None without a database to read."""
    if run.target is None or run.target.database_url is None:
        return None
    rows = read_executions(run.target.database_url)
    return reconcile(
        run.ledger.executions,
        {row.id: Stored(row.status, row.error_code, row.model, row.word) for row in rows},
        None if journal is None else journal.entries,
        abandoned_unseen=run.ledger.abandoned_unseen,
        forgotten=0 if journal is None else journal.forgotten,
    )


def _coverage(run: LoadRun) -> tuple[CoverageSummary | None, str]:
    """What was covered, or why that cannot be said."""
    if run.target is None:
        return None, "a server that already ran is not measured"
    if run.options.coverage == "off":
        return None, "--coverage off"
    try:
        summary = write_coverage_json(find_parts(run.folder), run.folder / "coverage.json")
    except InvalidRun as error:
        return None, str(error)
    if not summary.usable:
        failed = "; ".join(f"{name} {result}" for name, result in summary.checks.items() if result != "ok")
        return None, f"the coverage data cannot be trusted: {failed}"
    return summary, ""


def _target(run: LoadRun) -> TargetFacts:
    if run.target is None:
        return _host(run)
    last_words = run.target.tail(LAST_WORDS) if run.gone is not None else ()
    setting = run.target.coverage
    where = run.target.app
    if run.options.app_dir.resolve() != ROOT:
        where = f"{where} in {run.options.app_dir}"
    return TargetFacts(
        "started",
        where,
        setting.python,
        setting.core,
        setting.mode,
        settings=run.settings,
        died=run.gone,
        last_words=last_words,
    )


def _host(run: LoadRun) -> TargetFacts:
    options, url = run.options, run.options.host or ""
    tls = None
    if url.startswith("https://"):
        by = "" if options.tls_ca is None else f" by {options.tls_ca}"
        tls = "certificate NOT verified (--insecure)" if options.insecure else f"certificate verified{by}"
    return TargetFacts("host", url, died=run.gone, tls=tls, proxy=proxy_for(url))
