"""`summary.md`: the report for a pull request or a CI step."""

from __future__ import annotations

import re
from typing import Final

from load.report.layout import Sheet, Table, Told

MAX_BYTES: Final = 900_000
"""GitHub drops a step summary above 1 MiB whole."""
MAX_CELL: Final = 500


def render(told: Sheet) -> str:
    """The whole report; where it would grow too long it ends at a line and says so."""
    lines = [f"# {told.status}: {told.meaning}", "", f"Exit code {told.exit_code}, run `{told.name}`.", ""]
    lines += [f"- {_escaped(line)}" for line in told.lines]
    if told.findings:
        lines += ["", "## Findings", ""]
        lines += [part for finding in told.findings for part in _finding(finding)]
    lines += ["", "## At a glance", "", "| figure | value | of |", "|:--|--:|:--|"]
    lines += [_row((tile.label, tile.value, tile.note)) for tile in told.tiles]
    for table in told.tables:
        if not table.folded:
            lines += _table(table)
    return _cut(lines)


def _finding(finding: Told) -> list[str]:
    lines = [f"- **{finding.kind}** {_escaped(finding.sentence)}"]
    lines += [f"  - {label}: {_escaped(value)}" for label, value in finding.facts]
    if finding.reproduce:
        lines.append(f"  - again: {_code(finding.reproduce)}")
    lines += [f"  - frames: {_code(name)}" for name in finding.recordings]
    return lines


def _table(table: Table) -> list[str]:
    head = _row(tuple(column.title for column in table.columns))
    rule = "|".join(["", *("--:" if column.number else ":--" for column in table.columns), ""])
    note = [_escaped(table.note), ""] if table.note else []
    return ["", f"## {table.title}", "", *note, head, rule, *(_row(row.cells) for row in table.rows)]


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(map(_escaped, cells))} |"


def _escaped(text: str) -> str:
    """One line of plain text: nothing in it is Markdown or HTML."""
    line = " ".join(text.split())
    line = line if len(line) <= MAX_CELL else f"{line[:MAX_CELL]}…"
    return re.sub(r"([\\`*\[\]|~#])", r"\\\1", line.replace("&", "&amp;").replace("<", "&lt;"))


def _code(text: str) -> str:
    """Code that may itself hold backticks."""
    line = " ".join(text.split())
    fence = "`" * (max(map(len, re.findall("`+", line)), default=0) + 1)
    return f"{fence} {line} {fence}" if "`" in line else f"`{line}`"


def _cut(lines: list[str]) -> str:
    size = 0
    for number, line in enumerate(lines):
        size += len(line.encode()) + 1
        if size > MAX_BYTES:
            return "\n".join([*lines[:number], "", "Cut here; the rest is in report.html.", ""])
    return "\n".join([*lines, ""])
