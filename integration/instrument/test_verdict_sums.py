"""The endings of all runs, counted on each side."""

from __future__ import annotations

from array import array
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from load.metrics.journal import Asked
from load.metrics.timeline import TerminalState
from load.verdict.pairs import Seen, Stored
from load.verdict.reconcile import reconcile
from load.verdict.sums import ending_seen, ending_stored, summed

AT_NS = 1_000_000_000_000
SIM, EMBEDDED = "sim:n=1", "embedded/markov-1"

AGREED = (
    (Seen(TerminalState.DONE, None), Stored("COMPLETED", None), "done"),
    (Seen(TerminalState.BROKEN, "loss"), Stored("COMPLETED", None), "done"),
    (Seen(TerminalState.ERROR, "internal"), Stored("FAILED", "internal"), "error"),
    (Seen(TerminalState.ERROR, "deadline_exceeded"), Stored("TIMED_OUT", "deadline_exceeded"), "error"),
    (Seen(TerminalState.REFUSED, "no_provider"), Stored("FAILED", "no_provider"), "error"),
    (Seen(TerminalState.REFUSED, "cancelled"), Stored("CANCELLED", "cancelled"), "cancelled"),
    (Seen(TerminalState.CANCELLED, "client"), Stored("CANCELLED", "cancelled"), "cancelled"),
    (Seen(TerminalState.ERROR, "server_shutdown"), Stored("INTERRUPTED", "server_shutdown"), "interrupted"),
    (
        Seen(TerminalState.ERROR, "storage_unavailable"),
        Stored("INTERRUPTED", "storage_unavailable"),
        "interrupted",
    ),
    (Seen(TerminalState.CUT_OFF, "1012"), Stored("INTERRUPTED", "server_shutdown"), "interrupted"),
    (Seen(TerminalState.CUT_OFF, "us"), Stored("CANCELLED", "client_disconnected"), "client-lost"),
    (Seen(TerminalState.CUT_OFF, "us"), Stored("COMPLETED", None), "client-lost"),
    (Seen(TerminalState.TIMED_OUT, "gap"), Stored("FAILED", "internal"), "client-lost"),
)
"""Pairs that agree, and what both sides count them as."""


@pytest.mark.parametrize(("seen", "stored", "ending"), AGREED)
def test_sides_that_agree_count_alike(seen: Seen, stored: Stored, ending: str) -> None:
    """By the client's word and by the row."""
    assert (ending_seen(seen), ending_stored(stored, seen)) == (ending, ending)


@pytest.mark.parametrize(
    ("stored", "ending"),
    [
        (Stored("CANCELLED", "client_disconnected"), "client-lost"),
        (Stored("CANCELLED", "cancelled"), "cancelled"),
        (Stored("RUNNING", None), "open"),
    ],
)
def test_a_row_that_nobody_saw_is_counted_by_itself(stored: Stored, ending: str) -> None:
    """Nothing is known but the row."""
    assert ending_stored(stored, None) == ending


def test_a_row_that_differs_shows_in_two_lines() -> None:
    """The client left a run that failed: lost for the one, an error for the other."""
    sums = summed({"a": Seen(TerminalState.CUT_OFF, "us")}, {"a": Stored("FAILED", "internal")}, None)

    assert (sums.client["client-lost"], sums.database["error"]) == (1, 1)
    assert (sums.provider, sums.never_asked) == (None, None)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[dict[str, Seen], dict[str, Stored], list[Asked], int]:
    """Runs as three sides that agree know them, and how many the clients left before they knew of them."""
    client, stored, entries, unseen = {}, {}, [], 0
    for number in range(draw(st.integers(0, 12))):
        seen, row, ending = draw(st.sampled_from(AGREED))
        word, execution_id = f"{number:012x}", f"exe_{number}"
        wired = draw(st.booleans())
        stored[execution_id] = replace(row, model=SIM if wired else EMBEDDED, word=word)
        if ending == "client-lost" and seen.state is TerminalState.CUT_OFF and draw(st.booleans()):
            unseen += 1
        else:
            client[execution_id] = replace(seen, ended_ns=AT_NS)
        if wired and (row.status == "COMPLETED" or draw(st.booleans())):
            retried = Asked(word, SIM, AT_NS, array("q"), "rst", AT_NS)
            entries += [retried] * draw(st.integers(0, 2))
            how = "done" if row.status == "COMPLETED" else draw(st.sampled_from(("peer", "rst", "done")))
            entries.append(Asked(word, SIM, AT_NS, array("q", [AT_NS]), how, AT_NS))
    return client, stored, entries, unseen


@given(worlds())
def test_sides_that_agree_have_equal_sums(
    world: tuple[dict[str, Seen], dict[str, Stored], list[Asked], int],
) -> None:
    """started = done + error + cancelled + interrupted + client-lost, on each of three sides."""
    client, stored, entries, unseen = world
    found = reconcile(client, stored, entries, abandoned_unseen=unseen)

    assert found.differences == {}
    assert found.sums.client == found.sums.database
    assert sum(found.sums.database.values()) == len(stored)
    assert found.sums.provider is not None
    assert found.sums.never_asked is not None
    both = {name: n + found.sums.never_asked[name] for name, n in found.sums.provider.items()}
    assert both == found.sums.database


@given(worlds(), st.data())
def test_what_one_side_lacks_is_a_difference(
    world: tuple[dict[str, Seen], dict[str, Stored], list[Asked], int], data: st.DataObject
) -> None:
    """A row, what a client saw, or a request for a completed run taken away."""
    client, stored, entries, unseen = world
    told = sorted(one for one in client.keys() & stored.keys())
    completed = {row.word for row in stored.values() if row.status == "COMPLETED"}
    needed = [n for n, entry in enumerate(entries) if entry.ended == "done" and entry.word in completed]
    assume(told or needed)
    match data.draw(st.sampled_from([*told, *needed])):
        case str(one):
            del stored[one]
        case int(number):
            del entries[number]

    assert reconcile(client, stored, entries, abandoned_unseen=unseen).differences != {}
