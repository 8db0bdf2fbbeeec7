"""The value of `run.json`: everything the renderings show, and enough to judge and render again.

`"format"`, kept compatible as CHANGELOG.md says; docs/report.md explains every field:

    1   the first. Fields may be added to it; none is renamed, removed or given another meaning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final, TypeAlias

from load.metrics.outcomes import Outcomes
from load.metrics.run import STEADY, Run
from load.report.described import (
    coverage_json,
    objective_json,
    profile_json,
    provenance_json,
    scenario_json,
    target_json,
)
from load.report.facts import RunFacts
from load.report.figures import Accuracy
from load.report.measured import deadline_json, generator_json, metrics_json, streams_json
from load.report.reached import rows, windows
from load.verdict.judge import Finding, Verdict

FORMAT: Final = 1

Document: TypeAlias = Mapping[str, Any]
"""Plain JSON values, as in run.json."""


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
        "target": target_json(facts.target),
        "profile": profile_json(facts),
        "streams": streams_json(run.total(), steady),
        "metrics": metrics_json(
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
            name: scenario_json(outcome, facts.not_checkable.get(name, ()))
            for name, outcome in sorted(outcomes.scenarios.items())
        },
        "objectives": [objective_json(result) for result in facts.objectives],
        "capacity": facts.capacity,
        "comparison": facts.comparison,
        "baseline": facts.baseline,
        "fingerprint": dict(facts.fingerprint),
        "deadlines": {code: deadline_json(found) for code, found in sorted(outcomes.deadlines.items())},
        "reconciliation": None if facts.reconciled is None else asdict(facts.reconciled),
        "generator": generator_json(run, steady, accuracy, facts, on_time=on_time),
        "coverage": coverage_json(facts),
        "errorpaths": facts.errorpaths,
        "together": facts.together,
        "provenance": provenance_json(facts),
    }
    # "tallies" and "health": ns, exact; a verdict is computed from these alone.
    return {name: _sound(value) for name, value in shown.items()} | run.to_json()


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


def _sound(value: object) -> object:
    """Without halves of surrogate pairs, which no UTF-8 file can hold: arguments and paths may have some."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, dict):
        return {_sound(name): _sound(member) for name, member in value.items()}
    return [_sound(member) for member in value] if isinstance(value, list) else value
