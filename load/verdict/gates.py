"""Do the covered lines reach the minimums of `[tool.streamgauge.coverage]`? Values in, findings out.

A name that ends in `/` stands for the folder as a whole, another for one file, and `*` for each file but
`__main__.py` and migrations, which are tested as commands. A file or folder that is named, or is a source,
but is not in the data is a miss: not 0 %, and not passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

EACH_FILE = "*"
EXEMPT_NAME = "__main__.py"
EXEMPT_FOLDER = "migrations"


@dataclass(frozen=True, slots=True)
class Miss:
    """One minimum that was not reached."""

    name: str
    minimum: float
    percent: float | None
    """None: not in the data."""
    perhaps: str | None = field(default=None, compare=False)
    """A file that is in the data and has a name much like it."""

    def __str__(self) -> str:
        if self.percent is None:
            renamed = f"; was it renamed to {self.perhaps}?" if self.perhaps else ""
            return f"{self.name} is not in the coverage data (minimum {self.minimum:g} %){renamed}"
        return f"{self.name} {shown(self.percent)} < {self.minimum:g} %"


def missed(
    minimum: Mapping[str, float], lines: Mapping[str, tuple[int, int]], sources: Iterable[str]
) -> tuple[Miss, ...]:
    """Every minimum that `lines` misses: (covered, executable) lines by file.

    `sources` are the files that must be in the data.
    """
    found = []
    for name, value in minimum.items():
        if name == EACH_FILE:
            names = sorted(file for file in {*lines, *sources} if not exempt(file))
            found += [Miss(file, value, percent(lines, file)) for file in names]
        else:
            found.append(Miss(name, value, percent(lines, name), _like(name, lines.keys() - minimum.keys())))
    return tuple(miss for miss in found if miss.percent is None or miss.percent < miss.minimum)


def _like(name: str, others: Iterable[str]) -> str | None:
    """The same file elsewhere, or one beside it of a name much like it."""
    folder, _, base = name.rpartition("/")
    split = [(other.rpartition("/")[0], other.rpartition("/")[2], other) for other in sorted(others)]
    moved = [other for _, its_base, other in split if its_base == base]
    beside = {its_base: other for its_folder, its_base, other in split if its_folder == folder}
    return next(iter([*moved, *(beside[one] for one in get_close_matches(base, beside, n=1))]), None)


def percent(lines: Mapping[str, tuple[int, int]], name: str) -> float | None:
    """Of a file, or of all files below a folder; 100 when nothing in it can run; None: not in the data."""
    found = [
        pair for file, pair in lines.items() if file == name or (name[-1:] == "/" and file.startswith(name))
    ]
    if not found:
        return None
    covered, executable = sum(pair[0] for pair in found), sum(pair[1] for pair in found)
    return 100.0 * covered / executable if executable else 100.0


def shown(value: float) -> str:
    """One decimal, always downwards: a missed minimum never looks reached, and 100 is truly 100."""
    tenths = int(value * 10)
    return f"{max(tenths, 1 if value > 0 else 0) / 10:g} %"


def exempt(file: str) -> bool:
    *folders, name = file.split("/")
    return name == EXEMPT_NAME or EXEMPT_FOLDER in folders
