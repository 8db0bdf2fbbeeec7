"""The value of `run.json`: everything the renderings show, and enough to judge and render again.

`"format"`, kept compatible as CHANGELOG.md says; docs/report.md explains every field:

    1   the first. Fields may be added to it; none is renamed, removed or given another meaning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeAlias

from load.metrics.outcomes import Deadline, Outcome, Outcomes
from load.metrics.run import CLEAN, STEADY, Run
from load.metrics.tally import Tally
from load.metrics.timeline import TerminalState
from load.options import Options
from load.report.figures import HEADLINE, Accuracy, distribution, figures, to_ms
from load.report.provenance import Provenance
from load.report.reached import rows, windows
from load.report.split import OF_SCENARIO, beside
from load.target.parts import CoverageSummary
from load.verdict.behaviour import Needed
from load.verdict.judge import Finding, Verdict
from load.verdict.reconcile import Reconciled
from load.verdict.slo import Result

FORMAT: Final = 1

Document: TypeAlias = Mapping[str, Any]
"""Plain JSON values, as in run.json."""


@dataclass(frozen=True, slots=True)
class TargetFacts:
    """What was measured.

    kind: `started` by us or a `host` that already ran. address: its app, or its URL. python, core, mode: of
    the started process; None for a host, core `-` without coverage. settings: what it was given beyond its
    defaults. died: why it counts as down, None while it does not; last_words: the end of its log then. tls:
    how its certificate was verified, None without TLS. proxy: between it and us, None without.
    """

    kind: Literal["started", "host"]
    address: str
    python: str | None = None
    core: str | None = None
    mode: str = "off"
    settings: Mapping[str, str] = field(default_factory=dict)
    died: str | None = None
    last_words: tuple[str, ...] = ()
    tls: str | None = None
    proxy: str | None = None


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What a report says beside the figures.

    name: of the run folder. steady_s: length of the measuring window; None when it never began.
    late_budget_ns: lateness of ours below which chunks that shared a read count as sent together.
    conversations: how many there were to choose from. coverage: None with the reason in coverage_absent.
    errorpaths: `paths.summary_of` the map, None where no process left a part of it. together: the value of
    `summary.json`, None where nothing was measured.
    overhead: CPU covered over plain, None where it was not measured. undisturbed: scenarios without a failure
    of their own, which the headline figures come from; empty for all. reconciled: clients against the
    target's own rows, None where there are none to read. journal: whether the provider's was read.
    target_cpu_s, provider_cpu_s: processor time since their start, None where they are not ours.
    recordings: id of a stream -> its file within the folder. rows_dropped: lines missing in streams.jsonl.gz.
    needed: rows of docs/errors.md that had to come. not_checkable: scenario -> breaks that its wire
    cannot prove. objectives: each with its value and decision. capacity: what a search found, None in any
    other run. max_in_flight: users who
    take the arrivals of open load. window_order, window_s: clean and rough
    windows in turn, and their length; None without an end.
    """

    options: Options
    target: TargetFacts
    name: str
    started: datetime
    ended: datetime
    provenance: Provenance
    steady_s: float | None
    late_budget_ns: int
    conversations: int
    coverage: CoverageSummary | None = None
    coverage_absent: str = ""
    errorpaths: Mapping[str, Any] | None = None
    together: Mapping[str, Any] | None = None
    overhead: float | None = None
    undisturbed: tuple[str, ...] = ()
    reconciled: Reconciled | None = None
    journal: bool = False
    target_cpu_s: float | None = None
    provider_cpu_s: float | None = None
    recordings: Mapping[str, str] = field(default_factory=dict)
    rows_dropped: int = 0
    needed: tuple[Needed, ...] = ()
    not_checkable: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    objectives: tuple[Result, ...] = ()
    capacity: Mapping[str, Any] | None = None
    comparison: Mapping[str, Any] | None = None
    max_in_flight: int | None = None
    window_order: tuple[str, ...] = ()
    window_s: float | None = None


