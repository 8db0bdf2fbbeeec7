"""Which figures a report shows, and how a histogram in ns becomes ms that say how accurate they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from load.metrics.histogram import Histogram
from load.metrics.run import Health
from load.metrics.tally import Tally
from load.report.numbers import QUANTILES, percent

NS_PER_MS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Figure:
    """name: as in run.json. source: its histogram in a Tally. meaning: for a reader. corrected: counts from
    the intended start, so a closed loop has none."""

    name: str
    source: str
    meaning: str
    corrected: bool = False


FIGURES: Final = (
    Figure("ttft_ms", "ttft", "request sent → first text"),
    Figure("gap_ms", "gap", "between two consecutive chunks, all streams together"),
    Figure("total_ms", "total", "request sent → end of the stream"),
    Figure("ttft_intended_ms", "ttft_intended", "intended start → first text", corrected=True),
    Figure("total_intended_ms", "total_intended", "intended start → end of the stream", corrected=True),
    Figure("max_gap_ms", "max_gap", "largest gap of each stream"),
    Figure("accept_ms", "accept", "request sent → accepted by the target"),
    Figure("tail_ms", "tail", "last chunk → end of the stream"),
    Figure("handshake_ms", "handshake", "connect called → connection usable"),
    Figure("cancel_ms", "cancel", "cancel sent → confirmed"),
    Figure("start_lag_ms", "start_lag", "intended → sent, the user idle: our own lateness"),
    Figure("start_queue_ms", "start_queue", "intended → sent, the user busy: caused by the target"),
)
TRACERS: Final = {"ctrace": "C tracer", "frames": "frame tracer", "pytrace": "Python tracer"}
"""Cores of coverage that slow the target down; `sysmon` hardly does."""
HEADLINE: Final = ("ttft_ms", "gap_ms", "total_ms")


def distribution(histogram: Histogram) -> dict[str, float | int | None]:
    """`{n, p50, p90, p95, p99, max}` in ms; without a sample n is 0 and all else None, never 0."""
    values: dict[str, float | int | None] = {"n": histogram.n}
    values.update((name, to_ms(histogram.quantile(q))) for name, q in QUANTILES)
    values["max"] = to_ms(histogram.max)
    return values


def to_ms(ns: int | None) -> float | None:
    """The one place where ns become ms, to the µs."""
    return None if ns is None else round(ns / NS_PER_MS, 3)


def figures(tally: Tally, *, on_time: bool, corrected: bool) -> dict[str, dict[str, object]]:
    """Every figure of `tally`.

    on_time: the generator kept up, so chunks that shared a read came together. Otherwise `ttft_ms` and
    `gap_ms` are upper bounds, and `low` beside them holds the lower ones. `at_least`: so many were due and
    never came that the corrected figures are lower bounds.
    """
    found: dict[str, dict[str, object]] = {}
    for figure in FIGURES:
        if figure.corrected and not corrected:
            continue
        found[figure.name] = dict(distribution(_histogram(figure, tally, on_time)))
        low = None if on_time else _lower(figure, tally)
        if low is not None:
            found[figure.name]["low"] = distribution(low)
        if figure.corrected and _lacks_many(tally):
            found[figure.name]["at_least"] = True
    return found


def _lacks_many(tally: Tally) -> bool:
    """Whether more than 1 % of the streams that were due have no figure."""
    missing = tally.never_sent + tally.never_started
    return missing * 100 > missing + tally.ended


def _histogram(figure: Figure, tally: Tally, on_time: bool) -> Histogram:
    if figure.name == "gap_ms":
        return tally.gap_together() if on_time else tally.gap_high()
    histogram: Histogram = getattr(tally, figure.source)
    return histogram


def _lower(figure: Figure, tally: Tally) -> Histogram | None:
    """None where chunks that shared a read make no difference."""
    if figure.name == "gap_ms" and tally.gap_group_weighted.n:
        return tally.gap_low()
    if figure.name == "ttft_ms" and tally.ttft_low != tally.ttft:
        return tally.ttft_low
    return None


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How far any latency of a run can be off.

    late_p99_ns: by how much we looked at a chunk too late; with the user clock, by how much a short sleep
    was overslept. None when neither was seen. tracer: what recorded the target's lines and slowed it down;
    None for what costs little.
    """

    stamp_source: str
    late_p99_ns: int | None
    unstamped: int
    reads: int
    tracer: str | None

    @classmethod
    def of(cls, health: Health, core: str) -> Accuracy:
        """From what the generator recorded of itself, and the core of the target's coverage."""
        source = health.stamp_source
        lateness = health.gauge if source == "user" else health.lateness
        late_ns = lateness.quantile(0.99)
        tracer = next((name for core_name, name in TRACERS.items() if core_name in core), None)
        return cls(source, late_ns, health.reads_unstamped, health.reads, tracer)

    def text(self, tally: Tally) -> str:
        """`kernel: ±0.1 ms (resolved 99.4 %)` for the streams of `tally`."""
        if not self.reads:
            return "accuracy: no data"
        late = "late by an unknown time"
        if self.late_p99_ns is not None:
            late = f"up to +{self.late_p99_ns / NS_PER_MS:.1f} ms late"
        if self.stamp_source == "user":
            said = f"user clock: {late}"
        else:
            resolved = percent(tally.chunks - tally.unresolved, tally.chunks)
            said = f"kernel: ±0.1 ms ({f'resolved {resolved}' if tally.chunks else 'no chunks'})"
            if self.stamp_source == "mixed":
                share = percent(self.unstamped, self.reads)
                said += f"; {share} of reads by the user clock, {late}"
        return f"{said}; {self.tracer}: the target is slower than it is alone" if self.tracer else said
