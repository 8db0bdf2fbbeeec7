"""One load run from its last user to its verdict: what it found, and how it is written.

Raw data first: rows are written while the run goes on, coverage once the target has ended, then `run.json`,
and only then what is rendered from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from load import tripwire
from load.drivers.route import proxy_for
from load.errors import ExitCode, InvalidRun
from load.joint import Joint, join, summarise
from load.joint import findings as joint_findings
from load.loadrun import LoadRun
from load.report.capacity import capacity_of
from load.report.facts import RunFacts, TargetFacts
from load.report.paths import summary_of
from load.target.config import ROOT
from load.target.journal import Journal
from load.target.overhead import PROBES, Overhead, stored_overhead
from load.target.parts import CoverageSummary, find_parts, write_coverage_json
from load.target.rows import read_executions
from load.telling import invalid, tell, write_recordings
from load.verdict.behaviour import missing, undeclared, unreached
from load.verdict.capacity import findings as unanswered
from load.verdict.judge import Finding, Verdict
from load.verdict.reconcile import Reconciled, Stored, reconcile
from load.verdict.reconcile import findings as differences
from load.verdict.rules import Rules
from load.verdict.slo import findings as missed
from load.verdict.validity import empty, untrustworthy

LAST_WORDS: Final = 10
"""Lines of a dead target's log that the report repeats."""


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
            findings.append(invalid(str(error)))
    if journal is not None:
        run.ledger.kept.book(run.ledger.run, journal.entries)
    if run.search is not None:
        run.search.crown(run.ledger.run)
    whole = not interrupted and run.gone is None and run.provider_died is None
    # What a worker did not tell would be missing on the clients' side.
    all_told = run.crew is None or not any(run.crew.problems())
    reconciled = _reconciled(run, journal) if whole and all_told else None
    if reconciled is not None:
        findings.extend(differences(reconciled))
    coverage, absent = _coverage(run)
    if absent and run.options.host is None and run.options.coverage != "off":
        findings.append(invalid(f"selfcheck: {absent}"))
    joint = join(
        run.folder,
        coverage,
        run.rules,
        began_ns=run.began_ns,
        users=run.users,
        told=run.ledger.outcomes.told,
        connections=run.ledger.outcomes.connections,
    )
    plain, overhead = joint.plain, _overhead(run, coverage, joint)
    if plain is not None and overhead is not None:
        plain["overhead"] = overhead.plain
    if run.target is not None:
        # A part of the profile, or a short look at it, reaches less.
        rules = run.rules if run.is_whole else Rules()
        findings.extend(joint_findings(joint, rules, rows=run.needed_rows() if whole else ()))
    results = run.results() if whole or run.search is not None else ()
    if run.search is None:
        findings.extend(missed(results))
    if whole:
        findings.extend(tripwire.findings(run))
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
        target_cpu_s=_cpu_s(run),
        provider_cpu_s=None if journal is None else round(journal.cpu_s, 3),
        coverage=coverage,
        overhead=overhead,
        errorpaths=None if plain is None else summary_of(plain),
        together=summarise(joint, coverage, run.rules, len(run.ledger.outcomes.scenarios)),
        coverage_absent=absent,
        undisturbed=run.undisturbed,
        recordings=write_recordings(run),
        rows_dropped=run.rows.dropped,
        needed=run.needed(),
        not_checkable=run.not_checkable,
        objectives=results,
        fingerprint=tripwire.full_fingerprint(run),
        baseline=tripwire.baseline_json(run),
        capacity=None if run.search is None else capacity_of(run.search),
        max_in_flight=run.options.users - run.walkers if run.options.is_open else None,
        window_order=() if windows is None else windows.kinds,
        window_s=None if windows is None or windows.endless else round(windows.length_ns / 1e9, 3),
    )
    return tell(run, findings, facts, plain)


def _findings(run: LoadRun, *, interrupted: bool) -> Iterator[Finding]:
    if interrupted:
        yield Finding(ExitCode.INTERRUPTED, None, None, None, None, "stopped by a signal before its end")
    if run.gone is not None:
        yield Finding(ExitCode.TARGET_DOWN, None, None, None, None, run.gone)
    if run.provider_died is not None:
        # Every chat fails without it, and none of them is the target's fault.
        yield invalid(f"{run.provider_died}; it is a part of the instrument")
        return
    yield from undeclared(run.ledger.outcomes, run.reproduce, overloaded=run.search is not None)
    yield from missing(run.ledger.outcomes, run.asked, run.reproduce)
    if not interrupted and run.gone is None:
        yield from unreached(run.ledger.outcomes, run.needed(), run.reproduce)
    if run.search is not None:
        if not interrupted and run.gone is None:
            yield from unanswered(run.search.answer, run.search.told, stepped=bool(run.search.steps))
    elif not interrupted and run.gone is None:
        yield from empty(run.ledger.run)
    # Of a search each step was judged by itself.
    if not interrupted and run.search is None:
        yield from untrustworthy(
            run.ledger.run.health,
            run.quiet,
            budget_ns=run.late_budget_ns,
            stall_ns=run.limits.stall_ns,
        )
    for problem in () if run.crew is None else run.crew.problems():
        yield invalid(f"incomplete: {problem}")
    for defect in dict.fromkeys(run.ledger.defects):
        yield invalid(f"a defect in the instrument: {defect}")


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


def _cpu_s(run: LoadRun) -> float | None:
    """Of the target; None where nothing of ours runs in it."""
    told = None if run.target is None else run.target.facts().get("cpu_s")
    return None if told is None else round(float(told), 3)


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


def _overhead(run: LoadRun, coverage: CoverageSummary | None, joint: Joint) -> Overhead | None:
    if coverage is not None:
        return stored_overhead(coverage.python, coverage.core)
    if run.options.coverage != "off" or joint.paths is None:
        return None
    return stored_overhead(joint.paths.python, None, of=PROBES)


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
