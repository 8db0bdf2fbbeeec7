"""One stream: events in, a terminal state out. No socket, no clock, no thread.

The machine is the table of `load.metrics.machine`. A break noted after the end turns DONE into BROKEN; the
other terminal states keep their name and have breaks as detail. BROKEN is named after the first of BREAKS
that occurred.
"""

from __future__ import annotations

from load.errors import InstrumentError
from load.metrics.events import (
    Accepted,
    Beat,
    Cancelled,
    Closed,
    Delta,
    Errored,
    Event,
    Expired,
    Finished,
    Garbled,
    Refused,
    Sent,
    Stray,
)
from load.metrics.machine import BREAK_OF, BREAKS, CLOCKS, TABLE, Cell, Phase, Rule, TerminalState
from load.metrics.sequence import Sequence
from load.metrics.stream import Limits, Stream

__all__ = ["Limits", "Phase", "TerminalState", "Timeline"]

EXCERPT = 32
"""So many characters of each side of a difference are kept."""


class Timeline(Stream):
    """Takes the events of one stream, in the order they were seen.

    expected_text: what the answer must be, where it is known. first_seq: above 1 for a stream that goes on
    from an earlier one.
    """

    __slots__ = ("_expected_text", "_row", "_sequence", "phase")

    def __init__(self, limits: Limits, expected_text: str | None = None, first_seq: int = 1) -> None:
        super().__init__(limits)
        self.phase = Phase.PLANNED
        self._expected_text = expected_text
        self._sequence = Sequence(first_seq)
        self._row = TABLE[Phase.PLANNED]

    def take(self, event: Event) -> None:
        """Books one event. Raises InstrumentError for one that the driver's contract rules out."""
        cell = self._row[type(event)]
        if cell is Rule.STAY:
            if isinstance(event, Delta):
                self._chunk(event)
            elif isinstance(event, Beat):
                self._beat(event)
            else:
                assert isinstance(event, Closed)
                self.close = event
            return
        if cell is Rule.X:
            raise InstrumentError(f"{event!r} in {self.phase.name}")
        if cell in BREAK_OF:
            self._note(BREAK_OF[cell], event)
            return
        self._keep(event)
        if isinstance(cell, Phase):
            self.phase = cell
            self._row = TABLE[cell]
        else:
            self._end(event, cell)

    def _chunk(self, delta: Delta) -> None:
        self.deltas.append(delta)
        if delta.seq is not None:
            self._sequence.take(delta.seq)

    def _beat(self, beat: Beat) -> None:
        self.beats += 1
        if beat.what == "cancel":
            self.cancel_at = beat.at
        self._number(beat.seq)

    def _note(self, kind: str, event: Event) -> None:
        """One break, also after the end."""
        if isinstance(event, Garbled):
            self.excerpts.append(event.what)
            self._sequence.garbled += 1
        elif isinstance(event, Stray):
            self.strays += 1
        elif isinstance(event, Delta) and event.seq is not None and self._sequence.misses(event.seq):
            self._sequence.take(event.seq)
            self._came_after_all()
        self.breaks[kind] = self.breaks.get(kind, 0) + 1
        if self.state is TerminalState.DONE or self.state is TerminalState.BROKEN:
            self._name_broken()

    def _came_after_all(self) -> None:
        """A chunk that was counted as lost at the end: late it is out of order, not lost."""
        if self.breaks.get("loss", 0) > 1:
            self.breaks["loss"] -= 1
        else:
            self.breaks.pop("loss", None)

    def _keep(self, event: Event) -> None:
        """The facts of an event that moves the machine."""
        match event:
            case Delta():
                self._chunk(event)
            case Sent():
                self.sent = event
            case Accepted():
                self.accepted_at = event.at
                self.execution_id, self.session_id = event.id, event.session_id
                self._number(event.seq)
            case Finished():
                self.finished = event
                self.session_id = event.session_id or self.session_id
                self._identify(event.id, event.seq)
            case Errored():
                self.errored = event
                self.code = event.code
                self._identify(event.id, event.seq)
            case Cancelled():
                self.code = event.reason
                self._identify(event.id, event.seq)
            case Refused():
                self.refusal = event
                self.code = event.code
                self.execution_id = event.execution_id
            case Closed():
                self.close = event
                self.code = "us" if event.by == "us" else str(event.code or event.how)
            case Expired():
                if self.phase not in CLOCKS[event.clock]:
                    raise InstrumentError(f"{event!r} in {self.phase.name}")
                self.expired = event
                self.code = event.clock
            case _:
                pass

    def _identify(self, execution_id: str | None, seq: int | None) -> None:
        self.execution_id = execution_id or self.execution_id
        self._number(seq)

    def _number(self, seq: int | None) -> None:
        if seq is not None:
            self._sequence.take(seq)

    def _end(self, event: Event, cell: Cell) -> None:
        complete = cell is Rule.CHECK
        self.ended_at = event.at
        self.phase = Phase.ENDED
        self._row = TABLE[Phase.ENDED]
        self._count_sequence(complete)
        if not self.breaks:
            # With a chunk missing or doubled the text differs for a reason that has its name already.
            self._check_text(event, complete)
        if isinstance(cell, TerminalState):
            self.state = cell
            return
        self.code = None
        if self.finished is None:
            self.flags.add("no_done_marker")
        self.state = TerminalState.DONE
        self._name_broken()

    def _count_sequence(self, complete: bool) -> None:
        sequence, finished = self._sequence, self.finished
        lost = sequence.lost
        if complete and finished is not None and finished.streamed and not self.deltas:
            if finished.text:
                lost = lost or 1
            else:
                self.flags.add("no_delta")
        for kind, count in (("loss", lost), ("duplicate", sequence.duplicates), ("order", sequence.late)):
            if count:
                self.breaks[kind] = self.breaks.get(kind, 0) + count

    def _check_text(self, event: Event, complete: bool) -> None:
        seen = self.text
        said: str | None = None
        if isinstance(event, Finished):
            said = event.text
        elif isinstance(event, Errored | Cancelled):
            said = event.partial
        if said is not None and said != seen:
            self._differs(seen, said)
        elif complete and self._expected_text is not None and seen != self._expected_text:
            self._differs(seen, self._expected_text)

    def _differs(self, seen: str, said: str) -> None:
        shorter = min(len(seen), len(said))
        at = next((i for i in range(shorter) if seen[i] != said[i]), shorter)
        begin = max(0, at - EXCERPT // 2)
        end = begin + EXCERPT
        self.excerpts.append(f"{seen[begin:end]!r} instead of {said[begin:end]!r}")
        self.breaks["text"] = 1

    def _name_broken(self) -> None:
        first = next((kind for kind in BREAKS if kind in self.breaks), None)
        if first is not None:
            self.state = TerminalState.BROKEN
            self.code = first
