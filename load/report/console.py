"""What stands in the terminal: progress and errors on stderr, the report on stdout, its verdict first.

Colours and line widths follow the terminal; `NO_COLOR` and a pipe get plain text.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal, Protocol, TextIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from load.metrics.outcomes import Outcomes
from load.metrics.run import Run
from load.report.document import Document
from load.report.layout import Sheet, Table, Told
from load.report.numbers import ms
from load.report.sheet import sheet

STYLE: Final = {"PASS": "bold green", "INCONCLUSIVE": "bold yellow", "INTERRUPTED": "bold yellow"}
TONE: Final = {"": "", "good": "green", "bad": "red", "sum": "bold"}
SHOWN_TILES: Final = ("rough / clean", "lines covered", "disagreements", "generator")
PLAIN_WIDTH: Final = 140
WIDE: Final = 130


class Seen(Protocol):
    """What progress is told from."""

    @property
    def run(self) -> Run: ...
    @property
    def outcomes(self) -> Outcomes: ...


class _Console(Console):
    """Goes quiet when its reader has gone (`| head`): what it would say stands in files, and the exit code
    must stay that of the run."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def say(line: str) -> None:
    """One line beside the report."""
    with suppress(OSError):  # nobody reads it any more
        print(printable(line), file=sys.stderr, flush=True)  # noqa: T201


def show_progress(elapsed_s: float, users: int, seen: Seen) -> None:
    """One line while the run goes on. Nothing is merged for it: that would cost the streams under way."""
    tallies = seen.run.tallies.values()
    ended = sum(tally.ended for tally in tallies)
    worst = max((tally.ttft.max for tally in tallies if tally.ttft.max is not None), default=None)
    errors = {code for tally in tallies for code in tally.by_code}
    undeclared = sum(outcome.total - outcome.as_expected for outcome in seen.outcomes.scenarios.values())
    first = "no text yet" if worst is None else f"slowest first text {ms(worst / 1e6)} ms"
    say(
        f"{elapsed_s:4.0f} s  {users:,} users  {ended:,} streams  {first}"
        f"  {len(errors)} kinds of error reached  {undeclared:,} undeclared"
    )


def show(document: Document, folder: Path, file: TextIO | None = None) -> None:
    """The report of one run: verdict, findings, tables, and where the rest is."""
    told = sheet(document)
    out = _console(sys.stdout if file is None else file)
    out.print(_verdict(told), soft_wrap=True)
    for finding in told.findings:
        out.print(_finding(finding, folder), soft_wrap=True)
    for line in document["target"]["last_words"]:
        out.print(printable(f"target: {line}"), soft_wrap=True)
    for line in told.lines:
        out.print(printable(line), style="dim", soft_wrap=True)
    for table in told.tables:
        if table.brief:
            out.print()
            out.print(table.title, style="bold")
            out.print(printable(table.note), style="dim", soft_wrap=True)
            if not all(row.aside for row in table.rows):
                out.print(_grid(table, narrow=out.width < WIDE))
    out.print()
    for tile in told.tiles:
        if tile.label in SHOWN_TILES:
            out.print(
                printable(f"{tile.label}: {tile.value}, {tile.note}"), style=TONE[tile.tone], soft_wrap=True
            )
    out.print(printable(f"report: {folder / 'report.html'}"), soft_wrap=True)


def _console(file: TextIO) -> Console:
    plain = bool(os.environ.get("NO_COLOR")) or None  # rich would still send bold and dim
    out = _Console(
        file=file, force_terminal=False if plain else None, highlight=False, markup=False, emoji=False
    )
    if not file.isatty():
        out.width = max(out.width, PLAIN_WIDTH)
    return out


def _verdict(told: Sheet) -> Text:
    line = Text(told.status, style=STYLE.get(told.status, "bold red"))
    return line.append(f"  {told.meaning} (exit code {told.exit_code})", style="default")


def _finding(finding: Told, folder: Path) -> str:
    """One line: what, how to see it again, where its frames are."""
    line = f"{finding.kind} {finding.sentence}"
    if finding.reproduce:
        line += f"  again: {finding.reproduce}"
    if finding.recordings:
        line += f"  frames: {folder / finding.recordings[0]}"
    return printable(line)


def _grid(table: Table, *, narrow: bool) -> Grid:
    grid = Grid(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    shown = [at for at, column in enumerate(table.columns) if not (narrow and column.aside)]
    for at in shown:
        column = table.columns[at]
        justify: Literal["right", "left"] = "right" if column.number else "left"
        # A name that is cut short is no name: rather fold it.
        whole = column.number or column.whole or at == 0
        grid.add_column(column.title, justify=justify, no_wrap=whole, overflow="fold")
    for row in (row for row in table.rows if not row.aside):
        grid.add_row(*(printable(row.cells[at]) for at in shown), style=TONE[row.tone])
    return grid


def printable(text: str) -> str:
    """One line without anything that steers a terminal: some of it is the target's words."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
