"""Does the provider's journal agree with what the target stored?

Journal and rows are joined by the first word of the message, which one turn of a run alone begins with.

    row              the journal's last entry of it                          earlier entries
    COMPLETED        `done`, or finished before it ended                     without a chunk
    any other        none, or ended soon after the client was told           without a chunk
    of `embedded/*`  none                                                    none

So a cancel, a lost client and a deadline reach the provider, and nothing is issued again after the first
chunk. A word that several rows share (a client that spoke by hand) is compared by counts alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from load.metrics.journal import Asked
from load.verdict.pairs import LEFT, Seen, Stored

TOLD_NS: Final = 1_000_000_000
"""From the end that a client was told to the end of the provider's stream: both are events of one moment."""
LOST_NS: Final = 5_000_000_000
"""The same where the client left without a word: the target notices late, and waits for it to come back."""
EMBEDDED: Final = "embedded/"


@dataclass(frozen=True, slots=True)
class AtProvider:
    """ended: how entries ended -> how many. asked: ids of the runs that have an entry. differences: what
    differs -> ids, or words where no row has them."""

    ended: Mapping[str, int]
    asked: frozenset[str]
    differences: Mapping[str, tuple[str, ...]]


def at_provider(
    client: Mapping[str, Seen], stored: Mapping[str, Stored], entries: Iterable[Asked], *, forgotten: int = 0
) -> AtProvider:
    """client, stored: by execution id. forgotten: so many of the oldest entries are missing; then a run
    without an entry says nothing."""
    by_word: dict[str, list[Asked]] = {}
    ended: dict[str, int] = {}
    for entry in entries:
        by_word.setdefault(entry.word, []).append(entry)
        ended[entry.ended or "open"] = ended.get(entry.ended or "open", 0) + 1
    runs: dict[str, list[str]] = {}
    for execution_id, row in stored.items():
        runs.setdefault(row.word, []).append(execution_id)
    found: dict[str, list[str]] = {}
    for word in by_word.keys() - runs.keys():
        found.setdefault("the provider was asked for no run", []).append(word or "(empty)")
    for word, ids in runs.items():
        of_word = by_word.get(word, [])
        if len(ids) > 1:
            what = _of_several([stored[one] for one in ids], of_word) if not forgotten else None
        else:
            what = _of_one(stored[ids[0]], client.get(ids[0]), of_word, forgotten=bool(forgotten))
        if what is not None:
            found.setdefault(what, []).extend(ids)
    asked = frozenset(one for word, ids in runs.items() if word in by_word for one in ids)
    return AtProvider(
        dict(sorted(ended.items())), asked, {what: tuple(sorted(found[what])) for what in sorted(found)}
    )


def _of_one(row: Stored, seen: Seen | None, entries: list[Asked], *, forgotten: bool) -> str | None:
    """What differs; None where all is well."""
    if row.model.startswith(EMBEDDED):
        return f"the provider was asked for a run of {row.model}" if entries else None
    if not entries:
        lacks = row.status == "COMPLETED" and not forgotten
        return "the row is COMPLETED, the provider was never asked" if lacks else None
    *earlier, last = entries
    if any(entry.written_ns for entry in earlier):
        return "asked again after the first chunk"
    if last.ended is None:
        return f"the row is {row.status}, the provider's stream is open"
    if row.status == "COMPLETED":
        how = f"the row is COMPLETED, the provider's stream ended {last.ended}"
        return None if _whole(last) else how
    if seen is None or seen.ended_ns is None or last.ended_ns is None:
        return None
    most_ns = LOST_NS if seen == LEFT else TOLD_NS
    if last.ended_ns > seen.ended_ns + most_ns:
        return f"the row is {row.status}, the provider's stream went on for more than {most_ns / 1e9:g} s"
    return None


def _whole(entry: Asked) -> bool:
    return entry.ended == "done" or entry.finished


def _of_several(rows: list[Stored], entries: list[Asked]) -> str | None:
    wired = [row for row in rows if not row.model.startswith(EMBEDDED)]
    completed = sum(row.status == "COMPLETED" for row in wired)
    done = sum(_whole(entry) for entry in entries)
    if done < completed or (entries and not wired):
        return f"{completed} rows of one word are COMPLETED, {done} of the provider's streams ended done"
    return None
