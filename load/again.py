"""Renders a run again from what it left, beside the tests of now, and judges what that changes.

    python -m load.again [FOLDER] [--config FILE] [--paths-base FILE]
    make report ARGS=reports/20261125T170112Z-1a2b3c4-9f3e

Lines and error paths are joined again, so a run from before `make test` gets its joint map. What streams did
stays as it was found; a comparison is decided again from its blocks. Where the sources have changed since,
lines and paths stay as they were, too.

--paths-base: the errorpaths.json of an earlier commit. A path that was reached there, is still in the source
and is reached no more is a finding.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from load.configuration import read_configuration
from load.errors import ExitCode, InvalidRun, LoadError, UsageError
from load.joint import OF_TESTS, Joint, findings, join, read_base, summarise
from load.report import console, render
from load.report.blocks import read_blocks
from load.report.document import Document, finding_json
from load.report.paths import HOW, summary_of
from load.scenarios.own import read_bundled_rules
from load.target.config import ROOT
from load.target.parts import CoverageSummary, find_parts, write_coverage_json
from load.verdict.comparison import BlockLine
from load.verdict.decided import Arms, comparison_json
from load.verdict.decided import findings as decided
from load.verdict.errorpaths import INTEGRATION
from load.verdict.judge import Finding, judge
from load.verdict.rules import Rules, read_rules
from load.verdict.wording import FIGURE

OF_BOTH: Final = ("error paths", "coverage")
"""Figures of findings that tests and load make together."""


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m load.again", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "reports" / "latest")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--paths-base", type=Path)
    parsed = parser.parse_args(arguments)
    try:
        base = None if parsed.paths_base is None else read_base(parsed.paths_base)
        return again(parsed.folder, _rules(parsed.config), base=base)
    except LoadError as error:
        console.say(f"{error.exit_code.name}: {error}")
        return error.exit_code


def again(
    folder: Path, rules: Rules, of_tests: Path = OF_TESTS, *, base: Mapping[str, Any] | None = None
) -> int:
    """The exit code of the run as it stands now. Raises InvalidRun for a folder that holds no run."""
    document, plain = render.read_document(folder), _stored_map(folder)
    try:
        own = _own(folder)
    except InvalidRun as error:
        console.say(f"lines and error paths stand as they were stored: {error}")
    else:
        load = {"began_ns": 0, "users": [], "told": {}, "connections": {}} | ((plain or {}).get("load") or {})
        users = [(moment, count) for moment, count in load["users"]]
        joint = join(
            folder,
            own,
            rules,
            began_ns=load["began_ns"],
            users=users,
            told=load["told"],
            connections=load["connections"],
            of_tests=of_tests,
        )
        overhead = (plain or {}).get("overhead")
        plain = plain if joint.plain is None else joint.plain | {"overhead": overhead}
        scenarios = len(document["scenarios"])
        document = dict(_judged(document, joint, rules, base)) | {
            "errorpaths": None if plain is None else summary_of(plain),
            "together": summarise(joint, own, rules, scenarios, of_tests=of_tests),
        }
    document = _compared(folder, document)
    console.show(document, folder)
    render.write_values(folder, document, plain)
    for failure in (failed := render.render_all(folder, document, plain)):
        console.say(failure)
    code: int = ExitCode.INVALID if failed else document["verdict"]["exit_code"]
    return code


def _own(folder: Path) -> CoverageSummary | None:
    """The lines of the run; None where none were measured. Raises InvalidRun where they cannot be had now."""
    parts = find_parts(folder)
    if not parts:
        return None
    summary = write_coverage_json(parts, folder / "coverage.json")
    if not summary.usable:
        raise InvalidRun("; ".join(result for result in summary.checks.values() if result != "ok"))
    return summary


def _judged(document: Document, joint: Joint, rules: Rules, base: Mapping[str, Any] | None) -> Document:
    """With the findings of tests and load together as they are now, all others as they were."""
    absent = HOW[INTEGRATION]
    stored = [
        found
        for found in document["findings"]
        if found["figure"] not in OF_BOTH and not found["reason"].endswith(f"{absent} makes it")
    ]
    known = {found["reason"] for found in stored}
    new = [found for found in findings(joint, rules, rows=(), base=base) if found.reason not in known]
    return _with(document, stored, new)


def _compared(folder: Path, document: Document) -> Document:
    """A comparison decided again from its blocks; any other run as it is."""
    comparison = document.get("comparison")
    if not comparison:
        return document
    try:
        lines = [BlockLine.from_json(line) for line in read_blocks(folder)]
    except (OSError, KeyError) as error:
        console.say(f"the comparison stands as it was stored: {folder / 'blocks.jsonl'}: {error!r}")
        return document
    arms = Arms.from_json(comparison["arms"])
    told = [found for found in document["findings"] if found["figure"] == FIGURE]
    others = [found for found in document["findings"] if found["figure"] != FIGURE]
    reproduce = told[0]["reproduce"] if told else None
    judged = _with(document, others, decided(arms, lines, reproduce))
    return {**judged, "comparison": comparison_json(arms, lines)}


def _with(document: Document, stored: Sequence[Mapping[str, Any]], new: Iterable[Finding]) -> Document:
    """The document with these findings alone, and the verdict they come to."""
    undecided = document["verdict"].get("undecided", "fail")
    verdict = judge([*map(_finding, stored), *new], undecided)
    recordings = {
        stream: file
        for found in stored
        for stream, file in zip(found["ids"], found["recordings"], strict=False)
    }
    return dict(document) | {
        "verdict": {
            "status": verdict.status,
            "exit_code": int(verdict.exit_code),
            "undecided": undecided,
            "reasons": list(verdict.reasons),
        },
        "findings": [finding_json(finding, recordings) for finding in verdict.findings],
    }


def _finding(found: Mapping[str, Any]) -> Finding:
    return Finding(
        ExitCode[found["kind"]],
        found["scenario"],
        found["figure"],
        found["value"],
        found["limit"],
        found["reason"],
        found["reproduce"],
        tuple(found["ids"]),
        found.get("timed_out", False),
    )


def _stored_map(folder: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = orjson.loads((folder / "errorpaths.json").read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return None
    return found


def _rules(config: Path | None) -> Rules:
    if config is None:
        return read_bundled_rules()
    if not config.is_file():
        raise UsageError(f"--config {config}: no such file")
    return read_rules(read_configuration(config).table)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
