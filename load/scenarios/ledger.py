"""What a run has seen so far: booked by its users while it runs, read once at its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from load.drivers.base import Frame
from load.metrics.outcomes import Outcomes
from load.metrics.run import Run, StreamRow
from load.metrics.timeline import TerminalState, Timeline
from load.scenarios.expect import Expect, observed_deadline_ns

RowSink: TypeAlias = Callable[[StreamRow], None]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a stream comes from. utc: of its start, RFC 3339."""

    scenario: str
    user: int
    seed: int
    utc: str


@dataclass(slots=True)
class Ledger:
    """One run's counts, histograms, and the frames of what nobody declared.

    steady_from_ns, steady_until_ns: the measuring window, monotonic; streams intended outside it are kept
    apart. defects: what went wrong in the instrument itself; any makes the run INVALID.
    """

    write_row: RowSink
    run: Run = field(default_factory=Run)
    outcomes: Outcomes = field(default_factory=Outcomes)
    recordings: dict[str, list[Frame]] = field(default_factory=dict)
    defects: list[str] = field(default_factory=list)
    refused_in_a_row: int = 0
    steady_from_ns: int | None = None
    steady_until_ns: int | None = None

    def book_stream(
        self, origin: Origin, expect: Expect, timeline: Timeline, frames: list[Frame]
    ) -> str | None:
        """Books one ended stream; what came instead of the declared outcome, or None."""
        state = timeline.state
        if state is None:
            self.defects.append(f"{origin.scenario}: a stream returned without an end")
            return "no end"
        seen = expect.differs(state, timeline.code, timeline.status) or expect.deadline_differs(timeline)
        good = seen is None and state is TerminalState.DONE
        self.run.tally(origin.scenario, self._window(timeline)).book(timeline, good=good)
        self.write_row(
            StreamRow.of(
                timeline, utc=origin.utc, scenario=origin.scenario, user=origin.user, seed=origin.seed
            )
        )
        self._deadline(expect, timeline)
        unreachable = timeline.code == "unreachable"
        self.refused_in_a_row = self.refused_in_a_row + 1 if unreachable else 0
        stream_id = timeline.execution_id or timeline.correlation_id or "unknown"
        self._book(
            origin.scenario, expect, seen, stream_id, frames, timed_out=state is TerminalState.TIMED_OUT
        )
        return seen

    def book_call(
        self,
        scenario: str,
        expect: Expect,
        state: TerminalState,
        code: str | None,
        status: int | None,
        call_id: str,
    ) -> str | None:
        """Books one request that is no stream."""
        seen = expect.differs(state, code, status)
        self.refused_in_a_row = self.refused_in_a_row + 1 if code == "unreachable" else 0
        self._book(scenario, expect, seen, call_id, [], timed_out=state is TerminalState.TIMED_OUT)
        return seen

    def _book(
        self,
        scenario: str,
        expect: Expect,
        seen: str | None,
        stream_id: str,
        frames: list[Frame],
        *,
        timed_out: bool,
    ) -> None:
        outcome = self.outcomes.declare(scenario, str(expect))
        if seen is None:
            outcome.book_expected()
        elif outcome.book_unexpected(seen, stream_id, timed_out=timed_out) and frames:
            self.recordings[stream_id] = frames

    def _deadline(self, expect: Expect, timeline: Timeline) -> None:
        if expect.limit_s is None or expect.code is None or timeline.code != expect.code:
            return
        observed_ns = observed_deadline_ns(expect.code, timeline)
        if observed_ns is not None:
            self.outcomes.book_deadline(expect.code, expect.limit_s * 1000, observed_ns, timeline.elapsed_ms)

    def _window(self, timeline: Timeline) -> str:
        intended = timeline.sent.intended_at if timeline.sent is not None else None
        begun = self.steady_from_ns is not None and intended is not None and intended >= self.steady_from_ns
        over = self.steady_until_ns is not None and intended is not None and intended > self.steady_until_ns
        return "steady" if begun and not over else "ramp"
