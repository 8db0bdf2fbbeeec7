"""Objectives against what was measured: each is MET, MISSED or UNDECIDED.

A value is an interval: unresolved reads give two bounds, a histogram rounds by 0.39 %, a clock has its
accuracy. Only where the whole of it lies on one side of the limit the objective is decided.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from math import floor
from typing import Final

from load.errors import ExitCode
from load.metrics.histogram import RELATIVE_ERROR, Histogram
from load.metrics.tally import Tally
from load.verdict.judge import Finding
from load.verdict.objective import DISTRIBUTIONS, Objective

MS: Final = 1e6
BEYOND: Final = 3
"""Samples that must lie beyond a quantile."""


class Decision(Enum):
    MET = "MET"
    MISSED = "MISSED"
    UNDECIDED = "UNDECIDED"


@dataclass(frozen=True, slots=True)
class Result:
    """low, high: bounds of the value in the metric's unit; None without a sample. n: samples, or what a share
    is of. reason: why it is undecided, else empty."""

    objective: Objective
    decision: Decision
    low: float | None
    high: float | None
    n: int
    reason: str = ""

    @property
    def shown(self) -> str:
        """The value as text."""
        if self.low is None or self.high is None:
            return "no data"
        low, high = f"{self.low:.6g}", f"{self.high:.6g}"
        return low if low == high else f"{low} … {high}"


@dataclass(frozen=True, slots=True)
class Measured:
    """What objectives are held against.

    quiet: tallies of the undisturbed scenarios in clean windows; all: of every scenario in the steady part.
    protocols: scenario -> how it speaks. unexpected: scenario -> undeclared endings. late: of the target's
    deadlines. steady_s: None without a steady part. before_ns, after_ns: how much earlier or later than seen
    a chunk may have arrived. on_time: the generator kept up, so chunks that shared a read came together.
    tracer: what slows the target down, None for what costs little.
    """

    quiet: Mapping[str, Tally]
    all: Mapping[str, Tally]
    protocols: Mapping[str, str] = field(default_factory=dict)
    unexpected: Mapping[str, int] = field(default_factory=dict)
    late: Histogram = field(default_factory=Histogram)
    steady_s: float | None = None
    before_ns: int = 0
    after_ns: int = 0
    on_time: bool = True
    tracer: str | None = None

    def tallies(self, objective: Objective) -> list[tuple[str, Tally]]:
        """Those that the filters leave: of a scenario that is named all windows, else what is undisturbed."""
        named, protocol = objective.filters.get("scenario"), objective.filters.get("protocol")
        source = self.quiet if named is None or named in self.quiet else self.all
        return [
            (name, tally)
            for name, tally in source.items()
            if named in (None, name) and protocol in (None, self.protocols.get(name))
        ]


def evaluate(objective: Objective, measured: Measured) -> Result:
    """One objective."""
    found = measured.tallies(objective)
    total = sum((tally for _, tally in found), Tally())
    if objective.metric in DISTRIBUTIONS:
        return _distribution(objective, total, measured)
    return _counter(objective, total, [name for name, _ in found], measured)


def findings(results: Iterable[Result]) -> Iterator[Finding]:
    """One for each that was not met; what has no sample is no pass."""
    for result in results:
        objective = result.objective
        if result.decision is Decision.MISSED:
            yield _finding(ExitCode.OBJECTIVE, result, f"{objective.text}: missed, it was {result.shown}")
        elif result.low is None:
            yield _finding(
                ExitCode.INVALID, result, f"no_samples: {objective.text} has nothing to be held against"
            )
        elif result.decision is Decision.UNDECIDED:
            reason = f"{objective.text}: undecided, {result.reason}; it was {result.shown}"
            yield _finding(ExitCode.INCONCLUSIVE, result, reason)


def _finding(kind: ExitCode, result: Result, reason: str) -> Finding:
    objective = result.objective
    limit = f"{objective.operator} {objective.limit:g}"
    return Finding(kind, objective.filters.get("scenario"), objective.metric, result.shown, limit, reason)


def _distribution(objective: Objective, total: Tally, measured: Measured) -> Result:
    low, high = _bounds(objective, total, measured)
    n = high.n
    values = [_statistic(objective, one) for one in (low, high)]
    if values[0] is None or values[1] is None:
        return Result(objective, Decision.UNDECIDED, None, None, 0, "no_samples")
    exact = objective.quantile is None
    error = 0.0 if exact else RELATIVE_ERROR
    timed = objective.metric != "deadline_late_ms"
    least = max(0.0, values[0] * (1 - error) - (measured.before_ns if timed else 0)) / MS
    most = (values[1] * (1 + error) + (measured.after_ns if timed else 0)) / MS
    if objective.quantile is not None and n - floor(objective.quantile * n) < BEYOND:
        return Result(objective, Decision.UNDECIDED, least, most, n, f"too_few: {n} samples")
    late = _began_late(objective, total)
    if late:
        return Result(objective, Decision.UNDECIDED, least, most, n, late)
    return _decided(objective, least, most, n, measured.tracer)


def _began_late(objective: Objective, total: Tally) -> str:
    """Why a figure that counts from when streams were due says more of the generator than of the target;
    empty where it does not."""
    allowed_ms, lag_ns = objective.limit / 4, total.start_lag.quantile(0.99)
    if not objective.metric.endswith("_intended_ms") or lag_ns is None or lag_ns <= allowed_ms * MS:
        return ""
    return f"the generator began streams {lag_ns / MS:.1f} ms late (p99), allowed are {allowed_ms:g} ms"


def _bounds(objective: Objective, total: Tally, measured: Measured) -> Sequence[Histogram]:
    """The histogram at its lower and at its upper bound."""
    if objective.metric == "deadline_late_ms":
        return measured.late, measured.late
    if objective.metric == "gap_ms" and measured.on_time:
        return total.gap_together(), total.gap_together()
    if objective.metric == "gap_ms":
        return total.gap_low(), total.gap_high()
    if objective.metric == "ttft_ms" and not measured.on_time:
        return total.ttft_low, total.ttft
    histogram: Histogram = getattr(total, DISTRIBUTIONS[objective.metric])
    return histogram, histogram


def _statistic(objective: Objective, histogram: Histogram) -> float | None:
    if objective.quantile is not None:
        return histogram.quantile(objective.quantile)
    value: float | None = getattr(histogram, objective.statistic)
    return value


def _counter(objective: Objective, total: Tally, names: Sequence[str], measured: Measured) -> Result:
    streams = total.ended
    count = _count(objective, total, names, measured)
    if not streams and objective.metric != "never_started":
        return Result(objective, Decision.UNDECIDED, None, None, 0, "no_samples")
    value = float(count)
    if objective.statistic == "share":
        whole = total.chunks if objective.metric == "unresolved" else streams
        if not whole:
            return Result(objective, Decision.UNDECIDED, None, None, 0, "no_samples")
        value, streams = count / whole, whole
    elif objective.statistic == "per_s":
        if not measured.steady_s:
            return Result(objective, Decision.UNDECIDED, None, None, 0, "no_samples")
        value = count / measured.steady_s
    return _decided(objective, value, value, streams, None)


def _count(objective: Objective, total: Tally, names: Sequence[str], measured: Measured) -> int:
    metric, state = objective.metric, objective.filters.get("state")
    if metric == "streams":
        if state is None:
            return total.ended
        name, _, code = state.partition(":")
        if not code:
            return total.by_terminal.get(name, 0)
        return sum(n for what, n in total.by_code.items() if what.startswith(name) and code in what)
    if metric == "unexpected":
        named = objective.filters.get("scenario"), objective.filters.get("protocol")
        some = measured.unexpected if named == (None, None) else names
        return sum(measured.unexpected.get(name, 0) for name in some)
    value: int = getattr(total, "stalled_streams" if metric == "stalls" else metric)
    return value


def _decided(objective: Objective, low: float, high: float, n: int, tracer: str | None) -> Result:
    good = objective.holds(low), objective.holds(high)
    if all(good):
        return Result(objective, Decision.MET, low, high, n)
    if any(good):
        return Result(objective, Decision.UNDECIDED, low, high, n, "the limit lies within its bounds")
    if tracer is not None:
        # It only adds time: what is met stands, what is missed might be met without it.
        return Result(
            objective, Decision.UNDECIDED, low, high, n, f"tracer: the {tracer} slows the target down"
        )
    return Result(objective, Decision.MISSED, low, high, n)
