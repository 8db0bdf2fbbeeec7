"""The order of exit codes, and what a time-out of our own is worth."""

from __future__ import annotations

from itertools import pairwise

import pytest

from load.errors import ExitCode
from load.verdict.judge import ORDER, Finding, Verdict, judge


def finding(kind: ExitCode, *, timed_out: bool = False) -> Finding:
    return Finding(kind, "chat_ws", None, "1 of 9", "0", f"reason of {kind.name}", timed_out=timed_out)


def test_no_finding_is_a_pass() -> None:
    """Without a finding the run passed."""
    assert judge([]) == Verdict("PASS", ExitCode.PASS, (), ())


def test_every_code_but_pass_has_its_place() -> None:
    """A cause without a place in the order could not be judged."""
    assert set(ORDER) == set(ExitCode) - {ExitCode.PASS}


@pytest.mark.parametrize(("first", "second"), list(pairwise(ORDER)))
def test_the_earlier_cause_decides(first: ExitCode, second: ExitCode) -> None:
    """Of two causes the earlier in the order names the verdict; both stay listed, the worse first."""
    verdict = judge([finding(second), finding(first)])

    assert verdict.exit_code is first
    assert verdict.reasons == (
        f"{first.name} chat_ws: reason of {first.name}",
        f"{second.name} chat_ws: reason of {second.name}",
    )


def test_our_own_time_out_does_not_count_in_an_invalid_run() -> None:
    """A late generator must not book its own time-outs on the target."""
    late = finding(ExitCode.BEHAVIOUR, timed_out=True)

    assert judge([late]).exit_code is ExitCode.BEHAVIOUR
    assert judge([late, finding(ExitCode.INVALID)]).exit_code is ExitCode.INVALID


def test_a_broken_stream_counts_in_an_invalid_run() -> None:
    """A wrong sequence is true at any speed."""
    verdict = judge([finding(ExitCode.INVALID), finding(ExitCode.BEHAVIOUR)])

    assert verdict.exit_code is ExitCode.BEHAVIOUR
