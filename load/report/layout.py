"""What a report is made of, before anybody lays it out: sentences, tiles, and tables of text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Tone: TypeAlias = Literal["", "good", "bad", "sum"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column; numbers stand on the right. aside: left out where room is short. whole: never folded, as
    numbers are not."""

    title: str
    number: bool = True
    aside: bool = False
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table. aside: nothing to see here; left out where room is short."""

    cells: tuple[str, ...]
    tone: Tone = ""
    aside: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """note: accuracy and what else must be known to read it. brief: also on the console. folded: long, so
    only in the page, and closed there."""

    title: str
    note: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    brief: bool = False
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure for the eye. note: what it counts."""

    label: str
    value: str
    note: str
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Told:
    """One finding. facts: label -> value, those that there are."""

    kind: str
    sentence: str
    reproduce: str | None
    recordings: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """Everything a report says, in reading order."""

    status: str
    exit_code: int
    meaning: str
    name: str
    lines: tuple[str, ...]
    tiles: tuple[Tile, ...]
    findings: tuple[Told, ...]
    tables: tuple[Table, ...]
