"""What `make test` tells: lines for the console, Markdown for the summary, one JUnit file for all suites."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from junitparser import JUnitXml

from integration.clocks import PROPERTY, Observed
from load.target.parts import CoverageSummary
from load.verdict.errorpaths import ErrorPaths, State
from load.verdict.gates import percent, shown
from load.verdict.pathgates import shown as shown_path
from load.verdict.pathgates import unreached_by_integration


@dataclass(frozen=True, slots=True)
class Suite:
    """One pytest run; its counts are zeros when pytest left no report."""

    name: str
    exit_code: int
    took_s: float
    tests: int
    failed: int
    skipped: int
    clocks: tuple[Observed, ...] = ()

    def line(self) -> str:
        ended = "" if self.exit_code == 0 else f", pytest ended with {self.exit_code}"
        return (
            f"{self.name:<12}{self.tests:>6} tests {self.failed:>4} failed {self.skipped:>4} skipped"
            f" {self.took_s:>7.1f} s{ended}"
        )


def counted(name: str, exit_code: int, took_s: float, junit: Path) -> Suite:
    if not junit.exists():
        return Suite(name, exit_code, took_s, 0, 0, 0)
    report = JUnitXml.fromfile(str(junit))
    failed = report.failures + report.errors
    clocks = tuple(
        Observed(**json.loads(found.value))
        for suite in report
        for found in suite.properties()  # type: ignore[no-untyped-call]
        if found.name == PROPERTY
    )
    return Suite(name, exit_code, took_s, report.tests, failed, report.skipped, clocks)


def merge_junit(files: Mapping[str, Path], out: Path) -> None:
    """Replaces the files of the suites, by name, by one."""
    merged = JUnitXml("integration")
    for name, file in files.items():
        if file.exists():
            for found in JUnitXml.fromfile(str(file)):
                found.name = name
                merged.add_testsuite(found)
            file.unlink()
    merged.update_statistics()  # type: ignore[no-untyped-call]
    merged.write(str(out))


def console_lines(
    suites: Sequence[Suite],
    coverage: CoverageSummary | None,
    misses: Sequence[str],
    invalid: Sequence[str],
    paths: ErrorPaths | None = None,
) -> list[str]:
    """The outcome first, then the suites, then coverage by folder, then what is wrong."""
    lines = ["", outcome(suites, misses, invalid)]
    lines += [suite.line() for suite in suites]
    if coverage is not None and coverage.usable:
        lines.append(f"lines of integration/subject alone, Python {coverage.python}, {coverage.core}:")
        lines += [f"  {folder:<40}{told(coverage, folder):>8}" for folder in folders(coverage)]
        lines.append(f"  {'all':<40}{whole(coverage):>8}")
        lines += [f"not joined: {part}" for part in coverage.left_out]
    if paths is not None:
        lines.append(reached(paths))
    lines += [f"coverage is unusable: {reason}" for reason in invalid]
    lines += [f"below its minimum: {miss}" for miss in misses]
    return lines


def markdown(
    suites: Sequence[Suite],
    coverage: CoverageSummary | None,
    misses: Sequence[str],
    invalid: Sequence[str],
    paths: ErrorPaths | None = None,
) -> str:
    """The same, with every file and every clock."""
    lines = [f"# {outcome(suites, misses, invalid)}", ""]
    lines += ["| suite | tests | failed | skipped | seconds |", "|---|---|---|---|---|"]
    lines += [f"| {s.name} | {s.tests} | {s.failed} | {s.skipped} | {s.took_s:.1f} |" for s in suites]
    lines += ["", *(f"- coverage is unusable: {reason}" for reason in invalid)]
    lines += [f"- below its minimum: {miss}" for miss in misses]
    if coverage is not None and coverage.usable:
        alone = f"Lines reached by `integration/subject` alone: {whole(coverage)}"
        lines += [
            "",
            f"{alone} (Python {coverage.python}, core {coverage.core}, {len(coverage.files)} files).",
            "",
            "| file | lines | covered |",
            "|---|---|---|",
        ]
        for name, (covered, executable) in coverage.lines.items():
            lines.append(f"| {name} | {covered} of {executable} | {told(coverage, name)} |")
        lines += ["", *(f"- not joined: {part}" for part in coverage.left_out)]
    if paths is not None:
        lines += ["", f"{reached(paths)[:1].upper()}{reached(paths)[1:]}. Not reached:", ""]
        lines += [f"- {shown_path(path)}" for path in unreached_by_integration(paths)]
    clocks = [one for suite in suites for one in suite.clocks]
    if clocks:
        lines += ["", "| clock | set to, ms | fired | at, ms | late by at most |", "|---|---|---|---|---|"]
        for one in clocks:
            late = f"{one.late_ms} ms, {one.mark}".removesuffix(", ")
            at = f"{one.least_ms} to {one.most_ms}"
            lines.append(f"| {one.name} | {one.limit_ms} | {one.times} | {at} | {late} |")
    return "\n".join(lines).rstrip() + "\n"


def reached(paths: ErrorPaths) -> str:
    count = len(paths.paths)
    by_tests = sum(path.state in (State.INTEGRATION, State.BOTH) for path in paths.paths)
    declared = sum(path.reason is not None for path in paths.paths)
    share = shown(100 * by_tests / count)
    alone = f"{by_tests} of {count} ({share}), {declared} declared unreachable"
    return f"error paths reached by integration/subject alone: {alone}"


def outcome(suites: Sequence[Suite], misses: Sequence[str], invalid: Sequence[str]) -> str:
    failed = [suite.name for suite in suites if suite.exit_code != 0]
    if failed:
        return f"FAILED: {', '.join(failed)}"
    if invalid:
        return "INVALID: the coverage cannot be used"
    if misses:
        return f"OBJECTIVE: {len(misses)} coverage minimums missed"
    return "PASS"


def folders(coverage: CoverageSummary) -> list[str]:
    return sorted({name.rpartition("/")[0] + "/" for name in coverage.lines if "/" in name})


def told(coverage: CoverageSummary, name: str) -> str:
    value = percent(coverage.lines, name)
    return "no data" if value is None else shown(value)


def whole(coverage: CoverageSummary) -> str:
    return "no lines" if coverage.total_percent is None else shown(coverage.total_percent)
