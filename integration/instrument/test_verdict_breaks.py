"""Streams of a comparison that ended as nobody declared."""

from __future__ import annotations

from load.errors import ExitCode
from load.metrics.outcomes import Outcomes
from load.verdict.breaks import breaks, mended

AGAIN = "locust --base main"


def seen(**endings: tuple[str, ...]) -> Outcomes:
    """Undeclared endings of each arm, beside one stream as declared."""
    outcomes = Outcomes()
    for arm, kinds in endings.items():
        outcome = outcomes.declare(f"{arm} chat_ws", "DONE")
        outcome.book_expected()
        for number, kind in enumerate(kinds):
            outcome.book_unexpected(kind, f"{arm}{number}", timed_out=kind.startswith("TIMED_OUT"))
    return outcomes


def test_a_break_of_head_counts_whatever_base_did() -> None:
    """The most frequent first; each says how often base did the same."""
    outcomes = seen(
        base=("ERROR(internal)", "BROKEN(loss)", "BROKEN(loss)"),
        head=("BROKEN(loss)", "TIMED_OUT(total)", "BROKEN(loss)", "BROKEN(loss)"),
    )

    loss, timed_out = breaks(outcomes, "chat_ws", AGAIN)

    assert loss.reason == "3 of 5 streams ended BROKEN(loss), declared is DONE; so did 2 of base"
    assert timed_out.reason == "1 of 5 streams ended TIMED_OUT(total), declared is DONE; none of base did"
    assert (loss.kind, loss.scenario, loss.reproduce) == (ExitCode.BEHAVIOUR, "head chat_ws", AGAIN)
    assert (loss.ids, loss.timed_out, timed_out.timed_out) == (("head0", "head2", "head3"), False, True)


def test_what_base_alone_did_is_a_note() -> None:
    """One sentence for each kind, the most frequent first."""
    outcomes = seen(
        base=("CUT_OFF(reset)", "BROKEN(loss)", "ERROR(internal)", "ERROR(internal)"), head=("BROKEN(loss)",)
    )

    assert list(mended(outcomes, "chat_ws")) == [
        "2 streams of base ended ERROR(internal), and none of head.",
        "1 stream of base ended CUT_OFF(reset), and none of head.",
    ]


def test_nothing_came_and_nothing_broke() -> None:
    """Of an arm that did not get so far there is no outcome at all."""
    assert list(breaks(Outcomes(), "chat_ws", AGAIN)) == []
    assert list(mended(Outcomes(), "chat_ws")) == []
    assert list(breaks(seen(base=("BROKEN(loss)",), head=()), "chat_ws", AGAIN)) == []


def test_another_scenario_is_none_of_it() -> None:
    """Only the one that was compared."""
    assert list(breaks(seen(head=("BROKEN(loss)",)), "chat", AGAIN)) == []
