"""What a scenario expects of one stream or call: the declared outcome, and when it is one.

An error is a success only where the scenario declared exactly that error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from load.metrics.timeline import TerminalState, Timeline

LATE = " late: "
LATE_ALLOWANCE_S = 0.25
LATE_ALLOWANCE = 0.75
"""A deadline may be answered so much late, or so much of its limit where that is more: a timer that fires at
twice its limit is outside, a busy two-core machine is inside."""

CLOCKS = ("first_token_timeout", "inter_chunk_timeout", "deadline_exceeded")
"""Codes of a run's deadlines: the target tells which limit fired, and after how long."""

EARLY_ALLOWANCE_NS = 2_000_000
"""A timer's grain, and a clock that is read a moment later than the peer's."""

ORDERLY_CLOSES: Final = (1000, 1001, 1012, 4408)
"""Close codes that concern no stream: the answer to ours, a server that goes away, an idle connection."""


@dataclass(frozen=True, slots=True)
class Expect:
    """One exact outcome.

    code: of an ERROR or REFUSED, the reason of a CANCELLED, who ended a CUT_OFF. status: of a REFUSED.
    limit_s: the configured deadline behind the ending. One of a run (CLOCKS) must neither fire early nor be
    answered late; any other is timed from the request, and only late is wrong. close: the code that the
    connection is closed with behind the end of the stream, where that is none of ORDERLY_CLOSES. since: what
    starts the deadline's clock at a target that does not tell its own (`sent`, `accepted`, `chunk`).
    """

    state: TerminalState = TerminalState.DONE
    code: str | None = None
    status: int | None = None
    limit_s: float | None = None
    close: int | None = None
    since: str | None = None

    def __str__(self) -> str:
        return outcome(self.state, self.code, self.status)

    def differs(self, state: TerminalState, code: str | None, status: int | None) -> str | None:
        """What came instead, as text; None when it came as declared."""
        if (state, code, status) == (self.state, self.code, self.status):
            return None
        return outcome(state, code, status)

    def deadline_differs(self, timeline: Timeline) -> str | None:
        """How the declared deadline was not kept, as text; None where it was, or none was declared.

        Early is judged by the target's own word alone, late by what the client saw. The text names no
        observed time: equal texts are one finding, and the report has the distribution.
        """
        if self.limit_s is None or self.code is None:
            return None
        if self.code in CLOCKS and self.since is None:
            limit_ms = self.limit_s * 1000
            if timeline.limit_ms != limit_ms:
                return f"{self} with limit_ms {timeline.limit_ms}, configured {limit_ms:g}"
            if timeline.elapsed_ms is not None and timeline.elapsed_ms < limit_ms - 1:
                return f"{self} early: in less than its {limit_ms:g} ms"
        observed_ns = self.observed_ns(timeline)
        if observed_ns is None:
            return f"{self} at an unknown time, configured {self.limit_s:g} s"
        return self.late(observed_ns)

    def late(self, observed_ns: int) -> str | None:
        """That the deadline was answered too late, as text; None where it was not, or none was declared."""
        if self.limit_s is None:
            return None
        latest_s = self.limit_s + max(LATE_ALLOWANCE_S, self.limit_s * LATE_ALLOWANCE)
        if observed_ns > latest_s * 1e9:
            return f"{self}{LATE}after more than {latest_s:g} s, configured {self.limit_s:g} s"
        return None

    def early(self, observed_ns: int) -> str | None:
        """The same for too early, where the observer's clock started no later than the deadline's."""
        if self.limit_s is None or observed_ns >= self.limit_s * 1e9 - EARLY_ALLOWANCE_NS:
            return None
        return f"{self} early: in less than its {self.limit_s * 1000:g} ms"

    def observed_ns(self, timeline: Timeline) -> int | None:
        """From what starts the deadline's clock to the answer, as the client saw it; None without both."""
        since = self.since
        if since is None and self.code in CLOCKS:
            since = "chunk" if self.code == "inter_chunk_timeout" else "accepted"
        if since == "chunk":
            start = timeline.last_delta_at
        elif since == "accepted":
            start = timeline.accepted_at
        else:
            start = None if timeline.sent is None else timeline.sent.at
        return None if start is None or timeline.ended_at is None else timeline.ended_at - start

    def close_differs(self, timeline: Timeline) -> str | None:
        """An undeclared close code behind the end of the stream, as text.

        A CUT_OFF has its code itself, and a fatal error has announced the close.
        """
        close, errored = timeline.close, timeline.errored
        if close is None or close.by != "peer" or close.code in (None, self.close, *ORDERLY_CLOSES):
            return None
        if timeline.state is TerminalState.CUT_OFF or (errored is not None and errored.fatal):
            return None
        return f"{self}, then closed with {close.code}"


def by_our_clock(state: TerminalState, seen: str) -> bool:
    """Whether an undeclared ending rests on a time that we took ourselves."""
    return state is TerminalState.TIMED_OUT or LATE in seen


def outcome(state: TerminalState, code: str | None = None, status: int | None = None) -> str:
    """`DONE`, `ERROR(internal)`, `REFUSED(429, rate_limited)`: how an ending is written everywhere."""
    facts = ", ".join(str(fact) for fact in (status, code) if fact is not None)
    return f"{state.name}({facts})" if facts else state.name


DONE = Expect()
CANCELLED = Expect(TerminalState.CANCELLED, "client")
CUT_BY_US = Expect(TerminalState.CUT_OFF, "us")


def refused(status: int, code: str | None, limit_s: float | None = None) -> Expect:
    """Not accepted: a handshake or request answered `status` with a problem of `code`; None: a bare one."""
    return Expect(TerminalState.REFUSED, code, status, limit_s)


def cut_off(by: str, limit_s: float | None = None) -> Expect:
    """Ended by the peer's close code, `fin` or `reset`."""
    return Expect(TerminalState.CUT_OFF, by, limit_s=limit_s)


def error(code: str, limit_s: float | None = None) -> Expect:
    """Accepted, then ended by the target with an error frame of `code`."""
    return Expect(TerminalState.ERROR, code, limit_s=limit_s)
