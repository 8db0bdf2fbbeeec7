"""`errorpaths.json` and what a report shows of it. The tables are made from the file's values alone, so any
of them can be made again.

`"format"`, kept compatible as CHANGELOG.md says; docs/errorpaths.md explains every field:

    1   the first. Fields may be added to it; none is renamed, removed or given another meaning.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final, TypeAlias

from load.report.layout import Column, Row, Table
from load.report.numbers import NO_DATA, ms, percent
from load.verdict.closes import LOST, OURS, Close
from load.verdict.codes import IMPLICIT, MATCHED, Told
from load.verdict.errorpaths import (
    CANNOT_FIRE,
    CONCURRENT,
    INTEGRATION,
    LOAD,
    NEVER_BY_ERROR,
    SHUTDOWN,
    SMELL,
    ErrorPaths,
    Late,
    Path,
    State,
    is_path,
)

FORMAT: Final = 1
PHASES: Final = (INTEGRATION, LOAD)
HOW: Final = {INTEGRATION: "make test", LOAD: "make load"}
NAMED: Final = 2
"""So many paths that nobody reached are named in one line of the table."""
MOST_LABELS: Final = 3

Map: TypeAlias = Mapping[str, Any]
"""Plain values, as in errorpaths.json."""


def to_plain(paths: ErrorPaths) -> dict[str, Any]:
    """The value of `errorpaths.json`, without what only a load run can add."""
    return {
        "format": FORMAT,
        "sources": paths.source_hash,
        "python": paths.python,
        "core": paths.core,
        "overhead": None,
        "complete": paths.complete,
        "phases": {name: asdict(phase) for name, phase in paths.phases.items()},
        "left_out": list(paths.left_out),
        "checks": dict(paths.checks),
        "totals": _totals(paths),
        "table": [_line(group, of_it) for group, of_it in _groups(paths.paths)],
        "rows": {
            row: paths.counts(of_it) | {"paths": len(of_it)} for row, of_it in sorted(paths.by_row().items())
        },
        "implicit": [],
        "reconciliation": [],
        "sites": [_site(path) for path in (*paths.paths, *paths.listed)],
    }


def _totals(paths: ErrorPaths) -> dict[str, int]:
    clocks = [path for path in paths.paths if path.armed is not None]
    return {
        "paths": len(paths.paths),
        **paths.counts(),
        "unreachable": sum(path.reason is not None and path.state is State.NEITHER for path in paths.paths),
        "armed": sum(bool(path.armed or path.fired) for path in clocks),
        "fired": sum(bool(path.fired) for path in clocks),
        "smells": sum(SMELL in path.notes for path in paths.paths),
    }


def _groups(paths: Sequence[Path]) -> Iterable[tuple[str, list[Path]]]:
    for group in sorted({path.group for path in paths}):
        yield group, [path for path in paths if path.group == group]


def _line(group: str, paths: Sequence[Path]) -> dict[str, Any]:
    counts = Counter(str(path.state) for path in paths)
    return {
        "group": group,
        **{str(state): counts[str(state)] for state in State},
        "of_those": "; ".join(_of_those(group, paths)),
    }


def _of_those(group: str, paths: Sequence[Path]) -> Iterable[str]:
    """What the counts alone do not say."""
    if group == "timeout fired":
        armed = sum(bool(path.armed or path.fired) for path in paths)
        never = sum(bool(path.armed) and not path.fired for path in paths)
        yield f"armed {armed}, {never} never fired" if never else f"armed {armed}"
        lates = [(late.p99, path) for path in paths for phase, late in path.late.items() if phase == LOAD]
        if lates:
            worst, path = max(lates, key=lambda pair: pair[0])
            yield f"late p99 {ms(worst)} ms ({_place(path)})"
    if group == "cleanup":
        by_cancel = sum(any(hit.code == "cancel" for hit in path.hits) for path in paths)
        by_error = sum(any(hit.exception for hit in path.hits) for path in paths)
        yield f"by exception {by_error}, by cancel {by_cancel}"
    for note in (SMELL, CONCURRENT, SHUTDOWN, CANNOT_FIRE, NEVER_BY_ERROR):
        if count := sum(note in path.notes for path in paths):
            yield f"{count} {note}"
    lacks = [path for path in paths if path.state is State.NEITHER and path.reason is None]
    declared = sum(path.state is State.NEITHER and path.reason is not None for path in paths)
    if lacks:
        more = f" and {len(lacks) - NAMED} more" if len(lacks) > NAMED else ""
        yield "neither: " + ", ".join(_place(path) for path in lacks[:NAMED]) + more
    if declared:
        yield f"{declared} declared unreachable"


def _place(path: Path) -> str:
    return f"{path.site.file}:{path.site.line} {path.site.detail}".strip()


def _site(path: Path) -> dict[str, Any]:
    site = path.site
    phase = LOAD if LOAD in path.late else INTEGRATION
    late = path.late.get(phase)
    found: dict[str, Any] = {
        "id": site.id,
        "file": site.file,
        "line": site.line,
        "kind": site.kind,
        "sub": site.sub,
        "detail": site.detail,
        "disposition": site.disposition,
        "row": " ".join(site.rows) or None,
        "state": str(path.state) if is_path(site) else None,
        "notes": list(path.notes),
    }
    if path.armed is not None:
        found |= {
            "armed": path.armed,
            "fired": path.fired,
            "limit_ms": path.limit_ms,
            "late_ms": None if late is None else _late(late),
            "late_phase": None if late is None else phase,
        }
    if path.reason is not None:
        found["unreachable"] = path.reason
    return found | {"hits": [asdict(hit) for hit in path.hits]}


def _late(late: Late) -> dict[str, float]:
    return {name: round(value, 1) if name != "n" else value for name, value in asdict(late).items()}


def codes_plain(codes: Iterable[Told], closes: Iterable[Close] = ()) -> dict[str, Any]:
    """The members that say what clients were told, and where the target says it; close codes also what the
    target sent, and who was told."""
    every: tuple[Told | Close, ...] = (*codes, *closes)
    told = [
        {
            "label": one.label,
            "code": one.code,
            "client": one.client,
            "server": one.server,
            "result": one.result,
        }
        for one in every
    ]
    implicit = [
        {"code": one["code"], "client": one["client"], "label": one["label"]}
        for one in told
        if one["result"] == IMPLICIT
    ]
    return {"implicit": implicit, "reconciliation": told}


def codes(found: Map) -> Table:
    """Each code that clients were told, beside the places that say it; what is not matched comes first."""
    told = found["reconciliation"]
    rows = tuple(
        Row(
            (one["label"], one["code"], f"{one['client']:,}", f"{one['server']:,}", one["result"]),
            aside=one["result"] == MATCHED,
        )
        for one in sorted(told, key=lambda one: one["result"] == MATCHED)
    )
    matched, of_told = _matched(told)
    columns = (
        Column("requests of", number=False),
        Column("code", number=False),
        Column("told to clients"),
        Column("said in the target"),
        Column("result", number=False),
    )
    note = (
        f"{matched:,} of {of_told:,} codes that clients were told have a place in the target that says them"
        " as often. Unplaced: some came from elsewhere, as a stored answer; implicit: by framework or server."
        f" A close that was sent and never told is a {LOST}, or {OURS} where we ended so many connections."
    )
    return Table("Codes on both sides", note, columns, rows, folded=True)


def summary_of(found: Map) -> dict[str, Any]:
    """The member `errorpaths` of run.json: all but the sites."""
    kept = ("phases", "complete", "left_out", "checks", "totals", "table", "rows")
    told = found["reconciliation"]
    matched, of_told = _matched(told)
    return {name: found[name] for name in kept} | {"codes": {"told": of_told, "matched": matched}}


def _matched(told: Sequence[Map]) -> tuple[int, int]:
    """Matched, and all of those that clients were told."""
    results = [one["result"] for one in told if one["result"] not in (OURS, LOST)]
    return results.count(MATCHED), len(results)


def which_parts(found: Map) -> str:
    """`integration: 31 processes (2 were killed); no data of load: make load`."""
    told = []
    for name in PHASES:
        phase = found["phases"].get(name)
        if phase is None:
            told.append(f"no data of {name} for these sources ({HOW[name]} makes it)")
            continue
        count, killed = phase["processes"], len(phase["incomplete"])
        text = f"{name}: {count} process{'' if count == 1 else 'es'}"
        told.append(f"{text}, {killed} of them killed: incomplete" if killed else text)
    return "; ".join(told)


def overview(found: Map) -> Table:
    """A line for each kind of path, and their sum."""
    states = [str(state) for state in State]
    rows = [
        Row((line["group"], *(f"{line[state]:,}" for state in states), line["of_those"] or "–"))
        for line in found["table"]
    ]
    totals = found["totals"]
    reached = totals["paths"] - totals["neither"]
    share = f"{percent(reached, totals['paths'])} of {totals['paths']:,} reached"
    rows.append(Row(("all", *(f"{totals[state]:,}" for state in states), share), "sum"))
    columns = (
        Column("error paths", number=False),
        *(Column(state) for state in states),
        Column("of those", number=False),
    )
    note = f"Places where an error is raised, caught, answered or cleaned up. {which_parts(found)}."
    told = found.get("codes", {}).get("told")
    if told:
        note += f" {found['codes']['matched']:,} of {told:,} codes that clients were told have their place."
    return Table("Error paths", note, columns, tuple(rows), brief=True)


def clocks(found: Map) -> Table:
    """Every time-out: how often it was set, how often it fired, how late by the target's own word."""
    rows = []
    for site in found["sites"]:
        if site["kind"] != "timeout" or site["state"] is None:
            continue
        late = site["late_ms"]
        cells = (
            f"{site['file']}:{site['line']}",
            site["row"] or "–",
            NO_DATA if site["limit_ms"] is None else ms(site["limit_ms"]),
            f"{site['armed']:,}",
            f"{site['fired']:,}",
            *(f"+{ms(late[name])}" if late else "–" for name in ("p50", "p99", "max")),
            site["late_phase"] or "–",
        )
        rows.append(Row(cells, "bad" if late and late["min"] < -1 else ""))
    columns = (
        Column("time-out", number=False),
        Column("row", number=False),
        Column("limit, ms"),
        Column("armed"),
        Column("fired"),
        Column("late p50, ms"),
        Column("late p99, ms"),
        Column("late max, ms"),
        Column("late in", number=False),
    )
    note = (
        "By the target's own clock, from the limit to its firing; the deadlines above are the clients' view."
    )
    return Table("Time-outs in the target", note, columns, tuple(rows))


