"""What a report is made of, before anybody lays it out: sentences, tiles, and tables of text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Tone: TypeAlias = Literal["", "good", "bad", "sum"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column; numbers stand on the right. aside: left out where room is short. whole: never folded, as
    numbers are not."""

    title: str
    number: bool = True
    aside: bool = False
    whole: bool = False


WIDTH: Final = 2.5
"""Half of a drawing, in harms."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An effect with its interval, drawn against what is ignored and what is a harm; all per cent.

    Each drawing has its own scale, so that the margins of all lines stand below each other.
    """

    effect: float
    low: float
    high: float
    ignore: float
    harm: float

    def place(self, percent: float) -> float:
        """Where it is drawn, 0 left to 100 right; what lies outside, at the edge."""
        return round(min(100.0, max(0.0, 50 + 50 * percent / (WIDTH * self.harm))), 2)

    @property
    def told(self) -> str:
        """For those who cannot see it."""
        return f"{self.low:+.1f} % to {self.high:+.1f} %; ignored below {self.ignore:.3g} %"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table. aside: nothing to see here; left out where room is short. interval: drawn behind
    the cells, where the page can."""

    cells: tuple[str, ...]
    tone: Tone = ""
    aside: bool = False
    interval: Interval | None = None


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

    @property
    def drawn(self) -> bool:
        """Whether a line has a drawing."""
        return any(row.interval is not None for row in self.rows)


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
