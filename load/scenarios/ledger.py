"""What a run has seen so far: booked by its users while it runs, read once at its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from load.drivers.base import Frame
from load.drivers.clock import now_ns
from load.metrics.outcomes import WITH_BREAKS, Outcome, Outcomes
from load.metrics.run import RAMP, Run, StreamRow
from load.metrics.standstill import Standstills
from load.metrics.timeline import TerminalState, Timeline
from load.scenarios.expect import Expect, by_our_clock
from load.scenarios.kept import Kept
from load.scenarios.steps import Steps
from load.scenarios.windows import Windows
from load.verdict.reconcile import LEFT, Seen

RowSink: TypeAlias = Callable[[StreamRow], None]

OF_THE_STREAM: Final = frozenset(
    (
        *("superseded", "stream_busy", "request_in_progress", "idempotency_mismatch"),
        *("resume_gap", "resume_invalid_seq", "resume_not_found"),
    )
)
"""Codes that end a stream and leave its run as it is: they do not tell how the run ended."""

STOOD_STILL: Final = "an undeclared end around a standstill of the generator; see to it that it always runs"

GAVE_UP: Final = Seen(TerminalState.TIMED_OUT, "standstill")
"""How a run ended for a client that could not follow it: it says nothing about the row."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a stream comes from. utc: of its start, RFC 3339. word: its message's own, or empty. busy: its
    user was occupied with the former stream when it was due. of_failures: its user does nothing else. arm,
    round: of a comparison."""

    scenario: str
    user: int
    seed: int
    utc: str
    word: str
    busy: bool
    of_failures: bool = False
    arm: str | None = None
    round: int | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """One stream that came to its end. tell: is told what came instead of the declared outcome, or None."""

    origin: Origin
    expect: Expect
    timeline: Timeline
    frames: list[Frame]
    tell: Callable[[str | None], None]


@dataclass(slots=True)
class Ledger:
    """One run's counts, histograms, and the frames of what nobody declared.

    windows: of the measuring part, None until all users have come; steady_until_ns: its end, monotonic.
    Streams intended outside it are kept apart. protocols: scenario -> how it
    speaks. executions: how each ended, by its id. abandoned_unseen:
    streams that we left before we knew their id. defects: what went wrong in the instrument itself; any makes
    the run INVALID. standstills: of the generator; what they touched and nobody declared is not booked.
    steps: of a search for a capacity, None in any other run.
    """

    write_row: RowSink
    run: Run = field(default_factory=Run)
    outcomes: Outcomes = field(default_factory=Outcomes)
    recordings: dict[str, list[Frame]] = field(default_factory=dict)
    protocols: dict[str, str] = field(default_factory=dict)
    executions: dict[str, Seen] = field(default_factory=dict)
    kept: Kept = field(default_factory=Kept)
    defects: list[str] = field(default_factory=list)
    abandoned_unseen: int = 0
    refused_in_a_row: int = 0
    windows: Windows | None = None
    steady_until_ns: int | None = None
    standstills: Standstills = field(default_factory=Standstills)
    steps: Steps | None = None
    _last: dict[int, Ended] = field(default_factory=dict)

    def began(self, intended_ns: int) -> None:
        """A stream that was due then is under way."""
        if self.steps is not None:
            self.steps.began(intended_ns)

    def over(self, intended_ns: int) -> None:
        """It is no more."""
        if self.steps is not None:
            self.steps.ended(intended_ns)

    def ended(self, connection: object, stream: Ended) -> None:
        """Takes an ended stream. It is booked when the next one of its connection has ended, or by `settle`:
        until then a late frame can still show that it was broken."""
        former = self._last.get(id(connection))
        self._last[id(connection)] = stream
        if former is not None:
            self._book_stream(former)

    def abandoned(self, origin: Origin, timeline: Timeline) -> None:
        """A stream that was under way when its user was stopped: unfinished, and out of all rates."""
        if timeline.state is not None:
            return
        self.run.tally(origin.scenario, self._window(timeline)).book(timeline)
        if timeline.execution_id is None:
            self.abandoned_unseen += 1
        else:
            self.saw(timeline.execution_id, LEFT)

    def failed_here(self, origin: Origin, timeline: Timeline) -> None:
        """A stream that ended by a fault of our own: the target may have a row of it, and nothing to answer
        for."""
        if timeline.sent is not None:
            self.abandoned(origin, timeline)

    def saw(self, execution_id: str, seen: Seen) -> None:
        """How a run ended for one of its readers; that we left it says least."""
        if seen == LEFT:
            self.executions.setdefault(execution_id, seen)
        else:
            self.executions[execution_id] = seen

    def left(self, connection: object) -> None:
        """Books the last stream of a connection that is closed: nothing can come late any more."""
        last = self._last.pop(id(connection), None)
        if last is not None:
            self._book_stream(last)

    def settle(self) -> None:
        """Books what `ended` still holds; connections are closed by now."""
        for stream in self._last.values():
            self._book_stream(stream)
        self._last.clear()

    def _book_stream(self, ended: Ended) -> None:
        origin, expect, timeline = ended.origin, ended.expect, ended.timeline
        state = timeline.state
        assert state is not None, "whoever follows a stream sees to its end"
        seen = expect.differs(state, timeline.code, timeline.status) or expect.deadline_differs(timeline)
        if seen is None and timeline.breaks:
            seen = f"{expect}{WITH_BREAKS}{', '.join(timeline.breaks)}"
        seen = seen or expect.close_differs(timeline)
        good = seen is None and state is TerminalState.DONE
        ours = seen is not None and not timeline.breaks and self._stood_still(timeline)
        window = self._window(timeline)
        self.run.tally(origin.scenario, window).book(timeline, good=good, busy=origin.busy)
        self.kept.keep(origin.word, origin.scenario, window, timeline)
        row = StreamRow.of(
            timeline,
            utc=origin.utc,
            scenario=origin.scenario,
            user=origin.user,
            seed=origin.seed,
            arm=origin.arm,
            round=origin.round,
        )
        self.write_row(row)
        self._reached(timeline.code)
        if timeline.execution_id is not None and timeline.code not in OF_THE_STREAM:
            told = Seen(state, timeline.code, timeline.ended_at)
            self.saw(timeline.execution_id, GAVE_UP if ours else told)
        stream_id = timeline.execution_id or timeline.correlation_id or "unknown"
        outcome = self.outcomes.declare(origin.scenario, str(expect), of_failures=origin.of_failures)
        if seen is None:
            outcome.book_expected()
        elif ours:
            self.run.health.fault(STOOD_STILL)
        else:
            if outcome.book_unexpected(seen, stream_id, timed_out=by_our_clock(state, seen)):
                self.recordings[stream_id] = ended.frames
            if self.steps is not None:
                self.steps.saw(window, origin.scenario, seen)
        self._deadline(outcome, expect, timeline)
        ended.tell(seen)

    def book_call(
        self,
        scenario: str,
        expect: Expect,
        came: Expect,
        call_id: str,
        *,
        observed_ns: int | None = None,
        of_failures: bool = False,
    ) -> str | None:
        """Books what is no stream; what came instead of `expect`, or None.

        observed_ns: from before the deadline's clock began until it was answered.
        """
        seen = expect.differs(came.state, came.code, came.status)
        if seen is None and observed_ns is not None:
            seen = expect.early(observed_ns) or expect.late(observed_ns)
        self._reached(came.code)
        if seen is not None:
            timed_out = by_our_clock(came.state, seen)
            self.book_unexpected(
                scenario, expect, seen, call_id, of_failures=of_failures, timed_out=timed_out
            )
            return seen
        outcome = self.outcomes.declare(scenario, str(expect), of_failures=of_failures)
        outcome.book_expected()
        if observed_ns is not None and expect.limit_s is not None:
            outcome.book_deadline(expect.limit_s * 1000, observed_ns)
        return None

    def book_unexpected(
        self,
        scenario: str,
        expect: Expect,
        seen: str,
        stream_id: str,
        *,
        of_failures: bool,
        timed_out: bool = False,
    ) -> None:
        """Books something that nobody declared, seen by the scenario itself just now."""
        outcome = self.outcomes.declare(scenario, str(expect), of_failures=of_failures)
        now = now_ns()
        if self.standstills.touched(now, now, now):
            self.run.health.fault(STOOD_STILL)
        else:
            outcome.book_unexpected(seen, stream_id, timed_out=timed_out)
            if self.steps is not None:
                self.steps.saw(self.steps.at(now), scenario, seen)

    def _reached(self, code: str | None) -> None:
        self.refused_in_a_row = self.refused_in_a_row + 1 if code == "unreachable" else 0

    def _stood_still(self, timeline: Timeline) -> bool:
        ended = timeline.ended_at or now_ns()
        began = ended if timeline.sent is None else timeline.sent.intended_at
        closed = ended if timeline.close is None else timeline.close.at
        return self.standstills.touched(began, max(ended, closed), now_ns())

    def _deadline(self, outcome: Outcome, expect: Expect, timeline: Timeline) -> None:
        if expect.limit_s is None or expect.code is None or timeline.code != expect.code:
            return
        observed_ns = expect.observed_ns(timeline)
        if observed_ns is not None:
            outcome.book_deadline(expect.limit_s * 1000, observed_ns)
            self.outcomes.book_deadline(expect.code, expect.limit_s * 1000, observed_ns, timeline.elapsed_ms)

    def never_sent(self, scenario: str, intended_ns: int) -> None:
        """A start that was due before the end, and whose user was busy until then."""
        self.run.tally(scenario, self._window_at(intended_ns)).never_sent += 1

    def never_started(self, scenario: str, intended_ns: int) -> None:
        """An arrival of open load that found nobody free."""
        self.run.tally(scenario, self._window_at(intended_ns)).never_started += 1

    def _window(self, timeline: Timeline) -> str:
        return RAMP if timeline.sent is None else self._window_at(timeline.sent.intended_at)

    def _window_at(self, intended_ns: int) -> str:
        if self.windows is None:
            return RAMP
        if self.steps is not None:
            return self.steps.at(intended_ns)
        over = self.steady_until_ns is not None and intended_ns > self.steady_until_ns
        return RAMP if over else self.windows.at(intended_ns)
