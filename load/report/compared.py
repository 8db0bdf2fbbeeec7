"""A comparison as a reader sees it: what it came to, every metric, its looks, and hints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from load.report.document import Document
from load.report.layout import Column, Interval, Row, Table, Tile, Tone
from load.report.numbers import NO_DATA, ms
from load.verdict.rounds import STALLED
from load.verdict.wording import span

MEANING: Final[Mapping[str, str]] = {
    "ttft": "request sent → first text",
    "ttft_p95": "its 95th percentile",
    "gap": "between two consecutive chunks",
    "total": "request sent → end of the stream",
    "backend_ttft": "the first text without the provider's part",
    "relay": "a chunk from provider to client",
    "slope": "late gaps over early ones",
    STALLED: "streams with a stall",
    "cpu_per_stream": "processor time of the target",
    "ttft_p99": "99th percentile of a block",
    "gap_p99": "99th percentile of a block",
}
TONES: Final[Mapping[str, Tone]] = {"REGRESSED": "bad", "not confirmed": "bad", "improved": "good"}
SAID: Final[Mapping[str, str]] = {
    "OK": "nothing is worse by a harm",
    "REGRESSED": "head is worse, and a second run says so too",
    "INCONCLUSIVE": "it cannot be told",
    "INVALID": "the two arms are no pairs",
}
ALWAYS: Final = ("ttft", "backend_ttft")
"""Told in every case."""


def compared_lines(document: Document) -> tuple[str, ...]:
    """In front of all that is said of the run; nothing in any other run."""
    found = document.get("comparison")
    if not found:
        return ()
    arms, result = found["arms"], found["result"]
    what = f"{arms['head']} against {arms['base']}"
    first = _first(found)
    if result is None or first is None:
        rounds = "" if first is None else f" after {first['rounds']} rounds"
        return (f"comparison: {what}: stopped before it could tell{rounds}", *arms["notes"])
    metrics = first["metrics"]
    told = [metrics[name]["text"] for name in ALWAYS if name in metrics]
    better = [name for name in result["improved"] if result["metrics"].get(name) == "improved"]
    return (
        f"comparison: {what}: {result['verdict']}, {SAID[result['verdict']]}",
        *(["; ".join(told)] if told else []),
        *(f"improved: {_text(first, name)}" for name in better),
        *(f"{name}: {_effort(run)}" for name, run in found["runs"].items()),
        *_pairing(arms),
        *arms["notes"],
    )


def compared_tiles(document: Document) -> tuple[Tile, ...]:
    """The same for the eye."""
    found = document.get("comparison")
    first = _first(found) if found else None
    if not found or first is None:
        return ()
    result = found["result"]
    verdict = "stopped" if result is None else result["verdict"]
    tone: Tone = {"OK": "good", "REGRESSED": "bad"}.get(verdict, "")  # type: ignore[assignment]
    tiles = [Tile("comparison", verdict, f"with {found['arms']['base']}", tone)]
    for name in ALWAYS:
        if name in first["metrics"]:
            percent = first["metrics"][name]["percent"]
            note = f"[{percent['low']:+.1f}, {percent['high']:+.1f}], {MEANING[name]}"
            tiles.append(Tile(name, f"{percent['effect']:+.1f} %", note))
    tiles.append(Tile("load", f"{first['load_s']:.0f} s", f"{first['rounds']} rounds on both arms"))
    tiles.append(Tile("machine", first["noise"], "pressure on its processors"))
    return tuple(tiles)


def compared_tables(document: Document) -> tuple[Table, ...]:
    """A table for each comparison of the run, and what stands beside."""
    found = document.get("comparison")
    if not found:
        return ()
    result = found["result"]
    standings = {} if result is None else result["metrics"]
    return (
        *(
            _effects(name, run, standings if name == "first" else {}, found["arms"])
            for name, run in found["runs"].items()
        ),
        _hints(found["hints"]),
        _looks(found["runs"]),
    )


def _first(found: Mapping[str, Any]) -> Mapping[str, Any] | None:
    first: Mapping[str, Any] | None = found["runs"].get("first")
    return first


def _text(run: Mapping[str, Any], name: str) -> str:
    told: str = run["stalled"]["text"] if name == STALLED else run["metrics"][name]["text"]
    return told


def _effort(run: Mapping[str, Any]) -> str:
    """What it rests on, and what is missing."""
    more = "" if run["more_s"] is None else f"; about {run['more_s']:.0f} s more would tell"
    return (
        f"{run['rounds']} rounds, {run['lifetimes']} pairs of processes, {run['load_s']:.1f} of"
        f" {run['budget_s']:.0f} s of load; machine {run['noise']}{more}"
    )


def _pairing(arms: Mapping[str, Any]) -> tuple[str, ...]:
    """What makes a comparison weaker."""
    return (
        *(
            ["paired by prompt: the pace of an answer is not the same in both arms"]
            * (arms["paired_by"] != "seed")
        ),
        *(["not restarted: both arms are one process each"] * (not arms["restarted"])),
    )


def _effects(
    name: str, run: Mapping[str, Any], standings: Mapping[str, str], arms: Mapping[str, Any]
) -> Table:
    """standings: of the run as a whole; empty for one that does not decide alone."""
    rows = [
        _effect(metric, one, standings.get(metric) or _alone(run, metric))
        for metric, one in run["metrics"].items()
    ]
    rows += [
        Row((metric, MEANING[metric], NO_DATA, NO_DATA, NO_DATA, NO_DATA, standing))
        for metric, standing in standings.items()
        if metric not in run["metrics"] and metric != STALLED
    ]
    stalled = run["stalled"]
    standing = standings.get(STALLED) or _alone(run, STALLED)
    counts = (f"{stalled['base']:,}", f"{stalled['head']:,}")
    rounds = f"more in {stalled['more']} rounds, fewer in {stalled['fewer']}"
    cells = (STALLED, MEANING[STALLED], *counts, rounds, "–", standing)
    rows.append(Row(cells, TONES.get(standing, "")))
    columns = (
        Column("metric", number=False),
        Column("what", number=False, aside=True),
        Column("base, ms"),
        Column("head, ms"),
        Column("change [99 % each side]"),
        Column("in ms"),
        Column("it is", number=False, whole=True),
    )
    note = (
        f"{arms['head']} (head) against {arms['base']} (base): {_effort(run)}. A change is REGRESSED when it"
        " is surely above what is ignored, and OK when it is surely below a harm."
    )
    title = {"first": "Comparison", "confirmation": "Its confirmation"}.get(name, name)
    return Table(title, note, columns, tuple(rows), brief=True)


def _effect(metric: str, one: Mapping[str, Any], standing: str) -> Row:
    percent, in_ms = one["percent"], one["ms"]
    ignore, harm = one["ignore_percent"], one["harm_percent"]
    cells = (
        metric,
        MEANING[metric],
        ms(one["base_ms"]) if in_ms else "–",
        ms(one["head_ms"]) if in_ms else "–",
        _span(percent, " %"),
        _span(in_ms, " ms") if in_ms else "–",
        standing,
    )
    interval = Interval(percent["effect"], percent["low"], percent["high"], ignore, harm)
    return Row(cells, TONES.get(standing, ""), interval=interval)


def _alone(run: Mapping[str, Any], name: str) -> str:
    """What one comparison says of a metric, whatever the run as a whole does."""
    words = {"regressed": "worse", "undecided": "undecided", "improved": "better"}
    return next((word for member, word in words.items() if name in run[member]), "OK")


def _hints(found: Mapping[str, Any]) -> Table:
    rows = tuple(
        Row(
            (
                name,
                MEANING[name],
                ms(one["base_ms"]),
                ms(one["head_ms"]),
                _span(one["percent"], " %"),
                f"{one['n']:,}",
            )
        )
        for name, one in found.items()
    )
    columns = (
        Column("hint", number=False),
        Column("what", number=False),
        Column("base, ms"),
        Column("head, ms"),
        Column("change [99 % each side]"),
        Column("rounds"),
    )
    return Table("Beside the decision", "Never judged: too noisy in a minute, or no time.", columns, rows)


def _looks(runs: Mapping[str, Any]) -> Table:
    rows = tuple(
        Row(
            (
                name,
                f"{look['load_s']:.1f}",
                f"{look['rounds']:,}",
                f"{100 * look['allowance']:.2g} %",
                look["metric"],
                f"{look['p']:.2g}",
            )
        )
        for name, run in runs.items()
        for look in run["looks"]
    )
    columns = (
        Column("comparison", number=False),
        Column("after, s of load"),
        Column("rounds"),
        Column("error it might spend"),
        Column("smallest p", number=False),
        Column("p"),
    )
    note = (
        "Whoever looks often sees something sometime: all looks of a comparison share an error of 1 %, split"
        " over its metrics."
    )
    return Table("Looks", note, columns, rows)


def _span(marks: Mapping[str, float], unit: str) -> str:
    values: Sequence[float] = (marks["effect"], marks["low"], marks["high"])
    return span(values, unit)