def every(found: Map) -> Table:
    """Every path with who reached it."""
    rows = tuple(_every(site) for site in found["sites"] if site["state"] is not None)
    columns = (
        Column("place", number=False),
        Column("path", number=False),
        Column("row", number=False),
        Column("state", number=False),
        Column("hits"),
        Column("with", number=False),
        Column("by", number=False),
        Column("first", number=False),
        Column("notes", number=False),
    )
    note = "Those that nobody reached first. First: since the load began, or the process of a test."
    ordered = tuple(sorted(rows, key=lambda row: row.cells[3] != State.NEITHER))
    return Table("Every error path", note, columns, ordered, folded=True)


def _every(site: Map) -> Row:
    hits = site["hits"]
    by: Counter[str] = Counter()
    what: Counter[str] = Counter()
    for hit in hits:
        by[hit["label"]] += hit["count"]
        what[" ".join(str(hit[name]) for name in ("exception", "code") if hit[name])] += hit["count"]
    labels = ", ".join(f"{label} {count:,}" for label, count in by.most_common(MOST_LABELS))
    if len(by) > MOST_LABELS:
        labels += f" and {len(by) - MOST_LABELS} more"
    reason = site.get("unreachable")
    notes = [*site["notes"], *([f"declared unreachable: {reason}"] if reason else [])]
    cells = (
        f"{site['file']}:{site['line']}",
        f"{site['kind']} {site['sub']} {site['detail']}".strip(),
        site["row"] or "–",
        site["state"],
        f"{by.total():,}",
        ", ".join(name for name, _ in what.most_common(MOST_LABELS) if name) or "–",
        labels or "–",
        _first(hits),
        ", ".join(notes) or "–",
    )
    return Row(cells, "bad" if site["state"] == State.NEITHER and not reason else "")


def _first(hits: Sequence[Map]) -> str:
    """`12.4 s, 40 users`: of the load phase where it came there."""
    ordered = sorted(hits, key=lambda hit: (hit["phase"] != LOAD, hit["first_ms"]))
    if not ordered:
        return "–"
    users = ordered[0]["first_users"]
    text = f"{ordered[0]['first_ms'] / 1000:.1f} s"
    return text if users is None else f"{text}, {users:,} users"
