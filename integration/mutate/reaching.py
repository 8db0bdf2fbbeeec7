"""The tests that reached a site: they are asked first whether they miss it."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from integration.rows import ids_of
from load.metrics.paths import PathPart
from load.target.pathparts import find_path_parts, read_path_part
from load.target.sites import Site

MOST = 40
"""More are not asked first: they are most of the suite, which follows anyway."""

FEW = 3
"""With fewer that are known by label, more are asked."""

LABEL = "test:"
FOLDER = re.compile(r"^integration\.\d+-(?P<behind>.+)$|^(?P<before>.+)-integration\.\d+$")


class Reaching:
    """What the parts of one `make test` say, for the tests there are now."""

    def __init__(self, parts: Iterable[PathPart], tests: Sequence[str], files: Mapping[str, str]) -> None:
        """files: the text of each file with tests."""
        self._tests = tests
        self._files = files
        self._by_site: dict[str, set[str]] = defaultdict(set)
        self._processes: dict[str, set[str]] = defaultdict(set)
        known = set(tests)
        for part in parts:
            for hit in part.hits:
                named = hit.label.removeprefix(LABEL)
                if hit.label.startswith(LABEL):
                    self._by_site[hit.site] |= {named} & known or self._cut(named)
                else:
                    self._processes[hit.site].add(part.name)
        self._reached = Counter(test for tests in self._by_site.values() for test in tests)

    def of(self, site: Site) -> list[str]:
        """File by file; those that reach the fewest other sites come first."""
        labelled = sorted(self._by_site.get(site.id, ()), key=lambda test: (self._reached[test], test))
        closest = labelled or self._named_for(site)
        if len(labelled) < FEW:
            closest = list(dict.fromkeys((*closest, *self._beside(site, labelled))))
        closest = list(dict.fromkeys((*self._own(site), *closest)))[:MOST]
        files = list(dict.fromkeys(test.partition("::")[0] for test in closest))
        return sorted(closest, key=lambda test: files.index(test.partition("::")[0]))

    def _own(self, site: Site) -> list[str]:
        """Of `api/socket.py`: `test_socket.py`, `test_api_socket.py`. They are quick, and call it in
        their own process, where nobody has a label."""
        path = Path(site.file)
        names = {f"test_{path.stem}.py", f"test_{path.parent.name}_{path.stem}.py"}
        return [test for test in self._tests if Path(test.partition("::")[0]).name in names]

    def _beside(self, site: Site, labelled: Sequence[str]) -> list[str]:
        """What many tests share is done under the label of the first; the others look at it as well."""
        rows = set((site.row or "").split())
        files = {test.partition("::")[0] for test in labelled}
        return [
            *(test for test in self._tests if rows & set(ids_of(test))),
            *(test for test in self._tests if test.partition("::")[0] in files),
        ]

    def _cut(self, named: str) -> set[str]:
        # Labels are cut at 120 characters.
        return {test for test in self._tests if len(named) > 100 and test.startswith(named)}

    def _named_for(self, site: Site) -> list[str]:
        """Nobody's label is known, at starts and ends of processes: tests named for its rows; tests whose
        name, or whose file's text, has the name of such a process; tests of the module's name."""
        rows = set((site.row or "").split())
        names = [name for part in sorted(self._processes[site.id]) for name in _names(part)]
        named = [
            *(test for test in self._tests if rows & set(ids_of(test))),
            *(test for name in names for test in self._tests if test.rpartition("::")[2].startswith(name)),
            *(test for name in names for test in self._tests if f'"{name}' in self._text(test)),
            *(test for test in self._tests if Path(site.file).stem.strip("_") in test.partition("::")[0]),
        ]
        return list(dict.fromkeys(named))

    def _text(self, test: str) -> str:
        return self._files.get(test.partition("::")[0], "")


def _names(part: str) -> list[str]:
    """Of the folder of a process: `bad-file-corrupt`, then `bad-file-`, then `bad-`."""
    found = FOLDER.match(part)
    if found is None:
        return []
    words = (found["behind"] or found["before"]).split("-")
    return ["-".join(words), *("-".join(words[:count]) + "-" for count in range(len(words) - 1, 0, -1))]


def read(reports: Path, tests: Sequence[str], tree: Path) -> Reaching:
    """From `reports/integration`; without it, by names alone."""
    files = {
        name: (tree / name).read_text(encoding="utf-8")
        for name in {test.partition("::")[0] for test in tests}
    }
    return Reaching(map(read_path_part, find_path_parts(reports)), tests, files)
