"""The figures and counts of many streams, mergeable by `+`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TypeVar

from load.errors import InstrumentError
from load.metrics.histogram import Histogram
from load.metrics.journal import Split
from load.metrics.machine import TerminalState
from load.metrics.stream import Stream

Mergeable = TypeVar("Mergeable")


@dataclass(slots=True)
class Tally:
    """All streams of one scenario in one window; histograms in ns.

    gap: chunks with a stamp of their own. gap_group: the silence G before each read of several chunks, once;
    gap_group_weighted: once for each gap it stands for. ttft_low: `ttft` at its lower bound. slope_milli:
    thousandths. relay … backend: of streams that the provider's journal knows, too. by_terminal: state ->
    streams. by_code: `ERROR(internal)`, `REFUSED(429, rate_limited)` -> streams, for the states that have a
    code. unresolved: chunks that shared their read.
    """

    ttft: Histogram = field(default_factory=Histogram)
    ttft_low: Histogram = field(default_factory=Histogram)
    ttft_intended: Histogram = field(default_factory=Histogram)
    ttft_answer: Histogram = field(default_factory=Histogram)
    gap: Histogram = field(default_factory=Histogram)
    gap_group: Histogram = field(default_factory=Histogram)
    gap_group_weighted: Histogram = field(default_factory=Histogram)
    max_gap: Histogram = field(default_factory=Histogram)
    total: Histogram = field(default_factory=Histogram)
    total_intended: Histogram = field(default_factory=Histogram)
    tail: Histogram = field(default_factory=Histogram)
    accept: Histogram = field(default_factory=Histogram)
    handshake: Histogram = field(default_factory=Histogram)
    slope_milli: Histogram = field(default_factory=Histogram)
    start_lag: Histogram = field(default_factory=Histogram)
    start_queue: Histogram = field(default_factory=Histogram)
    cancel: Histogram = field(default_factory=Histogram)
    expiry_late: Histogram = field(default_factory=Histogram)
    relay: Histogram = field(default_factory=Histogram)
    backend_ttft: Histogram = field(default_factory=Histogram)
    connect: Histogram = field(default_factory=Histogram)
    admission: Histogram = field(default_factory=Histogram)
    provider: Histogram = field(default_factory=Histogram)
    backend: Histogram = field(default_factory=Histogram)
    by_terminal: dict[str, int] = field(default_factory=dict)
    by_code: dict[str, int] = field(default_factory=dict)
    breaks: dict[str, int] = field(default_factory=dict)
    flags: dict[str, int] = field(default_factory=dict)
    unfinished: int = 0
    good: int = 0
    chunks: int = 0
    unresolved: int = 0
    tokens: int = 0
    stalls: int = 0
    stalled_streams: int = 0
    stalled_ns: int = 0
    strays: int = 0
    never_sent: int = 0
    never_started: int = 0
    rows_dropped: int = 0

    @property
    def ended(self) -> int:
        """Streams with a terminal state."""
        return sum(self.by_terminal.values())

    def book(self, stream: Stream, *, good: bool = False, busy: bool = False) -> None:
        """Adds one stream. busy: its user was still occupied with the former one when it was due."""
        state = stream.state
        if state is None:
            self.unfinished += 1
            return
        _count(self.by_terminal, state.value)
        facts = [str(fact) for fact in (stream.status, stream.code) if fact is not None]
        if facts:
            _count(self.by_code, f"{state.value}({', '.join(facts)})")
        for kind, count in stream.breaks.items():
            _count(self.breaks, kind, count)
        for flag in stream.flags:
            _count(self.flags, flag)
        self.good += good
        self.chunks += stream.chunks
        self.unresolved += stream.unresolved
        self.tokens += stream.tokens or 0
        self.strays += stream.strays
        self._times(stream, busy)
        self._gaps(stream)

    def _times(self, stream: Stream, busy: bool) -> None:
        slope = stream.slope
        answered = stream.state is not TerminalState.REFUSED
        for histogram, value in (
            (self.ttft, stream.ttft_ns),
            (self.ttft_low, stream.ttft_low_ns),
            (self.ttft_intended, stream.ttft_intended_ns),
            (self.ttft_answer, stream.ttft_answer_ns),
            (self.total, stream.total_ns if answered else None),
            (self.total_intended, stream.total_intended_ns if answered else None),
            (self.tail, stream.tail_ns),
            (self.accept, stream.accept_ns),
            (self.handshake, stream.handshake_ns),
            (self.start_queue, stream.start_wait_ns if busy else None),
            (self.start_lag, None if busy else stream.start_lag_ns),
            (self.cancel, stream.cancel_ns),
            (self.slope_milli, None if slope is None else round(slope * 1000)),
            (self.expiry_late, None if stream.expired is None else stream.expired.late_ns),
        ):
            if value is not None:
                histogram.add(value)

    def _gaps(self, stream: Stream) -> None:
        gaps = stream.gaps()
        self.gap.add_all(gaps.exact)
        for silence, count in gaps.groups:
            self.gap_group.add(silence)
            self.gap_group_weighted.add(silence, count)
        if gaps.opening is not None:
            self.gap_group_weighted.add(*gaps.opening)
        silences = [*gaps.exact, *(silence for silence, _ in gaps.groups)]
        if not silences:
            return
        self.max_gap.add(max(silences))
        stalls = [silence for silence in silences if silence > stream.limits.stall_ns]
        self.stalls += len(stalls)
        self.stalled_streams += bool(stalls)
        self.stalled_ns += sum(stalls)

    def book_split(self, split: Split) -> None:
        """Adds what the provider's journal says of a stream that is booked already."""
        self.relay.add_all(split.relay)
        self.backend_ttft.add(split.admission + split.backend)
        self.connect.add(split.connect)
        self.admission.add(split.admission)
        self.provider.add(split.provider)
        self.backend.add(split.backend)

    # -- gaps in groups, in each of their readings

    def gap_together(self) -> Histogram:
        """Every gap, the chunks of one read taken as sent together: a group is one gap of G and zeros."""
        return self.gap + self.gap_group + _zeros(self.gap_group_weighted.n - self.gap_group.n)

    def gap_low(self) -> Histogram:
        """Every gap at its lower bound."""
        return self.gap + _zeros(self.gap_group_weighted.n)

    def gap_high(self) -> Histogram:
        """Every gap at its upper bound."""
        return self.gap + self.gap_group_weighted

    # -- merging and storing

    def __add__(self, other: Tally) -> Tally:
        return Tally(**{f.name: _plus(getattr(self, f.name), getattr(other, f.name)) for f in fields(Tally)})

    def to_json(self) -> dict[str, object]:
        """Plain values, a key for each field."""
        values = {f.name: getattr(self, f.name) for f in fields(Tally)}
        return {k: v.to_json() if isinstance(v, Histogram) else v for k, v in values.items()}

    @classmethod
    def from_json(cls, stored: Mapping[str, object]) -> Tally:
        """What `to_json` gave. Raises InstrumentError for anything else."""
        unknown = stored.keys() - {f.name for f in fields(cls)}
        if unknown:
            raise InstrumentError(f"not a stored tally: {', '.join(sorted(unknown))}")
        empty = cls()
        for name, value in stored.items():
            setattr(empty, name, _restored(getattr(empty, name), value))
        return empty


def _zeros(count: int) -> Histogram:
    zeros = Histogram()
    if count:
        zeros.add(0, count)
    return zeros


def _count(counts: dict[str, int], key: str, by: int = 1) -> None:
    counts[key] = counts.get(key, 0) + by


def _plus(a: Mergeable, b: Mergeable) -> Mergeable:
    if isinstance(a, dict) and isinstance(b, dict):
        return {key: a.get(key, 0) + b.get(key, 0) for key in {**a, **b}}  # type: ignore[return-value]
    return a + b  # type: ignore[operator,no-any-return]


def _restored(empty: object, value: object) -> object:
    """`value` as the kind of field that `empty` is an empty one of."""
    if isinstance(value, Mapping):
        if isinstance(empty, Histogram):
            return Histogram.from_json(value)
        if isinstance(empty, dict):
            return {str(key): int(count) for key, count in value.items()}
    elif isinstance(value, int) and isinstance(empty, int):
        return value
    raise InstrumentError(f"not a stored tally: {value!r}")
