"""A stored run as a tripwire: absolute figures of another day, so that only what is far worse is told.

Runs of the same code, minutes apart, differ by up to 17 % in the median, and more seconds do not help. A
comparison with a base (`--base`) tells what this cannot.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from load.errors import ExitCode, UsageError
from load.metrics.histogram import Histogram
from load.metrics.run import CLEAN, STEADY, Run
from load.metrics.tally import Tally
from load.verdict.judge import Finding

FIGURE: Final = "baseline"
WORSE: Final = 1.5
"""A median beyond this ratio is told."""
LEAST_STREAMS: Final = 40
TIMES_STALLED: Final = 3
MORE_STALLED: Final = 5
CANARY: Final = 0.05
"""Machines whose fixed piece of work takes so much longer or shorter are different machines."""
TRACER: Final = "ctrace"
OTHER_LOADS: Final = {"comparison": "a comparison", "capacity": "a search for a capacity"}
"""Members of a run.json that only runs have which the profile does not describe."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """A stored run. fingerprint: as `run.json` has it. quiet: its undisturbed streams in clean windows."""

    name: str
    fingerprint: Mapping[str, Any]
    quiet: Tally


def of_document(document: Any, where: str, newest: int) -> Baseline:
    """Raises UsageError in one line where it is no run, or one of a newer format than `newest`."""
    if not isinstance(document, dict) or type(document.get("format")) is not int:
        raise UsageError(f"--baseline {where}: is no run.json")
    if document["format"] > newest:
        raise UsageError(
            f"--baseline {where}: is of format {document['format']}, and this checkout reads {newest}"
        )
    if not _is_fingerprint(document.get("fingerprint")):
        raise UsageError(f"--baseline {where}: has no fingerprint; run it again with this version")
    for kind, name in OTHER_LOADS.items():
        if document.get(kind):
            raise UsageError(f"--baseline {where}: is {name}, whose load is another; name an ordinary run")
    try:
        run = Run.from_json(document)
        names = document["metrics"]["undisturbed"]["scenarios"]
        return Baseline(document["name"], document["fingerprint"], quiet_of(run, names))
    except Exception as error:  # a file that anybody may have changed
        raise UsageError(f"--baseline {where}: cannot be read: {type(error).__name__}: {error}") from error


def quiet_of(run: Run, undisturbed: Sequence[str]) -> Tally:
    """The streams that are held against each other; all of the steady part where none is undisturbed."""
    windows = (CLEAN,) if undisturbed else STEADY
    names = undisturbed or run.scenarios()
    return sum((run.total(scenario=name, windows=windows) for name in names), Tally())


def differences(stored: Mapping[str, Any], own: Mapping[str, Any]) -> tuple[str, ...]:
    """What keeps two runs from being compared, a phrase for each field that both know."""
    found = []
    for name in own:
        ours, theirs = own[name], stored.get(name)
        if ours is None or theirs is None:
            continue
        if name == "canary_ms":
            if abs(ours - theirs) > CANARY * theirs:
                found.append(f"a fixed piece of work takes {ours} ms, there {theirs} ms")
        elif ours != theirs:
            found.append(f"{name} is {ours}, there {theirs}")
    if TRACER in (stored.get("core"), own.get("core")):
        found.append("the C tracer slows the target")
    return tuple(found)


def untold(base: Baseline, quiet: Tally) -> tuple[str, ...]:
    """Figures that cannot be held against each other: too few streams, or nothing to divide by."""
    return tuple(
        name for name, ours, theirs in _pairs(base, quiet) if _ratio(base, quiet, ours, theirs) is None
    )


def tripped(base: Baseline, quiet: Tally) -> Iterator[Finding]:
    """A finding for each figure that is far worse than it was."""
    for name, ours, theirs in _pairs(base, quiet):
        ratio = _ratio(base, quiet, ours, theirs)
        if ratio is not None and ratio > WORSE:
            now, then = (f"{(one.quantile(0.5) or 0) / 1e6:.3g} ms" for one in (ours, theirs))
            reason = f"{name} p50 is {now}, {ratio:.2f} times the {then} of {base.name}"
            yield Finding(ExitCode.REGRESSED, None, FIGURE, now, f"{WORSE:g} × {then}", reason)
    if _enough(base, quiet):
        yield from _stalls(base, quiet)


def _is_fingerprint(found: object) -> bool:
    """Whether `differences` can read it."""
    return isinstance(found, dict) and isinstance(found.get("canary_ms", 0.0), int | float | None)


def _pairs(base: Baseline, quiet: Tally) -> Iterator[tuple[str, Histogram, Histogram]]:
    """What is compared: name, ours, theirs."""
    yield "ttft_ms", quiet.ttft, base.quiet.ttft
    yield "gap_ms", quiet.gap, base.quiet.gap
    yield "total_ms", quiet.total, base.quiet.total


def _enough(base: Baseline, quiet: Tally) -> bool:
    return min(base.quiet.ended, quiet.ended) >= LEAST_STREAMS


def _ratio(base: Baseline, quiet: Tally, ours: Histogram, theirs: Histogram) -> float | None:
    """Of the medians."""
    now, then = ours.quantile(0.5), theirs.quantile(0.5)
    return now / then if _enough(base, quiet) and now and then else None


def _stalls(base: Baseline, quiet: Tally) -> Iterator[Finding]:
    """Where as many had been expected as the base had."""
    expected = base.quiet.stalled_streams / base.quiet.ended * quiet.ended
    if quiet.stalled_streams > TIMES_STALLED * expected and quiet.stalled_streams - expected >= MORE_STALLED:
        now = f"{quiet.stalled_streams} of {quiet.ended}"
        then = f"{base.quiet.stalled_streams} of {base.quiet.ended}"
        reason = f"{now} streams stalled, {then} in {base.name}"
        yield Finding(ExitCode.REGRESSED, None, FIGURE, now, f"{TIMES_STALLED} × {then}", reason)
