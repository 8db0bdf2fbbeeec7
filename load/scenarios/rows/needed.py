"""Which rows a run has to reach, and how often."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from load.scenarios.rows.base import ROWS
from load.scenarios.walk import Due
from load.verdict.behaviour import Needed


def due(names: Collection[str]) -> dict[str, Due]:
    """What failure users have to do for `needed`: each row twice, or once each of its variants."""
    found = {}
    for name in names:
        row = ROWS[name]
        alone = sum(ROWS[other].id == row.id for other in names) == 1
        found[name] = Due(row.times if alone else 1, row.lasts_s, again=row.times > 1)
    return found


def needed(rows: Mapping[str, str], *, while_measuring: bool) -> tuple[Needed, ...]:
    """rows: name -> id, of all that this run might reach. Each id twice, where it may come twice, and each of
    its variants; of the end phase once. while_measuring: whether those before the end phase are asked for.
    """
    found = []
    for row_id in dict.fromkeys(rows.values()):
        variants = tuple(name for name, its_id in rows.items() if its_id == row_id)
        measured = [ROWS[name].times for name in variants if name in ROWS]
        if measured and while_measuring:
            found.append(Needed(row_id, min(2, sum(measured)), variants))
        elif not measured:
            found.append(Needed(row_id, 1, variants))
    return tuple(found)
