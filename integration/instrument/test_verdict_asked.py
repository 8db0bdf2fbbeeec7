"""The provider's journal against the target's rows."""

from __future__ import annotations

from array import array

import pytest

from load.metrics.journal import Asked
from load.metrics.timeline import TerminalState
from load.verdict.asked import LOST_NS, TOLD_NS, at_provider
from load.verdict.pairs import Seen, Stored

SIM = "sim:n=3"
WORD = "0a1b2c3d4e5f"
AT_NS = 1_000_000_000_000


def row(status: str = "COMPLETED", code: str | None = None, model: str = SIM, word: str = WORD) -> Stored:
    return Stored(status, code, model, word)


def asked(
    ended: str | None = "done",
    *,
    chunks: int = 3,
    after_ns: int = 0,
    word: str = WORD,
    finished: bool = False,
) -> Asked:
    """One request that ended so long after AT_NS."""
    written = array("q", range(AT_NS - chunks, AT_NS))
    ended_ns = None if ended is None else AT_NS + after_ns
    return Asked(word, SIM, AT_NS - 10, written, ended, ended_ns, finished)


TOLD = Seen(TerminalState.CANCELLED, "client", AT_NS)
LEFT = Seen(TerminalState.CUT_OFF, "us", AT_NS)
CANCELLED = row("CANCELLED", "cancelled")
LOST = row("CANCELLED", "client_disconnected")
FAILED = row("FAILED", "provider_unavailable")


@pytest.mark.parametrize(
    ("stored", "seen", "entries", "difference"),
    [
        (row(), None, [asked()], None),
        # Retried, or served by another provider, before anything was said.
        (row(), None, [asked("rst", chunks=0), asked("fin", chunks=0), asked()], None),
        (row(), None, [asked("rst", chunks=1), asked()], "asked again after the first chunk"),
        (row(), None, [asked(), asked()], "asked again after the first chunk"),
        (row(), None, [], "the row is COMPLETED, the provider was never asked"),
        (row(), None, [asked("peer")], "the row is COMPLETED, the provider's stream ended peer"),
        # The end mark was not waited for.
        (row(), None, [asked("peer", finished=True)], None),
        (row(), None, [asked(None)], "the row is COMPLETED, the provider's stream is open"),
        (FAILED, None, [], None),  # nothing listened there
        (FAILED, None, [asked("rst", chunks=0), asked("rst", chunks=0)], None),
        (CANCELLED, TOLD, [asked("peer", after_ns=TOLD_NS)], None),
        # All was written when the cancel came.
        (CANCELLED, TOLD, [asked("done", after_ns=-5)], None),
        (
            CANCELLED,
            TOLD,
            [asked("peer", after_ns=TOLD_NS + 1)],
            "the row is CANCELLED, the provider's stream went on for more than 1 s",
        ),
        (LOST, LEFT, [asked("peer", after_ns=LOST_NS)], None),
        (
            LOST,
            LEFT,
            [asked("done", after_ns=LOST_NS + 1)],
            "the row is CANCELLED, the provider's stream went on for more than 5 s",
        ),
        (LOST, None, [asked("peer", after_ns=10 * LOST_NS)], None),  # nobody knows when it was left
        (CANCELLED, TOLD, [asked(None)], "the row is CANCELLED, the provider's stream is open"),
        (row(model="embedded/markov-1"), None, [], None),
        (
            row(model="embedded/markov-1"),
            None,
            [asked()],
            "the provider was asked for a run of embedded/markov-1",
        ),
    ],
)  # fmt: skip
def test_one_run(stored: Stored, seen: Seen | None, entries: list[Asked], difference: str | None) -> None:
    """Each kind of row against what the journal may and may not say of it."""
    found = at_provider({} if seen is None else {"exe_1": seen}, {"exe_1": stored}, entries)

    assert found.differences == ({} if difference is None else {difference: ("exe_1",)})
    assert found.asked == ({"exe_1"} if entries else set())


def test_a_request_for_no_run_is_named_by_its_word() -> None:
    """There is no id for it."""
    found = at_provider({}, {"exe_1": row()}, [asked(), asked(word="ffff"), asked(word="")])

    assert found.differences == {"the provider was asked for no run": ("(empty)", "ffff")}
    assert found.ended == {"done": 3}


@pytest.mark.parametrize(("done", "differ"), [(2, set()), (1, {"a", "b", "c"})])
def test_rows_that_share_a_word_are_counted(done: int, differ: set[str]) -> None:
    """Who speaks by hand may say the same twice: as many streams ended done as rows are COMPLETED."""
    stored = {"a": row(), "b": row(), "c": CANCELLED}
    found = at_provider({}, stored, [*[asked()] * done, asked("peer")])

    assert {one for ids in found.differences.values() for one in ids} == differ


def test_what_the_journal_has_forgotten_is_no_difference() -> None:
    """Its oldest entries are gone: a run without one says nothing, a wrong one still does."""
    stored = {"a": row(word="aa"), "b": row(word="bb")}
    found = at_provider({}, stored, [asked("peer", word="bb")], forgotten=1)

    assert found.differences == {"the row is COMPLETED, the provider's stream ended peer": ("b",)}
