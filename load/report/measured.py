"""The members of `run.json` that hold what was measured: of the target, and of the generator itself."""

from __future__ import annotations

from collections.abc import Sequence

from load.metrics.outcomes import Deadline
from load.metrics.run import CLEAN, STEADY, Run
from load.metrics.tally import Tally
from load.metrics.timeline import TerminalState
from load.report.facts import RunFacts
from load.report.figures import HEADLINE, Accuracy, distribution, figures, to_ms
from load.report.split import OF_SCENARIO, beside


def streams_json(all_of_it: Tally, steady: Tally) -> dict[str, object]:
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


def metrics_json(
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


def deadline_json(found: Deadline) -> dict[str, object]:
    observed = distribution(found.observed)
    n = observed.pop("n")
    return {
        "configured_ms": found.configured_ms,
        "observed_ms": {"min": to_ms(found.observed.min), **observed},
        "n": n,
        "early": found.early,
    }


def generator_json(
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
