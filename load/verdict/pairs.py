"""Does what clients saw agree with what the target stored?

For each execution the client's ending and the stored row must be one of these pairs; any other pair, and an
id that only one side has, is a difference:

    client                      row
    DONE, BROKEN                COMPLETED
    ERROR(code), REFUSED(code)  the same error code
    CANCELLED                   CANCELLED
    CUT_OFF by us               CANCELLED or COMPLETED
    CUT_OFF by the target       INTERRUPTED
    TIMED_OUT                   any: our own limit says nothing about the row
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from load.metrics.timeline import TerminalState


@dataclass(frozen=True, slots=True)
class Seen:
    """How a stream ended for the client. code: as `Timeline.code`. ended_ns: when, None if not known; two
    endings are equal whenever they came."""

    state: TerminalState
    code: str | None
    ended_ns: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Stored:
    """What the target's row says. error_code: None where it completed. word: the first of its message."""

    status: str
    error_code: str | None
    model: str = ""
    word: str = ""


@dataclass(frozen=True, slots=True)
class Pairs:
    """compared: executions that both sides know. client, stored: endings counted on each side. explained:
    rows that no client knows of because it left too early. differences: what differs -> the ids."""

    compared: int
    client: Mapping[str, int]
    stored: Mapping[str, int]
    explained: frozenset[str]
    differences: Mapping[str, tuple[str, ...]]


LEFT = Seen(TerminalState.CUT_OFF, "us")


def agrees(seen: Seen, stored: Stored) -> bool:
    """Whether the pair stands in the table above."""
    match seen.state:
        case TerminalState.DONE | TerminalState.BROKEN:
            return stored.status == "COMPLETED"
        case TerminalState.ERROR | TerminalState.REFUSED:
            return stored.error_code is not None and stored.error_code == seen.code
        case TerminalState.CANCELLED:
            return stored.status == "CANCELLED"
        case TerminalState.CUT_OFF if seen.code == "us":
            return stored.status in ("CANCELLED", "COMPLETED")
        case TerminalState.CUT_OFF:
            return stored.status == "INTERRUPTED"
        case _:
            return True


def paired(client: Mapping[str, Seen], stored: Mapping[str, Stored], *, abandoned_unseen: int = 0) -> Pairs:
    """Both sides by execution id. abandoned_unseen: so many streams the client left before it knew their id;
    as many rows that end so are theirs."""
    differences: dict[str, list[str]] = {}
    explained: set[str] = set()
    for execution_id in sorted(client.keys() | stored.keys()):
        seen, row = client.get(execution_id), stored.get(execution_id)
        if seen is None and row is not None and len(explained) < abandoned_unseen and agrees(LEFT, row):
            explained.add(execution_id)
            continue
        if seen is None and row is not None:
            what = f"no client knows of a row that is {_row(row)}"
        elif seen is not None and row is None:
            what = f"a client saw {_seen(seen)}, there is no row"
        elif seen is not None and row is not None and not agrees(seen, row):
            what = f"a client saw {_seen(seen)}, the row is {_row(row)}"
        else:
            continue
        differences.setdefault(what, []).append(execution_id)
    return Pairs(
        compared=len(client.keys() & stored.keys()),
        client=dict(sorted(Counter(_seen(seen) for seen in client.values()).items())),
        stored=dict(sorted(Counter(_row(row) for row in stored.values()).items())),
        explained=frozenset(explained),
        differences={what: tuple(ids) for what, ids in differences.items()},
    )


def _seen(seen: Seen) -> str:
    return seen.state.name if seen.code is None else f"{seen.state.name}({seen.code})"


def _row(row: Stored) -> str:
    return row.status if row.error_code is None else f"{row.status}({row.error_code})"
