"""A comparison from its last user to its verdict."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from load.compared import Compared
from load.errors import ExitCode, InvalidRun
from load.loadrun import LoadRun
from load.metrics.tally import Tally
from load.report.facts import RunFacts, TargetFacts
from load.telling import invalid, tell, write_recordings
from load.verdict import selfcheck
from load.verdict.behaviour import missing
from load.verdict.breaks import breaks, mended
from load.verdict.comparison import decide_again, joined
from load.verdict.decided import comparison_json
from load.verdict.decided import findings as decided
from load.verdict.judge import Finding, Verdict
from load.verdict.validity import untrustworthy

NOT_COVERED = "nothing is covered in a comparison"
NO_DECISION = "comparison: it ended before it could tell"


def conclude_comparison(run: LoadRun, *, interrupted: bool) -> Verdict:
    """Judges, writes, shows. Called once, when all users have ended and nothing of it runs."""
    assert run.compared is not None
    run.ledger.settle()
    run.ledger.run.health = run.health()
    run.rows.close()
    cpu_s = None
    if run.provider is not None:
        with suppress(InvalidRun):  # each round has read its part of the journal
            cpu_s = round(run.provider.end(run.folder).cpu_s, 3)
    findings = list(_findings(run, run.compared, interrupted=interrupted))
    arms = run.compared.arms
    notes = [*arms.notes, *mended(run.ledger.outcomes, run.compared.scenario)]
    if arms.same:
        notes += selfcheck.notes(decide_again(run.compared.lines))
    arms = replace(arms, notes=tuple(notes))
    facts = RunFacts(
        options=run.options,
        target=_target(run, run.compared),
        name=run.folder.name,
        started=run.started,
        ended=datetime.now(UTC),
        provenance=run.provenance,
        steady_s=run.steady_s,
        late_budget_ns=run.late_budget_ns,
        conversations=run.conversations,
        reconciled=None,
        journal=run.provider is not None,
        target_cpu_s=None,
        provider_cpu_s=cpu_s,
        coverage=None,
        overhead=None,
        coverage_absent=NOT_COVERED,
        undisturbed=run.undisturbed,
        recordings=write_recordings(run),
        rows_dropped=run.rows.dropped,
        comparison=comparison_json(arms, run.compared.lines),
    )
    return tell(run, findings, facts)


def _findings(run: LoadRun, compared: Compared, *, interrupted: bool) -> Iterator[Finding]:
    if interrupted:
        yield Finding(ExitCode.INTERRUPTED, None, None, None, None, "stopped by a signal before its end")
    failure = compared.failure
    if failure is not None:
        yield Finding(failure.exit_code, None, None, None, None, str(failure))
    if not compared.out_of_room:
        yield from breaks(run.ledger.outcomes, compared.scenario, run.reproduce)
    # How late we were with each chunk, the decision has weighed: medians of pairs bear more.
    yield from untrustworthy(
        run.ledger.run.health, Tally(), budget_ns=run.late_budget_ns, stall_ns=run.limits.stall_ns
    )
    for defect in dict.fromkeys(run.ledger.defects):
        yield invalid(f"a defect in the instrument: {defect}")
    if compared.rows.failure is not None:
        yield invalid(f"not written: {compared.rows.failure}")
    again = run.reproduce.format(scenario=compared.scenario)
    yield from decided(compared.arms, compared.lines, again)
    if joined(decide_again(compared.lines)) is None and not interrupted and failure is None:
        yield from missing(run.ledger.outcomes, run.asked, run.reproduce)
        yield invalid(NO_DECISION)


def _target(run: LoadRun, compared: Compared) -> TargetFacts:
    failure, options = compared.failure, run.options
    died = None if failure is None or failure.exit_code is not ExitCode.TARGET_DOWN else str(failure)
    where = f"{compared.arms.base} against {compared.arms.head}"
    return TargetFacts("started" if options.host is None else "host", where, died=died)
