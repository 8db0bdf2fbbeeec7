"""The tests that reached a site: they are asked first whether they miss it."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from integration.rows import ids_of
from load.metrics.paths import PathPart
from load.target.pathparts import find_path_parts, read_path_part
from load.target.sites import Site

MOST = 40
"""More are not asked first: they are most of the suite, which follows anyway."""

LABEL = "test:"
FOLDER = re.compile(r"^integration\.\d+-(?P<behind>.+)$|^(?P<before>.+)-integration\.\d+$")


class Reaching:
    """What the parts of one `make test` say, for the tests there are now."""

    def __init__(self, parts: Iterable[PathPart], tests: Sequence[str]) -> None:
        self._tests = tests
        self._by_site: dict[str, set[str]] = defaultdict(set)
        known = set(tests)
        for part in parts:
            by_name = self._of_folder(part.name)
            for hit in part.hits:
                named = hit.label.removeprefix(LABEL)
                if hit.label.startswith(LABEL):
                    self._by_site[hit.site] |= {named} & known or self._cut(named)
                else:
                    self._by_site[hit.site] |= by_name
        self._reached = Counter(test for tests in self._by_site.values() for test in tests)

    def of(self, site: Site) -> list[str]:
        """File by file; those that reach the fewest other sites come first. Where nobody is known, the tests
        that are named for its rows or its module."""
        found = self._by_site.get(site.id) or self._named_for(site)
        closest = sorted(found, key=lambda test: (self._reached[test], test))[:MOST]
        files = list(dict.fromkeys(test.partition("::")[0] for test in closest))
        return sorted(closest, key=lambda test: files.index(test.partition("::")[0]))

    def _cut(self, named: str) -> set[str]:
        # Labels are cut at 120 characters.
        return {test for test in self._tests if len(named) > 100 and test.startswith(named)}

    def _of_folder(self, part: str) -> set[str]:
        """A process that one test started has that test's name on its folder."""
        found = FOLDER.match(part)
        name = found and (found["behind"] or found["before"])
        return {test for test in self._tests if name and test.rpartition("::")[2].startswith(name)}

    def _named_for(self, site: Site) -> set[str]:
        rows = set((site.row or "").split())
        stem = Path(site.file).stem
        by_row = {test for test in self._tests if rows & set(ids_of(test))}
        return by_row or {test for test in self._tests if stem in test.partition("::")[0]}


def read(reports: Path, tests: Sequence[str]) -> Reaching:
    """From `reports/integration`; without it, by names alone."""
    return Reaching(map(read_path_part, find_path_parts(reports)), tests)
