"""`summary.json`: what tests and load came to, in few figures; and their four lines in a report.

`phase`, `plans_completed`, `files_tested`, `coverage_achieved`, `overall_impact` and `remaining_tier1_files`
say the same under the names of the plan this work grew out of (docs/origin.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from load.report.layout import Column, Row, Table
from load.report.numbers import NO_DATA
from load.target.parts import CoverageSummary
from load.verdict.errorpaths import INTEGRATION, LOAD, ErrorPaths, State
from load.verdict.gates import missed, shown
from load.verdict.rules import Rules

TITLE: Final = "Tests and load together"


@dataclass(frozen=True, slots=True)
class Ran:
    """suites: what ran -> how many tests, or scenarios of a profile. lines: of all phases that there is data
    of, None without any. gain_points: what load adds to the tests alone, None without one of the two."""

    suites: Mapping[str, int]
    lines: CoverageSummary | None
    gain_points: float | None
    paths: ErrorPaths | None


def summary_json(ran: Ran, rules: Rules, minimum: Mapping[str, float]) -> dict[str, Any]:
    """minimum: file or folder -> per cent; integration's own where the tests are alone."""
    lines, paths = ran.lines, ran.paths
    files = [] if lines is None else [name for name, (covered, _) in lines.lines.items() if covered]
    coverage = {} if lines is None else {name: shown(percent) for name, percent in lines.files.items()}
    gain = None if ran.gain_points is None else f"{ran.gain_points:+.1f}"
    below = _below(ran, rules, minimum)
    edge_cases = None if paths is None else sum(path.state is not State.NEITHER for path in paths.paths)
    phases = () if paths is None else tuple(paths.phases)
    return {
        "suites": dict(ran.suites),
        "files": files,
        "coverage": coverage,
        "gain_by_load_points": gain,
        "below_minimum": below,
        "edge_cases": edge_cases,
        "total": None if lines is None or lines.total_percent is None else shown(lines.total_percent),
        "phase": " + ".join(phases or (() if lines is None else lines.phases)),
        "plans_completed": list(ran.suites),
        "files_tested": files,
        "coverage_achieved": coverage,
        "overall_impact": gain,
        "remaining_tier1_files": [name for name in rules.tier1 if name in below],
    }


def _below(ran: Ran, rules: Rules, minimum: Mapping[str, float]) -> list[str]:
    """Files below their minimum, absent, or, where both have data, with a path that must be reached and was
    by neither."""
    names: Sequence[str] = ()
    if ran.lines is not None:
        names = [miss.name for miss in missed(minimum, ran.lines.lines, ran.lines.sources)]
    both = ran.paths is not None and {INTEGRATION, LOAD} <= set(ran.paths.phases)
    gated = [
        path.site.file
        for path in (ran.paths.paths if ran.paths is not None and both else ())
        if path.state is State.NEITHER
        and path.reason is None
        and {path.site.kind, path.group} & set(rules.must_reach)
    ]
    return sorted({*names, *gated})


def together(found: Mapping[str, Any]) -> Table:
    """The four points of `summary.json`."""
    ran = ", ".join(f"{name} {count:,}" for name, count in found["suites"].items())
    below = found["below_minimum"]
    points = (
        ("coverage achieved", found["total"] or NO_DATA, f"lines of {len(found['files']):,} files"),
        ("tests", ran or NO_DATA, "of each suite; of a load run its scenarios"),
        (
            "load adds",
            NO_DATA if found["gain_by_load_points"] is None else f"{found['gain_by_load_points']} points",
            "of all lines, to what the tests reach alone",
        ),
        (
            "edge cases",
            NO_DATA if found["edge_cases"] is None else f"{found['edge_cases']:,}",
            "error paths reached",
        ),
        ("below their minimum", f"{len(below):,}", ", ".join(below) or "no file"),
    )
    columns = (Column("point", number=False), Column("value", number=False), Column("of", number=False))
    note = f"Data of {found['phase'] or 'neither'}. summary.json has it for machines."
    return Table(TITLE, note, columns, tuple(Row(line) for line in points))
