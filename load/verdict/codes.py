"""Has each error code that clients were told a place in the target that says it?

Clients count what they were told, under the label that their requests carried; the target counts the places
that raise or answer with that code under the same label. One error may pass several places, and a place may
be reached by an error that no client is told of (an attempt that is repeated), so more at the target is no
difference:

    told     at the target     result
    n        n or more         matched
    n        fewer             unplaced: some were told from elsewhere (a stored answer, a frame made ahead)
    n        none              implicit: by the framework or the server, no place in the app says it
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from load.verdict.errorpaths import LOAD, Path

MATCHED: Final = "matched"
UNPLACED: Final = "unplaced"
IMPLICIT: Final = "implicit"


@dataclass(frozen=True, slots=True)
class Told:
    """One code under one label: so often told to clients, so often said at places of the target."""

    label: str
    code: str
    client: int
    server: int

    @property
    def result(self) -> str:
        if self.server >= self.client:
            return MATCHED
        return UNPLACED if self.server else IMPLICIT


def compare(told: Mapping[str, Mapping[str, int]], paths: Iterable[Path]) -> tuple[Told, ...]:
    """told: label -> code -> how often clients of the load were told it."""
    said: Counter[tuple[str, str]] = Counter()
    for path in paths:
        says = path.site.kind == "respond" or (path.site.kind == "raise" and path.site.sub != "re-raise")
        for hit in path.hits if says else ():
            if hit.phase == LOAD and hit.code is not None:
                said[hit.label, hit.code] += hit.count
    return tuple(
        Told(label, code, count, said[label, code])
        for label, codes in sorted(told.items())
        for code, count in sorted(codes.items())
    )
