"""The members of `run.json` that hold what was asked for, of whom, and what became of it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

from load.metrics.outcomes import Outcome
from load.report.facts import RunFacts, TargetFacts
from load.verdict.slo import Result


def target_json(target: TargetFacts) -> dict[str, object]:
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


def profile_json(facts: RunFacts) -> dict[str, object]:
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


def scenario_json(outcome: Outcome, not_checkable: tuple[str, ...]) -> dict[str, object]:
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


def objective_json(result: Result) -> dict[str, object]:
    return {
        "text": result.objective.text,
        "decision": result.decision.name,
        "low": result.low,
        "high": result.high,
        "n": result.n,
        "shown": result.shown,
        "reason": result.reason,
    }


def coverage_json(facts: RunFacts) -> dict[str, object]:
    """`files` holds nothing when nothing usable was measured: absent is not 0 %."""
    summary = facts.coverage
    if summary is None:
        return {
            "files": {},
            "core": facts.target.core,
            **_overhead(facts),
            "absent": facts.coverage_absent,
        }
    return {
        "files": dict(summary.files),
        "lines": {name: list(pair) for name, pair in summary.lines.items()},
        "total_percent": summary.total_percent,
        "core": summary.core,
        "python": summary.python,
        "mode": summary.mode,
        **_overhead(facts),
        "checks": dict(summary.checks),
        "left_out": list(summary.left_out),
        "absent": facts.coverage_absent or None,
    }


def _overhead(facts: RunFacts) -> dict[str, object]:
    found = facts.overhead
    return {
        "overhead": None if found is None else found.mean,
        "overhead_interval": None if found is None else [found.low, found.high],
    }


def provenance_json(facts: RunFacts) -> dict[str, object]:
    return {"started": _utc(facts.started), "ended": _utc(facts.ended), **asdict(facts.provenance)}


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
