"""The tables of what failed on purpose: rows of docs/errors.md, and deadlines of the target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from load.report.document import Document
from load.report.layout import Column, Row, Table
from load.report.numbers import NO_DATA, ms, with_count


def rows(document: Document) -> Table:
    """What came as declared, and often enough, is left out where room is short."""
    found: Mapping[str, Mapping[str, Any]] = document["rows"]
    columns = (
        Column("row", number=False),
        Column("as declared"),
        Column("by scenario", number=False),
        Column("deadline, ms"),
        Column("late p50, ms"),
        Column("late p99, ms"),
        Column("late max, ms"),
    )
    times = [row["times"] for row in found.values()]
    often = f", each {min(times):,} to {max(times):,} times" if times else ""
    needed = sum(1 for row in found.values() if row["needed"])
    note = (
        f"{sum(map(bool, times))} of {len(found)} rows of docs/errors.md came as declared{often};"
        f" {needed} had to. Late: from the configured deadline to its answer, as the client saw it."
    )
    lines = tuple(_row(row_id, row) for row_id, row in found.items())
    return Table("Errors and time-outs reached", note, columns, lines, brief=True)


def _row(row_id: str, row: Mapping[str, Any]) -> Row:
    times, total, late = row["times"], row["total"], row["lateness_ms"]
    scenarios: Mapping[str, int] = row["scenarios"]
    short = row["needed"] and (times < row["needed"] or not all(scenarios.values()))
    bad = short or times < total
    cells = (
        row_id,
        f"{times:,}" if times == total else with_count(times, total),
        ", ".join(f"{name} {count:,}" for name, count in scenarios.items()),
        ", ".join(ms(limit) for limit in row["configured_ms"]) or "–",
        *(f"+{ms(late[name])}" if late["n"] else "–" for name in ("p50", "p99", "max")),
    )
    return Row(cells, "bad" if bad else "", aside=times > 0 and not bad)


def deadlines(document: Document) -> Table:
    rows = []
    for code, found in document["deadlines"].items():
        seen = found["observed_ms"]
        late = None if seen["p50"] is None else seen["p50"] - found["configured_ms"]
        rows.append(
            Row(
                (
                    code,
                    ms(found["configured_ms"]),
                    f"{found['n']:,}",
                    ms(seen["min"]),
                    ms(seen["p50"]),
                    ms(seen["max"]),
                    NO_DATA if late is None else f"{late:+,.0f}",
                    f"{found['early']:,}",
                ),
                "bad" if found["early"] else "",
            )
        )
    columns = (
        Column("deadline", number=False),
        Column("configured, ms"),
        Column("n"),
        Column("min, ms", aside=True),
        Column("p50, ms"),
        Column("max, ms"),
        Column("p50 late, ms"),
        Column("early"),
    )
    note = (
        "As the client saw them, network and target included; early: fired before its limit by the target's"
        f" own word. {document['metrics']['accuracy']}."
    )
    return Table("Deadlines of the target", note, columns, tuple(rows), brief=True)
