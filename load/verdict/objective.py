"""An objective, read: `ttft_ms p95 < 800`, `gap_ms{scenario=chat_ws} p99 < 250`, `stalls share <= 0.01`.

objective = metric [ "{" filter *( "," filter ) "}" ] statistic op number
statistic = "p" 1*2DIGIT [ "." 1*2DIGIT ] / "min" / "mean" / "max"    ; of a distribution
          / "count" / "share" / "per_s"                               ; of a counter
op        = "<" / "<=" / ">" / ">="
filter    = ( "scenario" / "protocol" / "state" ) "=" word            ; state=ERROR:first_token_timeout
number    = 1*DIGIT [ "." 1*DIGIT ]                                   ; in the metric's unit, without suffix
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from load.errors import UsageError

DISTRIBUTIONS: Final[Mapping[str, str]] = {
    "ttft_ms": "ttft",
    "ttft_answer_ms": "ttft_answer",
    "ttft_intended_ms": "ttft_intended",
    "gap_ms": "gap",
    "max_gap_ms": "max_gap",
    "total_ms": "total",
    "total_intended_ms": "total_intended",
    "accept_ms": "accept",
    "tail_ms": "tail",
    "handshake_ms": "handshake",
    "cancel_ms": "cancel",
    "start_lag_ms": "start_lag",
    "start_queue_ms": "start_queue",
    "relay_ms": "relay",
    "backend_ttft_ms": "backend_ttft",
    "deadline_late_ms": "",
}
"""Metric -> its histogram in a Tally; the deadlines have theirs elsewhere."""
COUNTERS: Final = ("streams", "good", "unexpected", "stalls", "unresolved", "never_sent", "never_started")
METRICS: Final = (*DISTRIBUTIONS, *COUNTERS)
OF_DISTRIBUTION: Final = ("p50", "p90", "p95", "p99", "min", "mean", "max")
OF_COUNTER: Final = ("count", "share", "per_s")
OPERATORS: Final = ("<=", ">=", "<", ">")
FILTERS: Final = ("scenario", "protocol", "state")
NS_PER_MS: Final = 1_000_000
_QUANTILE: Final = re.compile(r"p\d{1,2}(\.\d{1,2})?")
_SHAPE: Final = re.compile(
    r"(?P<metric>[^\s{}<>=]+)\s*(?P<filters>\{[^{}]*\})?\s+(?P<statistic>[^\s<>=]+)\s*"
    r"(?P<operator><=|>=|<|>)\s*(?P<number>\S+)"
)
_NUMBER: Final = re.compile(r"\d+(\.\d+)?")


@dataclass(frozen=True, slots=True)
class Objective:
    """text: as it was written. limit: in the metric's unit."""

    text: str
    metric: str
    filters: Mapping[str, str]
    statistic: str
    operator: str
    limit: float

    @property
    def quantile(self) -> float | None:
        """0.95 of a p95; None for another statistic."""
        return float(self.statistic[1:]) / 100 if _QUANTILE.fullmatch(self.statistic) else None

    @property
    def most_ns(self) -> int | None:
        """The longest time that it allows; None for what allows no longest one."""
        of_time = self.metric in DISTRIBUTIONS and self.operator in ("<", "<=")
        return round(self.limit * NS_PER_MS) if of_time else None

    def holds(self, value: float) -> bool:
        """Whether a value is on the good side."""
        if self.operator == "<":
            return value < self.limit
        if self.operator == "<=":
            return value <= self.limit
        return value > self.limit if self.operator == ">" else value >= self.limit


def read_objective(text: str, scenarios: Iterable[str]) -> Objective:
    """Raises UsageError with the column, what stands there, and the nearest name there is.

    scenarios: those of the profile; a filter that matches none of them is a mistake.
    """
    stripped = text.strip()
    found = _SHAPE.fullmatch(stripped)
    if found is None:
        raise UsageError(
            f"objective '{stripped}': must read like 'ttft_ms p95 < 800' or 'stalls share <= 0.01'"
        )
    metric, statistic = found["metric"], found["statistic"]
    if metric not in METRICS:
        raise _wrong(stripped, found.start("metric"), metric, METRICS)
    of_counter = metric in COUNTERS
    if of_counter and statistic not in OF_COUNTER:
        raise _wrong(stripped, found.start("statistic"), statistic, OF_COUNTER)
    known = statistic in OF_DISTRIBUTION or (_QUANTILE.fullmatch(statistic) and float(statistic[1:]) > 0)
    if not of_counter and not known:
        raise _wrong(stripped, found.start("statistic"), statistic, OF_DISTRIBUTION)
    if not _NUMBER.fullmatch(found["number"]):
        column = found.start("number") + 1
        raise UsageError(
            f"objective '{stripped}', column {column}: '{found['number']}' must be a plain number"
        )
    filters = _filters(stripped, found["filters"] or "", found.start("filters"), tuple(scenarios))
    return Objective(stripped, metric, filters, statistic, found["operator"], float(found["number"]))


def _filters(text: str, inner: str, start: int, scenarios: tuple[str, ...]) -> dict[str, str]:
    filters: dict[str, str] = {}
    column = start + 1
    for part in inner[1:-1].split(",") if inner else ():
        name, equals, value = (word.strip() for word in part.partition("="))
        if name not in FILTERS or not equals or not value:
            raise _wrong(text, column, part.strip() or "nothing", tuple(f"{one}=…" for one in FILTERS))
        if name == "scenario" and value not in scenarios:
            raise _wrong(text, column + part.index("=") + 1, value, scenarios)
        filters[name] = value
        column += len(part) + 1
    return filters


def _wrong(text: str, column: int, word: str, known: Iterable[str]) -> UsageError:
    known = tuple(known)
    near = get_close_matches(word, known, 1, 0.5)
    advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
    return UsageError(f"objective '{text}', column {column + 1}: '{word}' is unknown; {advice}")
