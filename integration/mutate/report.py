"""The table of a seed, its shares, and the survivors with the text that they survived with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from integration.mutate.ledger import Entry

KILLED_MINIMUM = 0.95
NAMED_MINIMUM = 0.60


@dataclass(frozen=True, slots=True)
class Share:
    count: int
    of: int
    minimum: float

    @property
    def missed(self) -> bool:
        """No data is no pass."""
        return self.of == 0 or self.count < self.minimum * self.of

    def __str__(self) -> str:
        if self.of == 0:
            return "no data"
        return f"{self.count} of {self.of} ({100 * self.count / self.of:.1f} %, at least {self.minimum:.0%})"


def killed(entries: Sequence[Entry]) -> Share:
    tried = [entry for entry in entries if entry.tried]
    return Share(sum(not entry.survived for entry in tried), len(tried), KILLED_MINIMUM)


def named(entries: Sequence[Entry]) -> Share:
    ran = [entry for entry in entries if entry.named is not None]
    return Share(sum(bool(entry.named) for entry in ran), len(ran), NAMED_MINIMUM)


def table(entries: Sequence[Entry], states: Mapping[str, str]) -> Iterator[str]:
    """states: of the map of error paths, by site; empty when there is none."""
    for entry in entries:
        place = f"{entry.place} {entry.operator}"
        told = f"[{states.get(entry.site, '-')}] {_end(entry)}"
        yield (
            f"{place:<58} {told}"
            if entry.named is None
            else f"{place:<58} {told}; load: {entry.named or ('nothing' if entry.met else 'not reached')}"
        )


def survivors(entries: Sequence[Entry], states: Mapping[str, str]) -> Iterator[str]:
    for entry in entries:
        if entry.survived:
            state = states.get(entry.site, "no map")
            yield f"survived: {entry.place} {entry.operator} ({entry.site}, {state})"
            yield from (f"  - {line.strip()}" for line in entry.before.splitlines())
            yield f"  + {entry.after}"


def _end(entry: Entry) -> str:
    if not entry.tried:
        return "not tried"
    if entry.killed_by is None:
        return f"SURVIVED ({entry.seconds:.0f} s)"
    test = entry.killed_by.removeprefix("integration/subject/")
    hang = " (hang)" if entry.how.startswith("hang") else ""
    return f"killed by {test}{hang} ({entry.stage}, {entry.seconds:.0f} s)"
