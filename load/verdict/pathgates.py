"""What the error-path map must show: kinds that nobody may miss, declarations that are still true, paths that
were reached before, rows of docs/errors.md that load has to reach, and clocks that do not fire too early."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from load.errors import ExitCode
from load.verdict.errorpaths import EARLY_MS, INTEGRATION, LOAD, ErrorPaths, Path, State
from load.verdict.judge import Finding
from load.verdict.rules import Rules

MOST_DECLARED: Final = 0.03
"""So large a share of all paths may be declared unreachable."""
NAMED: Final = 3
"""So many paths one finding names."""


def gate(paths: ErrorPaths, rules: Rules) -> list[Finding]:
    """What the joint map of both phases misses."""
    return [*missed(paths, rules.must_reach), *rotten(paths, rules.allow_neither)]


def missed(paths: ErrorPaths, must_reach: Sequence[str]) -> list[Finding]:
    """A finding for each kind of `must_reach` that has a path nobody reached and nobody declared."""
    found = []
    for kind in must_reach:
        lacks = [
            path
            for path in paths.paths
            if kind in (path.site.kind, path.group) and path.state is State.NEITHER and path.reason is None
        ]
        if lacks:
            found.append(_missed(f"{kind}: {_paths(lacks)} reached by neither integration nor load", lacks))
    return found


def rotten(paths: ErrorPaths, declared: Mapping[str, str]) -> list[Finding]:
    """A finding for each declaration that is not true or has no reason, and for too many of them."""
    by_id = {path.site.id: path for path in paths.paths}
    found = []
    for name, reason in declared.items():
        path = by_id.get(name)
        if path is None:
            found.append(_missed(f"allow_neither names no path: {name}"))
        elif path.state is not State.NEITHER:
            who = path.hits[0].label if path.hits else path.state
            found.append(_missed(f"allow_neither names a path that {who} reached: {name}"))
        elif not reason.strip():
            found.append(_missed(f"allow_neither gives no reason for {name}"))
    most = int(MOST_DECLARED * len(paths.paths))
    if len(declared) > most:
        found.append(
            _missed(
                f"allow_neither has {len(declared)} entries, at most {most} may be"
                f" ({MOST_DECLARED:.0%} of {len(paths.paths)} paths)"
            )
        )
    return found


def lost(paths: ErrorPaths, base: Mapping[str, Any]) -> list[Finding]:
    """A finding for each path that was reached in `base`, an errorpaths.json, is still in the source, and is
    reached no more. Phases that one of the two has no data of are not compared."""
    there = {path.site.id: path for path in paths.paths}
    common = set(paths.phases) & set(base["phases"])
    found = []
    for site in base["sites"]:
        path = there.get(site["id"])
        before = {hit["phase"] for hit in site["hits"]} & common
        if path is not None and before and not before & {hit.phase for hit in path.hits}:
            labels = ", ".join(dict.fromkeys(hit["label"] for hit in site["hits"][:NAMED]))
            found.append(_missed(f"lost: {shown(path)} was reached in the base (by {labels})", [path]))
    return found


def early(paths: ErrorPaths) -> list[Finding]:
    """A finding for each clock that fired before its limit, by the target's own word."""
    return [
        Finding(
            kind=ExitCode.BEHAVIOUR,
            scenario=None,
            figure="deadline",
            value=f"{late.min:.1f} ms",
            limit=f"-{EARLY_MS:g} ms",
            reason=f"{shown(path)} fired {-late.min:.1f} ms before its limit ({phase})",
        )
        for path in paths.paths
        for phase, late in path.late.items()
        if late.min < -EARLY_MS
    ]


def unreached_rows(paths: ErrorPaths, rows: Collection[str]) -> list[Finding]:
    """A finding for each row that has a path which load had to reach and did not."""
    found = []
    for row, places in sorted(paths.by_row().items()):
        lacks = [path for path in places if path.reason is None and not _by(path, LOAD)]
        if row in rows and lacks:
            found.append(
                Finding(
                    kind=ExitCode.INVALID,
                    scenario=None,
                    figure=None,
                    value=f"{len(places) - len(lacks)} of {len(places)}",
                    limit=str(len(places)),
                    reason=f"not_reached: row {row}, {_paths(lacks)} not reached by load",
                )
            )
    return found


def unreached_by_integration(paths: ErrorPaths) -> tuple[Path, ...]:
    """Paths that the tests of the subject do not reach, and nobody declared."""
    return tuple(path for path in paths.paths if path.reason is None and not _by(path, INTEGRATION))


def shown(path: Path) -> str:
    """`backend/api/chat.py:118 respond http-5xx 503`."""
    site = path.site
    detail = f" {site.detail}" if site.detail else ""
    return f"{site.file}:{site.line} {site.kind} {site.sub}{detail}"


def _by(path: Path, phase: str) -> bool:
    return path.state in (State.BOTH, phase)


def _paths(paths: Sequence[Path]) -> str:
    named = "; ".join(shown(path) for path in paths[:NAMED])
    more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
    return f"{named}{more}"


def _missed(reason: str, paths: Iterable[Path] = ()) -> Finding:
    return Finding(
        kind=ExitCode.OBJECTIVE,
        scenario=None,
        figure="error paths",
        value=None,
        limit=None,
        reason=reason,
        ids=tuple(path.site.id for path in paths)[:NAMED],
    )
