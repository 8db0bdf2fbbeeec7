"""What is known of mutants, one JSON line each: a command that was stopped goes on where it was.

The last line of a mutant counts. A mutant is its site, its operator and the whole of its text; a survivor is
tried again once the tests are others.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from integration.mutate.operators import Mutation


@dataclass(frozen=True, slots=True)
class Entry:
    """killed_by: a test; None with a `stage`: survived all tests; None without: not tried.
    confirmed: that test passes where nothing is changed.
    named: what a load run said; empty: nothing; None: it was not asked.
    met: whether a load run of the unchanged tree came to its place; only then is there one of the mutant."""

    site: str
    operator: str
    place: str
    before: str
    after: str
    text_hash: str
    tests_hash: str = ""
    killed_by: str | None = None
    how: str = ""
    stage: str = ""
    confirmed: bool = False
    seconds: float = 0.0
    named: str | None = None
    met: bool = False

    @property
    def key(self) -> tuple[str, str, str]:
        return self.site, self.operator, self.text_hash

    @property
    def tried(self) -> bool:
        return self.stage != ""

    @property
    def survived(self) -> bool:
        return self.tried and self.killed_by is None


def entry_of(mutation: Mutation) -> Entry:
    return Entry(
        site=mutation.site.id,
        operator=mutation.operator,
        place=f"{mutation.site.file}:{mutation.line}",
        before=mutation.before,
        after=mutation.after,
        text_hash=hashlib.sha256(mutation.source.encode()).hexdigest()[:16],
    )


def hash_of_tests(folder: Path) -> str:
    found = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        found.update(file.read_bytes())
    return found.hexdigest()[:16]


class Ledger:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[tuple[str, str, str], Entry] = {}
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                told: dict[str, Any] = json.loads(line)
                entry = Entry(**told)
                self._known[entry.key] = entry

    def known(self, mutation: Mutation, tests_hash: str) -> Entry:
        """What is known of it with the tests of that hash; a load run that named it keeps counting."""
        fresh = entry_of(mutation)
        found = self._known.get(fresh.key, fresh)
        if found.survived and found.tests_hash != tests_hash:
            return replace(fresh, named=found.named, met=found.met)
        return replace(found, place=fresh.place)

    def note(self, entry: Entry) -> None:
        self._known[entry.key] = entry
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(entry)) + "\n")
