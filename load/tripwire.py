"""Holds a run against a stored one of the same kind: what is far worse is REGRESSED, the rest not judged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from load.errors import InvalidRun
from load.loadrun import LoadRun
from load.report.baselines import read_baseline
from load.report.console import say
from load.report.fingerprint import known_before
from load.telling import invalid
from load.verdict.baseline import differences, quiet_of, tripped, untold
from load.verdict.judge import Finding

NONE_HERE: Final = "no baseline for this machine"


def begin(run: LoadRun) -> None:
    """Before the first user: takes the run's fingerprint, and says where it has no baseline here.

    Raises UsageError for a file that is none, InvalidRun without a comparable one where it is required.
    """
    options = run.options
    run.fingerprint = known_before(options, run.limits)
    if options.baseline is None:
        return
    run.baseline = read_baseline(options.baseline)
    found = differences(run.baseline.fingerprint, run.fingerprint)
    if found and options.baseline_required:
        raise InvalidRun(f"{NONE_HERE}: {'; '.join(found)}")
    if found:
        say(f"{NONE_HERE}: {'; '.join(found)}")


def findings(run: LoadRun) -> Iterator[Finding]:
    """At the end, when all is known of the run."""
    base = run.baseline
    if base is None:
        return
    found = differences(base.fingerprint, full_fingerprint(run))
    if not found:
        yield from tripped(base, quiet_of(run.ledger.run, run.undisturbed))
    elif run.options.baseline_required:
        yield invalid(f"{NONE_HERE}: {'; '.join(found)}")


def baseline_json(run: LoadRun) -> Mapping[str, Any] | None:
    """The member `baseline` of `run.json`; None where none was named."""
    base = run.baseline
    if base is None:
        return None
    return {
        "run": base.name,
        "differences": list(differences(base.fingerprint, full_fingerprint(run))),
        "untold": list(untold(base, quiet_of(run.ledger.run, run.undisturbed))),
    }


def full_fingerprint(run: LoadRun) -> Mapping[str, Any]:
    """With what only the end tells: how the target was covered, by which Python, how chunks were timed."""
    coverage, health = None if run.target is None else run.target.coverage, run.ledger.run.health
    return {
        **run.fingerprint,
        "core": None if coverage is None else coverage.core,
        "target_python": None if coverage is None else coverage.python,
        "stamps": health.stamp_source if health.reads else None,
        "processes": health.processes,
    }
