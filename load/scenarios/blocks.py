"""What a block says: figures of its streams, and its line of `blocks.jsonl`."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from load.metrics.journal import Arrivals, Asked, split
from load.metrics.timeline import TerminalState
from load.scenarios.paired import Block, Spoken
from load.target.noise import Noise
from load.verdict.comparison import BlockLine, Spread
from load.verdict.robust import quantile
from load.verdict.rounds import MS, PairedRound, StreamFigures


@dataclass(frozen=True, slots=True)
class Ran:
    """A block that is over. late_ns: how late the generator looked at a chunk (p99). canary_ns: what a fixed
    piece of work took before it. cpu_ns: of the target, None where it is not ours."""

    block: Block
    spoken: tuple[Spoken, ...]
    began_ns: int
    ended_ns: int
    noise: Noise
    cpu_ns: int | None
    canary_ns: int
    late_ns: int | None

    @property
    def took_s(self) -> float:
        """From its first user to its last."""
        return (self.ended_ns - self.began_ns) / 1e9


def figures_of(ran: Ran, asked: Iterable[Asked]) -> list[StreamFigures]:
    """asked: what the provider was asked in this round. Both arms use the same words, so a block's own are
    told by their time."""
    mine = {one.word: one for one in asked if ran.began_ns <= one.received_ns <= ran.ended_ns}
    return [_stream(spoken, mine.get(spoken.word)) for spoken in ran.spoken]


def line_of(
    ran: Ran,
    figures: Sequence[StreamFigures],
    *,
    run: str,
    budget_s: float,
    first: bool,
    paired: PairedRound | None,
) -> BlockLine:
    """paired: the round, in its second block only."""
    block, done = ran.block, [one for one in figures if one.state is TerminalState.DONE]
    assert block.round is not None, "a block that only warms up leaves no line"
    return BlockLine(
        run=run,
        budget_s=budget_s,
        lifetime=block.lifetime,
        round=block.round,
        arm=block.arm,
        first=first,
        seed=block.key,
        took_ms=round(ran.took_s * 1e3, 3),
        n=len(figures),
        done=len(done),
        stalls=sum(one.stalled for one in done),
        ttft_ms=_spread([one.ttft_ns for one in done]),
        gap_ms=_spread([gap for one in done for gap in one.gaps_ns]),
        total_ms=_spread([one.total_ns for one in done]),
        psi=_rounded(ran.noise.psi),
        steal=_rounded(ran.noise.steal),
        late_ms=_ms(ran.late_ns),
        canary_ms=_ms(ran.canary_ns),
        cpu_ms=_ms(ran.cpu_ns),
        paired=paired,
    )


def _stream(spoken: Spoken, asked: Asked | None) -> StreamFigures:
    timeline = spoken.timeline
    assert timeline.state is not None, "only streams that have ended are figures"
    arrivals = Arrivals.of(timeline)
    parts = None if arrivals is None or asked is None else split(arrivals, asked)
    gaps_ns = tuple(timeline.gaps_in_order())
    return StreamFigures(
        seed=spoken.word,
        state=timeline.state,
        code=timeline.code,
        ttft_ns=timeline.ttft_ns,
        gaps_ns=gaps_ns,
        total_ns=timeline.total_ns,
        backend_ttft_ns=None if parts is None else parts.admission + parts.backend,
        relay_ns=None if parts is None or not parts.relay else int(statistics.median(parts.relay)),
        slope=timeline.slope,
        stalled=any(gap > timeline.limits.stall_ns for gap in gaps_ns),
        chunks=timeline.chunks,
        unresolved=timeline.unresolved,
    )


def _spread(values_ns: Sequence[int | None]) -> Spread:
    known = [value for value in values_ns if value is not None]
    if not known:
        return Spread(None, None, None, None)
    p50, p95, p99 = (_ms(quantile(known, share)) for share in (0.5, 0.95, 0.99))
    return Spread(p50, p95, p99, _ms(statistics.fmean(known)))


def _ms(value_ns: float | None) -> float | None:
    return None if value_ns is None else round(value_ns / MS, 3)


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)