def build(facts: RunFacts, run: Run, outcomes: Outcomes, verdict: Verdict) -> Document:
    """The document of one run."""
    steady = run.total(windows=STEADY)
    quiet = [name for name in run.scenarios() if name in facts.undisturbed]
    accuracy = Accuracy.of(run.health, facts.target.core or "")
    on_time = accuracy.late_p99_ns is None or accuracy.late_p99_ns <= facts.late_budget_ns
    shown: dict[str, object] = {
        "format": FORMAT,
        "name": facts.name,
        "verdict": {
            "status": verdict.status,
            "exit_code": int(verdict.exit_code),
            "undecided": facts.options.undecided,
            "reasons": list(verdict.reasons),
        },
        "findings": [finding_json(finding, facts.recordings) for finding in verdict.findings],
        "target": _target(facts.target),
        "profile": _profile(facts),
        "streams": _streams(run.total(), steady),
        "metrics": _metrics(
            run,
            steady,
            accuracy,
            quiet,
            on_time=on_time,
            corrected=facts.options.is_corrected,
            journal=facts.journal,
        ),
        "windows": windows(run, quiet, facts.window_order, facts.window_s, on_time=on_time),
        "rows": rows(outcomes, facts.needed),
        "scenarios": {
            name: _scenario(outcome, facts.not_checkable.get(name, ()))
            for name, outcome in sorted(outcomes.scenarios.items())
        },
        "objectives": [_objective(result) for result in facts.objectives],
        "capacity": facts.capacity,
        "comparison": facts.comparison,
        "deadlines": {code: _deadline(found) for code, found in sorted(outcomes.deadlines.items())},
        "reconciliation": None if facts.reconciled is None else asdict(facts.reconciled),
        "generator": _generator(run, steady, accuracy, facts, on_time=on_time),
        "coverage": _coverage(facts),
        "errorpaths": facts.errorpaths,
        "together": facts.together,
        "provenance": _provenance(facts),
    }
    # "tallies" and "health": ns, exact; a verdict is computed from these alone.
    return {name: _sound(value) for name, value in shown.items()} | run.to_json()


