"""Error paths of one process: numbers the sites, has the probes placed, writes the part. Loaded by path.

Leaves `<phase>.<pid>.paths.json`, written anew at every save and complete when `final`. `site` is a place
in `sites`, which has the sites of every file of the measured packages, never imported ones too. Times are
of CLOCK_MONOTONIC, which all processes of a machine share.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from load.target.instrument import Finder
    from load.target.probes import Probes
    from load.target.sites import Found, Site

FORMAT = 1
HIDDEN = -1_000
"""Numbers from here on are those of the canary, which is no part of the map."""
SELFCHECK = "selfcheck"


class Probing:
    """Counts from `start` on; `document` may be called from any thread."""

    def __init__(
        self,
        probes: Probes,
        packages: list[str],
        app_dir: Path,
        sources: Mapping[str, str],
        neighbour: Callable[[str], ModuleType],
    ) -> None:
        """sources: by the name of each file of the packages, relative to `app_dir`, its hash."""
        self._probes = probes
        self._calls = neighbour("clocked").Calls(probes)
        self._finds = neighbour("sites")
        self._finder: Finder = neighbour("instrument").Finder(packages, self._look)
        self._sources = dict(sources)
        self._names = {str(app_dir / name): name for name in sources}
        self._sites: list[Site] = []
        self._firsts: dict[str, int] = {}
        self._hooked: set[str] = set()
        self._numbering = threading.Lock()
        self._hidden = ""
        self._listed: list[str] = []
        self._started_ns = time.monotonic_ns()

    def start(self) -> None:
        self._finder.install(self._calls)

    def canary(self, path: Path, alias: str) -> ModuleType:
        """That file as a module with probes, of which only `counted` tells."""
        self._hidden = str(path)
        return self._finder.load(alias, self._hidden)

    @property
    def counted(self) -> bool:
        """The canary's own failure was counted under the label of the start-up's request."""
        return any(number < 0 and label == SELFCHECK for number, label, *_ in self._probes.hits.copy())

    @property
    def errors(self) -> int:
        """Probes that failed, files that could not be given any."""
        return self._probes.errors + self._finder.failures

    def unhooked(self) -> list[str]:
        """Files of the packages whose import has ended, and not through the hook."""
        imported = [module for module in list(sys.modules.values()) if not _is_begun(module)]
        files = (getattr(module, "__file__", None) for module in imported)
        names = {self._names[file] for file in files if file in self._names}
        return sorted(names - self._hooked)

    def facts(self) -> dict[str, Any]:
        """What decides whether the counts can be trusted (checks H5 and H6)."""
        return {"probe_errors": self.errors, "unhooked": self.unhooked(), "counted": self.counted}

    def part(self) -> str:
        """A JSON object; scans what nobody has imported so far."""
        for path, name in self._names.items():
            if name not in self._firsts:
                self._numbered(path, name)
        for site in self._sites[len(self._listed) :]:
            self._listed.append(json.dumps(asdict(site)))
        head = {"format": FORMAT, "sources": self._sources, "started_ns": self._started_ns}
        body = json.dumps(head | self._probes.document() | self.facts())
        return f'{body[:-1]}, "sites": [{", ".join(self._listed)}]}}'

    def _look(self, path: str) -> tuple[int, list[Found], ast.Module] | None:
        if path == self._hidden:
            tree, source = _parsed(path)
            return HIDDEN, self._finds.find(tree, source, "canary.py"), tree
        name = self._names.get(path)
        numbered = None if name is None else self._numbered(path, name)
        if name is not None and numbered is not None:
            self._hooked.add(name)
        return numbered

    def _numbered(self, path: str, name: str) -> tuple[int, list[Found], ast.Module] | None:
        """None for what is no Python, or has other sites than when it was first looked at."""
        with self._numbering:
            try:
                tree, source = _parsed(path)
            except (OSError, SyntaxError, ValueError):
                return None
            found: list[Found] = self._finds.find(tree, source, name)
            sites = [one.site for one in found]
            first = self._firsts.setdefault(name, len(self._sites))
            if first == len(self._sites):
                self._sites += sites
            return (first, found, tree) if self._sites[first : first + len(sites)] == sites else None


def _is_begun(module: ModuleType) -> bool:
    """Whether its import has not ended: it is listed before its source is looked at."""
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))


def _parsed(path: str) -> tuple[ast.Module, str]:
    source = importlib.util.decode_source(Path(path).read_bytes())
    return ast.parse(source, path), source
