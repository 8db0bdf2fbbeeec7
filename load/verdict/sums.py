"""started = done + error + cancelled + interrupted + client-lost, counted on each side.

A run that its client left, or that a limit of our own gave up, is `client-lost` on every side, whatever
became of it, as long as the sides agree about it. So equal sums are what equal sides have, and a run about
which they differ shows as a difference of two lines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from load.metrics.timeline import TerminalState
from load.verdict.pairs import Seen, Stored, agrees

DONE: Final = "done"
ERROR: Final = "error"
CANCELLED: Final = "cancelled"
INTERRUPTED: Final = "interrupted"
CLIENT_LOST: Final = "client-lost"
OPEN: Final = "open"
"""Of a row alone: neither QUEUED nor RUNNING is an end."""
ENDINGS: Final = (DONE, ERROR, CANCELLED, INTERRUPTED, CLIENT_LOST)

OF_CODE: Final[Mapping[str | None, str]] = {
    "server_shutdown": INTERRUPTED,
    "storage_unavailable": INTERRUPTED,
    "cancelled": CANCELLED,
    "client_disconnected": CLIENT_LOST,
}
"""Codes that are no `error`, though a client is told them as one."""
OF_STATUS: Final[Mapping[str, str]] = {
    "COMPLETED": DONE,
    "FAILED": ERROR,
    "TIMED_OUT": ERROR,
    "CANCELLED": CANCELLED,
    "INTERRUPTED": INTERRUPTED,
}


@dataclass(frozen=True, slots=True)
class Sums:
    """ending -> runs. client: those whose id a client knew, and those it left before. provider: runs that the
    provider was asked for, None without its journal; never_asked: the rest, None likewise."""

    client: Mapping[str, int]
    database: Mapping[str, int]
    provider: Mapping[str, int] | None
    never_asked: Mapping[str, int] | None

    @property
    def endings(self) -> tuple[str, ...]:
        """Those that occur, in order; `open` last."""
        every = {**self.client, **self.database}
        return tuple(ending for ending in (*ENDINGS, OPEN) if every.get(ending))


def summed(
    client: Mapping[str, Seen],
    stored: Mapping[str, Stored],
    asked: frozenset[str] | None,
    *,
    explained: frozenset[str] = frozenset(),
) -> Sums:
    """explained: rows of streams that were left before their id was known. asked: as `AtProvider.asked`."""
    of_client: dict[str, int] = dict.fromkeys(ENDINGS, 0)
    of_rows, provider, never = dict(of_client), dict(of_client), dict(of_client)
    for seen in client.values():
        of_client[ending_seen(seen)] += 1
    for execution_id, row in stored.items():
        if execution_id in explained:
            of_client[CLIENT_LOST] += 1
            ending = CLIENT_LOST
        else:
            ending = ending_stored(row, client.get(execution_id))
        of_rows[ending] = of_rows.get(ending, 0) + 1
        side = provider if asked is not None and execution_id in asked else never
        side[ending] = side.get(ending, 0) + 1
    known = asked is not None
    return Sums(of_client, of_rows, provider if known else None, never if known else None)


def ending_seen(seen: Seen) -> str:
    """How a client counts the end of a run."""
    match seen.state:
        case TerminalState.DONE | TerminalState.BROKEN:
            return DONE
        case TerminalState.ERROR | TerminalState.REFUSED:
            return OF_CODE.get(seen.code, ERROR)
        case TerminalState.CANCELLED:
            return CANCELLED
        case TerminalState.CUT_OFF if seen.code != "us":
            return INTERRUPTED
        case _:
            return CLIENT_LOST


def ending_stored(row: Stored, seen: Seen | None) -> str:
    """How the database counts it, given what its client saw."""
    if seen is not None and ending_seen(seen) == CLIENT_LOST and agrees(seen, row):
        return CLIENT_LOST
    if row.error_code == "client_disconnected":
        return CLIENT_LOST
    return OF_STATUS.get(row.status, OPEN)
