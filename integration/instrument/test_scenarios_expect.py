"""What was declared, and what counts as something else."""

from __future__ import annotations

import pytest

from load.metrics.events import Accepted, Closed, Errored, Event, Finished, Sent
from load.metrics.timeline import Limits, TerminalState, Timeline
from load.scenarios.expect import DONE, Expect, by_our_clock, cut_off, error, refused

SENT = Sent(1_000, 1_000)
ACCEPTED = Accepted(1_100, "e1", 1)
FINISHED = Finished(2_000, "", 2)

MS = 1_000_000
WHICH = "first_token_timeout"


def closed(code: int | None, by: str = "peer") -> Closed:
    return Closed(3_000, True, code, by, "close")  # type: ignore[arg-type]


def made(*events: Event) -> Timeline:
    timeline = Timeline(Limits())
    for event in (SENT, ACCEPTED, *events):
        timeline.take(event)
    return timeline


@pytest.mark.parametrize(
    ("events", "expect", "expected"),
    [
        ((FINISHED,), DONE, None),
        ((FINISHED, closed(1000)), DONE, None),
        ((FINISHED, closed(None)), DONE, None),
        ((FINISHED, closed(1012)), DONE, None),
        ((FINISHED, closed(4408)), DONE, None),
        ((FINISHED, closed(1011)), DONE, "DONE, then closed with 1011"),
        ((FINISHED, closed(4401)), Expect(close=4401), None),
        ((FINISHED, closed(4401)), Expect(close=4400), "DONE, then closed with 4401"),
        ((FINISHED, closed(4999, "us")), DONE, None),
        ((Errored(2_000, "internal", fatal=True), closed(1011)), DONE, None),
        ((Errored(2_000, "internal"), closed(1011)), DONE, "DONE, then closed with 1011"),
        ((closed(1011),), DONE, None),  # CUT_OFF(1011): the code is named already
    ],
)
def test_a_close_code_behind_the_end(events: tuple[Event, ...], expect: Expect, expected: str | None) -> None:
    """One that is neither declared nor announced nor orderly is named."""
    assert expect.close_differs(made(*events)) == expected


def ended(
    code: str, after_ms: float, *, limit_ms: float | None = None, elapsed_ms: float | None = None
) -> Timeline:
    """A stream sent at 0, accepted at 10 ms, and ended with an error so long after that."""
    timeline = Timeline(Limits())
    timeline.take(Sent(0, 0))
    timeline.take(Accepted(10 * MS, "exe_1"))
    at = int((10 + after_ms) * MS)
    timeline.take(Errored(at, code, limit_ms=limit_ms, elapsed_ms=elapsed_ms))
    return timeline


@pytest.mark.parametrize(
    ("expect", "text"),
    [
        (DONE, "DONE"),
        (error("internal"), "ERROR(internal)"),
        (refused(429, "rate_limited"), "REFUSED(429, rate_limited)"),
        (refused(408, None), "REFUSED(408)"),
        (cut_off("1009"), "CUT_OFF(1009)"),
    ],
)
def test_an_outcome_as_text(expect: Expect, text: str) -> None:
    assert str(expect) == text


def test_only_the_very_same_outcome_is_the_declared_one() -> None:
    declared = refused(429, "rate_limited")

    assert declared.differs(TerminalState.REFUSED, "rate_limited", 429) is None
    assert declared.differs(TerminalState.REFUSED, "rate_limited", 503) == "REFUSED(503, rate_limited)"
    assert declared.differs(TerminalState.DONE, None, None) == "DONE"


@pytest.mark.parametrize(
    ("timeline", "differs"),
    [
        (ended(WHICH, 1505, limit_ms=1500, elapsed_ms=1501), None),
        (ended(WHICH, 1505, limit_ms=2000, elapsed_ms=2001), "with limit_ms 2000, configured 1500"),
        (ended(WHICH, 1505, limit_ms=1500, elapsed_ms=1400), "early: in less than its 1500 ms"),
        (
            ended(WHICH, 2626, limit_ms=1500, elapsed_ms=1501),
            "late: after more than 2.625 s, configured 1.5 s",
        ),
    ],
)
def test_a_deadline_of_a_run(timeline: Timeline, differs: str | None) -> None:
    """Early and which limit is the target's own word, late is what the client saw."""
    seen = error(WHICH, 1.5).deadline_differs(timeline)

    assert seen == (differs and f"ERROR({WHICH}) {differs}")


@pytest.mark.parametrize(("after_ms", "late"), [(0, False), (864, False), (866, True)])
def test_any_other_deadline_counts_from_the_request_and_may_come_early(after_ms: float, late: bool) -> None:
    """Half a second, and three quarters of it later."""
    seen = error("provider_unavailable", 0.5).deadline_differs(ended("provider_unavailable", after_ms))

    assert seen == (
        "ERROR(provider_unavailable) late: after more than 0.875 s, configured 0.5 s" if late else None
    )


def test_late_is_our_own_word_and_early_is_not() -> None:
    """An overloaded generator must not accuse the target by its clock."""
    declared = refused(408, None, limit_s=1.0)
    late, early = declared.late(9 * 10**9), declared.early(0)
    assert late is not None
    assert early is not None

    assert by_our_clock(TerminalState.REFUSED, late)
    assert by_our_clock(TerminalState.TIMED_OUT, "TIMED_OUT(gap)")
    assert not by_our_clock(TerminalState.REFUSED, early)


@pytest.mark.parametrize(
    ("observed_ms", "early", "late"), [(997, True, False), (998, False, False), (1751, False, True)]
)
def test_what_the_scenario_timed_itself(observed_ms: int, early: bool, late: bool) -> None:
    """Its clock started no later than the deadline's, so less than the limit is early."""
    declared = refused(408, None, limit_s=1.0)

    assert declared.early(observed_ms * MS) == (
        "REFUSED(408) early: in less than its 1000 ms" if early else None
    )
    assert declared.late(observed_ms * MS) == (
        "REFUSED(408) late: after more than 1.75 s, configured 1 s" if late else None
    )
