"""What the tests and a load run reached together: the map of error paths, the lines, and what they miss.

`make test` leaves its parts in `reports/integration/`; whatever of it measured the same sources is joined
with a run's own. A phase without such data is named, never taken for zero.
"""

from __future__ import annotations

import json
import os
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from load.errors import ExitCode, InvalidRun
from load.report.paths import HOW, codes_plain, to_plain
from load.report.together import Ran, summary_json
from load.target.config import ROOT
from load.target.parts import CoverageSummary, find_parts, write_coverage_json
from load.target.pathparts import find_path_parts, join_path_parts
from load.verdict import pathgates
from load.verdict.closes import Close, lost, sent_and_told
from load.verdict.codes import compare
from load.verdict.errorpaths import INTEGRATION, LOAD, ErrorPaths, make_map
from load.verdict.gates import missed
from load.verdict.judge import Finding
from load.verdict.rules import Rules

OF_TESTS: Final = ROOT / "reports" / "integration"


@dataclass(frozen=True, slots=True)
class Joint:
    """paths: None where no process left a part. lines: of tests and load together, None where one of the two
    has no data of these sources. of_tests: per cent of all lines by the tests alone, likewise. began_ns,
    users, told, connections: of the load, as `join` takes them."""

    paths: ErrorPaths | None
    lines: CoverageSummary | None = None
    of_tests: float | None = None
    began_ns: int = 0
    users: Sequence[tuple[int, int]] = ()
    told: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    connections: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def plain(self) -> dict[str, Any] | None:
        """The value of `errorpaths.json`."""
        if self.paths is None:
            return None
        load = {
            "began_ns": self.began_ns,
            "users": [list(one) for one in self.users],
            "told": self.told,
            "connections": self.connections,
        }
        told = compare(self.told, self.paths.paths)
        return to_plain(self.paths) | codes_plain(told, self.closes) | {"load": load}

    @property
    def closes(self) -> tuple[Close, ...]:
        """Close codes of the target beside those that clients were told."""
        return () if self.paths is None else sent_and_told(self.connections, self.paths.paths)

    @property
    def gain_points(self) -> float | None:
        """What the load adds to the tests alone, in points of all lines."""
        if self.lines is None or self.of_tests is None:
            return None
        both = self.lines.total_percent
        return None if both is None else both - self.of_tests


def join(
    folder: Path,
    own: CoverageSummary | None,
    rules: Rules,
    *,
    began_ns: int,
    users: Sequence[tuple[int, int]] = (),
    told: Mapping[str, Mapping[str, int]] = MappingProxyType({}),
    connections: Mapping[str, Mapping[str, int]] = MappingProxyType({}),
    of_tests: Path = OF_TESTS,
) -> Joint:
    """folder: of the run; `coverage.json` in it grows to the union where there is one. own: the run's lines,
    None where they are not to be had. users: how many there were from each moment (monotonic) on.
    told: label -> error code -> how often clients of the load were told it. connections: what became of their
    WebSockets, likewise."""
    moments = [moment for moment, _ in users]

    def users_at(ns: int) -> int | None:
        place = bisect_right(moments, ns)
        return users[place - 1][1] if place else None

    joined = join_path_parts(find_path_parts(folder), find_path_parts(of_tests))
    paths = None
    if joined.parts:
        paths = make_map(
            joined.parts,
            left_out=joined.left_out,
            declared=rules.allow_neither,
            began_ns={LOAD: began_ns},
            users_at=users_at,
        )
    joint = Joint(paths, began_ns=began_ns, users=users, told=told, connections=connections)
    theirs = find_parts(of_tests)
    if own is None or not theirs:
        return joint
    union = write_coverage_json([*find_parts(folder), *theirs], folder / "coverage.json")
    if not union.usable or INTEGRATION not in union.phases:
        return joint
    return replace(joint, lines=union, of_tests=_percent(of_tests / "coverage.json"))


def _percent(report: Path) -> float | None:
    """Of all lines, as coverage.py's JSON report says; None where tests were ended before they wrote it."""
    try:
        return float(json.loads(report.read_text())["totals"]["percent_covered"])
    except (OSError, ValueError, LookupError):
        return None


def of_tests_alone(folder: Path, rules: Rules) -> ErrorPaths | None:
    """The map of what the tests reached; `folder` holds their parts. None where there are none."""
    joined = join_path_parts(find_path_parts(folder))
    if not joined.parts:
        return None
    return make_map(joined.parts, left_out=joined.left_out, declared=rules.allow_neither)


def summarise(
    joint: Joint,
    own: CoverageSummary | None,
    rules: Rules,
    scenarios: int,
    *,
    of_tests: Path = OF_TESTS,
) -> dict[str, Any] | None:
    """The value of `summary.json`; None where nothing was measured. own: the run's lines."""
    if joint.paths is None and own is None:
        return None
    suites: dict[str, int] = {}
    with_tests = joint.lines is not None or (joint.paths is not None and INTEGRATION in joint.paths.phases)
    if with_tests:
        with suppress(OSError, ValueError):  # tests that were not run to their end left none
            suites = json.loads((of_tests / "summary.json").read_text())["suites"]
    ran = Ran({**suites, LOAD: scenarios}, joint.lines or own, joint.gain_points, joint.paths)
    return summary_json(ran, rules, rules.minimum)


def findings(
    joint: Joint, rules: Rules, *, rows: Collection[str], base: Mapping[str, Any] | None = None
) -> Iterator[Finding]:
    """rows: of docs/errors.md that the load had to reach. base: an errorpaths.json whose paths may not be
    lost. Minimums and kinds are judged where `CI` is set: by hand one of the phases is often missing."""
    paths = joint.paths
    if paths is not None:
        if not paths.usable:
            wrong = "; ".join(f"{name} {result}" for name, result in paths.checks.items() if result != "ok")
            yield _invalid(f"selfcheck: {wrong}")
            return
        yield from pathgates.early(paths)
        yield from lost(joint.closes)
        yield from pathgates.unreached_rows(paths, rows)
        if base is not None:
            yield from pathgates.lost(paths, base)
    if os.environ.get("CI") != "true" or not rules.judges_both:
        return
    if joint.lines is None or paths is None or INTEGRATION not in paths.phases:
        yield _invalid(f"there is no data of integration for these sources; {HOW[INTEGRATION]} makes it")
        return
    yield from pathgates.gate(paths, rules)
    for miss in missed(rules.minimum, joint.lines.lines, joint.lines.sources):
        yield Finding(ExitCode.OBJECTIVE, None, "coverage", None, None, str(miss))


def read_base(path: Path) -> Mapping[str, Any]:
    """An errorpaths.json of before. Raises InvalidRun in one line."""
    try:
        found: Any = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InvalidRun(f"{path}: cannot be read ({error})") from error
    if not isinstance(found, dict) or found.get("format") != 1:
        raise InvalidRun(f"{path}: is not a map of error paths of format 1")
    return found


def _invalid(reason: str) -> Finding:
    return Finding(ExitCode.INVALID, None, None, None, None, reason)
