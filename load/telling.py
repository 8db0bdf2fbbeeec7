"""The end of every run: its findings as a verdict, in the terminal and in its folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from load.errors import ExitCode
from load.loadrun import LoadRun
from load.report import console, history, render
from load.report.document import Document, build
from load.report.facts import RunFacts
from load.report.recorder import write_recording
from load.verdict.judge import Finding, Verdict, judge


def tell(
    run: LoadRun, findings: Sequence[Finding], facts: RunFacts, errorpaths: Document | None = None
) -> Verdict:
    """Judges, shows, writes; what cannot be written makes the run INVALID. errorpaths: the value of
    `errorpaths.json`, None where there is no map."""
    run.verdict = judge(findings, run.options.undecided)
    document = build(facts, run.ledger.run, run.ledger.outcomes, run.verdict)
    console.show(document, run.folder)
    try:
        render.write_document(run.folder, document, errorpaths)
        failures = render.render_all(run.folder, document, errorpaths)
    except OSError as error:
        failures = (f"{run.folder / 'run.json'}: {error.strerror}",)
    remembered = history.line_of(document)
    if remembered is not None:
        try:
            history.append(run.options.reports, remembered)
        except OSError as error:
            failures = (*failures, f"{run.options.reports / history.FILE}: {error.strerror}")
    if failures:
        for failure in failures:
            console.say(failure)
        run.verdict = judge([*findings, *(invalid(f"not written: {failure}") for failure in failures)])
    return run.verdict


def write_recordings(run: LoadRun) -> Mapping[str, str]:
    """Frames of the streams that ended as nobody declared: id -> file within the run's folder."""
    log = None if run.target is None else run.target.log
    written = {}
    for stream_id, frames in run.ledger.recordings.items():
        with suppress(OSError):  # a full disk shows again at run.json, and is named there
            written[stream_id] = write_recording(run.folder, stream_id, frames, log)
    return written


def invalid(reason: str) -> Finding:
    """Something about the whole run that keeps it from saying anything."""
    return Finding(ExitCode.INVALID, None, None, None, None, reason)
