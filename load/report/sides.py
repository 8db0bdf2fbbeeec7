"""The tables that need more than the client's side: the provider's journal, the target's database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from load.report.document import Document
from load.report.layout import Column, Row, Table, Tone
from load.report.numbers import NO_DATA, ms, percent
from load.report.split import PARTS

HEADLINE_ROW: Final = "undisturbed scenarios"


def split_line(document: Document) -> str:
    """`TTFT 46.1 ms = connect 0.0 + admission 6.0 + provider 31.0 + backend 9.1 …`, or why there is none."""
    metrics = document["metrics"]["undisturbed"]
    if metrics["relay_ms"] is None:
        return "where the time to the first text went: not measured, there is no journal of the provider"
    found = metrics["split"]
    if found is None:
        return f"where the time to the first text went: {NO_DATA}"
    parts = " + ".join(f"{part} {found[f'{part}_ms']:.1f}" for part in PARTS)
    return f"TTFT {found['first_text_ms']:.1f} ms = {parts} (means of {found['n']:,} streams)"


def split(document: Document) -> Table:
    """Where the time to the first text went; no rows without a journal."""
    metrics, generator = document["metrics"], document["generator"]
    named = {HEADLINE_ROW: metrics["undisturbed"], **metrics["by_scenario"]}
    rows = tuple(Row(_cells(name, found)) for name, found in named.items() if found["split"])
    columns = (
        Column("scenario", number=False),
        Column("n"),
        Column("first text, ms"),
        *(Column(f"{part}, ms") for part in PARTS),
        Column("relay p50, ms"),
        Column("relay p99, ms"),
    )
    shared = percent(generator["unresolved"], generator["chunks"])
    note = (
        "By the provider's journal, on the same clock. Means, which add up: connect called → usable (0 on an"
        " open connection), sent → accepted, the provider's own delay, the rest. Relay: chunk written by the"
        f" provider → received; of chunks that shared a read ({shared}) an upper bound."
    )
    return Table("Where the time to the first text went", note, columns, rows)


def _cells(name: str, found: Mapping[str, Any]) -> tuple[str, ...]:
    parts, relay = found["split"], found["relay_ms"]
    return (
        name,
        f"{parts['n']:,}",
        ms(parts["first_text_ms"]),
        *(ms(parts[f"{part}_ms"]) for part in PARTS),
        ms(relay["p50"]),
        ms(relay["p99"]),
    )


def reconciliation(document: Document) -> Table:
    """How runs ended, on every side; no rows where there is no database to read."""
    found = document["reconciliation"]
    columns = (
        Column("ending", number=False),
        Column("clients"),
        Column("database"),
        Column("provider asked"),
        Column("never asked"),
    )
    title = "Runs on every side"
    if found is None:
        return Table(title, "", columns, ())
    sums = found["sums"]
    sides = (sums["client"], sums["database"], sums["provider"], sums["never_asked"])
    names = [name for name in dict.fromkeys([*sums["client"], *sums["database"]]) if _any(name, sides)]
    rows = [Row((name, *(_count(side, (name,)) for side in sides)), _tone(name, sides)) for name in names]
    rows.append(Row(("started", *(_count(side, names) for side in sides)), "sum"))
    ended = "no journal of the provider"
    if found["provider"] is not None:
        told = ", ".join(f"{count:,} {how}" for how, count in found["provider"].items())
        ended = f"the provider's streams ended: {told or 'none came'}"
    note = f"{found['compared']:,} runs that client and database know; {ended}."
    return Table(title, note, columns, tuple(rows))


def _any(name: str, sides: tuple[Mapping[str, int] | None, ...]) -> bool:
    return any(side and side.get(name) for side in sides)


def _count(side: Mapping[str, int] | None, names: tuple[str, ...] | list[str]) -> str:
    return "–" if side is None else f"{sum(side.get(name, 0) for name in names):,}"


def _tone(name: str, sides: tuple[Mapping[str, int] | None, ...]) -> Tone:
    client, database, *_ = sides
    assert client is not None
    assert database is not None
    return "bad" if client.get(name, 0) != database.get(name, 0) else ""
