"""Source text with probes in, run in this process, and what they counted."""

from __future__ import annotations

import ast
import asyncio
import linecache
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from load.target.clocked import Calls
from load.target.instrument import NAME, place
from load.target.probes import Probes
from load.target.sites import Site, find


@dataclass(frozen=True, slots=True)
class Probed:
    """A module of which nobody else knows."""

    names: dict[str, Any]
    sites: list[Site]
    probes: Probes

    def counts(self) -> dict[str, int]:
        """Hits by `kind:sub:detail`, exception and code; labels are joined."""
        found: dict[str, int] = {}
        for (number, _, exception, code), hit in self.probes.hits.items():
            site = self.sites[number]
            stem = site.id.partition("::")[2].partition("::")[2].removesuffix("#1")
            key = " ".join(filter(None, (stem, exception, code)))
            found[key] = found.get(key, 0) + hit[0]
        return found

    def by_label(self) -> dict[str, int]:
        """Hits of the whole module."""
        found: dict[str, int] = {}
        for (_, label, _, _), hit in self.probes.hits.items():
            found[label] = found.get(label, 0) + hit[0]
        return found


def probed(source: str, name: str = "probed.py") -> Probed:
    """The module that this text makes."""
    tree = ast.parse(source, name)
    found = find(tree, source, name)
    for number, one in enumerate(found):
        place(number, one)
    probes = Probes()
    names = {"__name__": name, NAME: Calls(probes)}
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    exec(compile(ast.fix_missing_locations(tree), name, "exec", dont_inherit=True), names)
    return Probed(names, [one.site for one in found], probes)


HEAD = "import asyncio, anyio, contextlib\nclass Refused(Exception):\n    code = 'refused'\n"


def ran(body: str, call: str = "f") -> Probed:
    """`f` of this text, called once; what it raises is its own affair."""
    module = probed(HEAD + body)
    with suppress(BaseException):
        result = module.names[call]()
        if asyncio.iscoroutine(result):
            asyncio.run(result)
    assert module.probes.errors == 0
    return module
