"""One line of `streams.jsonl.gz`."""

from __future__ import annotations

from dataclasses import dataclass

from load.metrics.stream import Stream


@dataclass(frozen=True, slots=True)
class StreamRow:
    """One stream, without prompt and answer text. Times in µs, `*_us` counted from the intended start but
    intended_us itself, which is monotonic.

    utc: when it was intended, RFC 3339. gaps_us: one fewer than chunks. mates: chunks of each read, empty
    where every chunk had its own. code, status: beside the state. breaks: kind -> count; excerpts: a few
    characters around each. arm, round: of a paired comparison.
    """

    utc: str
    execution_id: str | None
    correlation_id: str | None
    scenario: str
    user: int
    seed: int
    arm: str | None
    round: int | None
    intended_us: int | None
    sent_us: int | None
    ttft_us: int | None
    total_us: int | None
    gaps_us: tuple[int, ...]
    slope: float | None
    mates: tuple[int, ...]
    chunks: int
    state: str | None
    code: str | None
    status: int | None
    breaks: dict[str, int]
    excerpts: tuple[str, ...]

    @classmethod
    def of(
        cls,
        stream: Stream,
        *,
        utc: str,
        scenario: str,
        user: int,
        seed: int,
        arm: str | None = None,
        round: int | None = None,
    ) -> StreamRow:
        """The row of an ended stream."""
        mates = tuple(delta.mates for delta in stream.deltas)
        return cls(
            utc=utc,
            execution_id=stream.execution_id,
            correlation_id=stream.correlation_id,
            scenario=scenario,
            user=user,
            seed=seed,
            arm=arm,
            round=round,
            intended_us=None if stream.sent is None else stream.sent.intended_at // 1000,
            sent_us=_us(stream.start_wait_ns),
            ttft_us=_us(stream.ttft_ns),
            total_us=_us(stream.total_ns),
            gaps_us=tuple(gap // 1000 for gap in stream.gaps_in_order()),
            slope=_ratio(stream.slope),
            mates=mates if any(count != 1 for count in mates) else (),
            chunks=stream.chunks,
            state=None if stream.state is None else stream.state.value,
            code=stream.code,
            status=stream.status,
            breaks=dict(stream.breaks),
            excerpts=tuple(stream.excerpts),
        )

    def to_json(self) -> dict[str, object]:
        """Plain values, in the order of the fields."""
        return {name: getattr(self, name) for name in self.__slots__}


def _us(ns: int | None) -> int | None:
    return None if ns is None else ns // 1000


def _ratio(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
