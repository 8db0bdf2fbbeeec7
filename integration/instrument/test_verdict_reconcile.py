"""What becomes of differences between the sides."""

from __future__ import annotations

from array import array

from load.errors import ExitCode
from load.metrics.journal import Asked
from load.metrics.timeline import TerminalState
from load.verdict.pairs import Seen, Stored
from load.verdict.reconcile import findings, reconcile

DONE = Seen(TerminalState.DONE, None)
SIM = "sim:n=1"


def completed(word: str) -> Stored:
    return Stored("COMPLETED", None, SIM, word)


def test_without_a_journal_two_sides_are_compared() -> None:
    """Nothing is said of a provider."""
    found = reconcile({"a": DONE}, {"a": completed("aa")})

    assert (found.differences, found.provider, found.sums.provider) == ({}, None, None)


def test_each_kind_of_difference_is_a_finding_with_the_ids() -> None:
    """One between client and row, one between row and journal."""
    late = Stored("TIMED_OUT", "first_token_timeout", SIM, "cc")
    left = Asked("bb", SIM, 1, array("q", [2]), "peer", 3)
    done = Asked("aa", SIM, 1, array("q", [2]), "done", 3)
    stored = {"a": completed("aa"), "b": completed("bb"), "c": late}
    found = reconcile(dict.fromkeys("abc", DONE), stored, [done, left])

    assert [(finding.kind, finding.reason, finding.ids) for finding in findings(found)] == [
        (
            ExitCode.BEHAVIOUR,
            "1 of 3 executions: a client saw DONE, the row is TIMED_OUT(first_token_timeout)",
            ("c",),
        ),
        (
            ExitCode.BEHAVIOUR,
            "1 of 3 executions: the row is COMPLETED, the provider's stream ended peer",
            ("b",),
        ),
    ]
    assert found.provider == {"done": 1, "peer": 1}


def test_of_many_ids_the_first_are_kept() -> None:
    """All are counted."""
    client = {f"exe_{number}": DONE for number in range(9)}
    (finding,) = findings(reconcile(client, {}))

    assert (finding.value, finding.ids) == ("9", ("exe_0", "exe_1", "exe_2", "exe_3", "exe_4"))