def _sound(value: object) -> object:
    """Without halves of surrogate pairs, which no UTF-8 file can hold: arguments and paths may have some."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, dict):
        return {_sound(name): _sound(member) for name, member in value.items()}
    return [_sound(member) for member in value] if isinstance(value, list) else value


def finding_json(finding: Finding, recordings: Mapping[str, str]) -> dict[str, object]:
    """recordings: id of a stream -> its file."""
    return {
        "kind": finding.kind.name,
        "scenario": finding.scenario,
        "figure": finding.figure,
        "value": finding.value,
        "limit": finding.limit,
        "reason": finding.reason,
        "reproduce": finding.reproduce,
        "ids": list(finding.ids),
        "timed_out": finding.timed_out,
        "recordings": [recordings[stream_id] for stream_id in finding.ids if stream_id in recordings],
    }


def _target(target: TargetFacts) -> dict[str, object]:
    return {
        "kind": target.kind,
        ("app" if target.kind == "started" else "host"): target.address,
        "coverage": target.mode,
        "python": target.python,
        "settings": dict(target.settings),
        "tls": target.tls,
        "proxy": target.proxy,
        "died": target.died,
        "last_words": list(target.last_words),
    }


def _profile(facts: RunFacts) -> dict[str, object]:
    options = facts.options
    return {
        "users": options.users,
        "spawn_rate": options.spawn_rate,
        "run_time_s": options.run_time_s,
        "steady_s": None if facts.steady_s is None else round(facts.steady_s, 3),
        "seed": options.seed,
        "mix": dict(options.mix),
        "scenarios": list(options.scenarios),
        "failures": options.failures,
        "loop": options.loop,
        "rate": None if options.rate is None else str(options.rate),
        "replay": None if options.replay is None else str(options.replay),
        "max_in_flight": facts.max_in_flight,
        "stages": [[stage.users, stage.lasts_s] for stage in options.stages],
        "arrivals": options.arrivals,
        "think_s": options.think_s,
        "prompts": "shipped" if options.prompts is None else str(options.prompts),
        "conversations": facts.conversations,
    }


def _streams(all_of_it: Tally, steady: Tally) -> dict[str, object]:
    """Counts over the whole run; `steady` of them were due in the measuring window."""
    return {
        "total": all_of_it.ended,
        "steady": steady.ended,
        "by_terminal": {state.value: all_of_it.by_terminal.get(state.value, 0) for state in TerminalState},
        "by_code": dict(sorted(all_of_it.by_code.items())),
        "breaks": dict(all_of_it.breaks),
        "flags": dict(all_of_it.flags),
        "good": all_of_it.good,
        "unfinished": all_of_it.unfinished,
        "chunks": all_of_it.chunks,
        "stalls": all_of_it.stalls,
        "stalled_ms": to_ms(all_of_it.stalled_ns),
        "strays": all_of_it.strays,
        "never_sent": all_of_it.never_sent,
        "never_started": all_of_it.never_started,
    }


def _metrics(
    run: Run,
    steady: Tally,
    accuracy: Accuracy,
    undisturbed: Sequence[str],
    *,
    on_time: bool,
    corrected: bool,
    journal: bool,
) -> dict[str, object]:
    """Figures of the steady part: over all; over the undisturbed scenarios, in clean windows; and for each
    that has streams, an undisturbed one in clean windows too. Without such scenarios: all of it."""

    def of(tally: Tally) -> dict[str, object]:
        return {
            **figures(tally, on_time=on_time, corrected=corrected),
            **beside(tally, journal=journal),
        }

    names = list(undisturbed) or run.scenarios()
    windows = (CLEAN,) if undisturbed else STEADY
    quiet = sum((run.total(scenario=name, windows=windows) for name in names), Tally())
    by_scenario = {}
    for name in run.scenarios():
        tally = run.total(scenario=name, windows=(CLEAN,) if name in undisturbed else STEADY)
        found = of(tally)
        by_scenario[name] = {figure: found[figure] for figure in (*HEADLINE, *OF_SCENARIO)} | {
            "accuracy": accuracy.text(tally)
        }
    return of(steady) | {
        "accuracy": accuracy.text(steady),
        "undisturbed": of(quiet) | {"accuracy": accuracy.text(quiet), "scenarios": names},
        "by_scenario": by_scenario,
    }


def _scenario(outcome: Outcome, not_checkable: tuple[str, ...]) -> dict[str, object]:
    return {
        "expected": outcome.expected,
        "not_checkable": list(not_checkable),
        "total": outcome.total,
        "as_expected": outcome.as_expected,
        "of_failures": outcome.of_failures,
        "unexpected": [
            {"seen": kind.seen, "count": kind.count, "ids": list(kind.ids)}
            for kind in sorted(outcome.unexpected.values(), key=lambda kind: -kind.count)
        ],
    }


def _objective(result: Result) -> dict[str, object]:
    return {
        "text": result.objective.text,
        "decision": result.decision.name,
        "low": result.low,
        "high": result.high,
        "n": result.n,
        "shown": result.shown,
        "reason": result.reason,
    }


def _deadline(found: Deadline) -> dict[str, object]:
    observed = distribution(found.observed)
    n = observed.pop("n")
    return {
        "configured_ms": found.configured_ms,
        "observed_ms": {"min": to_ms(found.observed.min), **observed},
        "n": n,
        "early": found.early,
    }


def _generator(
    run: Run, steady: Tally, accuracy: Accuracy, facts: RunFacts, *, on_time: bool
) -> dict[str, object]:
    health, chunks, unresolved = run.health, steady.chunks, steady.unresolved
    return {
        "stamp_source": health.stamp_source if health.reads else None,
        "accuracy": accuracy.text(steady),
        "on_time": on_time,
        "late_budget_ms": to_ms(facts.late_budget_ns),
        "lateness_ms": distribution(health.lateness),
        "gauge_ms": distribution(health.gauge),
        "start_lag_ms": distribution(steady.start_lag),
        "chunks": chunks,
        "unresolved": unresolved,
        "unresolved_share": round(unresolved / chunks, 6) if chunks else None,
        "reads": health.reads,
        "reads_unstamped": health.reads_unstamped,
        "stamps_rejected": health.stamps_rejected,
        "clock_steps": health.clock_steps,
        "cpu_share": round(health.cpu_ns / health.wall_ns, 4) if health.wall_ns else None,
        "cpu_s": round(health.cpu_ns / 1e9, 3),
        "target_cpu_s": facts.target_cpu_s,
        "provider_cpu_s": facts.provider_cpu_s,
        "wall_s": round(health.wall_ns / 1e9, 3),
        "involuntary_switches": health.involuntary_switches,
        "processes": health.processes,
        "faults": dict(health.faults),
        "rows_dropped": facts.rows_dropped,
    }


def _coverage(facts: RunFacts) -> dict[str, object]:
    """`files` holds nothing when nothing usable was measured: absent is not 0 %."""
    summary = facts.coverage
    if summary is None:
        return {
            "files": {},
            "core": facts.target.core,
            "overhead": facts.overhead,
            "absent": facts.coverage_absent,
        }
    return {
        "files": dict(summary.files),
        "lines": {name: list(pair) for name, pair in summary.lines.items()},
        "total_percent": summary.total_percent,
        "core": summary.core,
        "python": summary.python,
        "mode": summary.mode,
        "overhead": facts.overhead,
        "checks": dict(summary.checks),
        "left_out": list(summary.left_out),
        "absent": facts.coverage_absent or None,
    }


def _provenance(facts: RunFacts) -> dict[str, object]:
    return {"started": _utc(facts.started), "ended": _utc(facts.ended), **asdict(facts.provenance)}


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
