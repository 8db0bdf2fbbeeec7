"""What was declared and what came: counts for each scenario and deadline, mergeable like the histograms."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

from load.metrics.histogram import Histogram

Summand = TypeVar("Summand", "Outcome", "Deadline")

KEPT_IDS = 3
"""So many ids of each unexpected outcome are kept; the rest is counted."""

WITH_BREAKS = " with breaks: "
"""In an ending that came as declared, behind chunks that did not."""

OPENED, CUT = "opened", "cut"
"""Of a WebSocket connection, beside the close codes it may end with: it is open; it ended without a code, and
not by us."""


@dataclass(slots=True)
class Unexpected:
    """One kind of ending that nobody declared. ids: of its first streams, at most KEPT_IDS."""

    seen: str
    count: int = 0
    ids: list[str] = field(default_factory=list)
    timed_out: bool = False


@dataclass(slots=True)
class Outcome:
    """All streams of one scenario.

    expected: as text, `ERROR(first_token_timeout)`. of_failures: out of the headline figures. configured_ms:
    the deadline behind its ending, None without one; lateness: how long after it the ending was seen.
    """

    expected: str
    of_failures: bool = False
    total: int = 0
    as_expected: int = 0
    unexpected: dict[str, Unexpected] = field(default_factory=dict)
    configured_ms: float | None = None
    lateness: Histogram = field(default_factory=Histogram)

    def __add__(self, other: Outcome) -> Outcome:
        """Of two processes: their counts, and the first ids."""
        unexpected = {
            seen: Unexpected(
                seen,
                sum(one.unexpected[seen].count for one in (self, other) if seen in one.unexpected),
                [i for one in (self, other) if seen in one.unexpected for i in one.unexpected[seen].ids][
                    :KEPT_IDS
                ],
                any(one.unexpected[seen].timed_out for one in (self, other) if seen in one.unexpected),
            )
            for seen in self.unexpected | other.unexpected
        }
        return Outcome(
            self.expected,
            self.of_failures,
            self.total + other.total,
            self.as_expected + other.as_expected,
            unexpected,
            self.configured_ms if other.configured_ms is None else other.configured_ms,
            self.lateness + other.lateness,
        )

    def book_expected(self) -> None:
        """One stream ended as declared."""
        self.total += 1
        self.as_expected += 1

    def book_unexpected(self, seen: str, stream_id: str, *, timed_out: bool = False) -> bool:
        """One stream ended as `seen`; True while its frames are still worth keeping."""
        self.total += 1
        kind = self.unexpected.setdefault(seen, Unexpected(seen, timed_out=timed_out))
        kind.count += 1
        if len(kind.ids) >= KEPT_IDS:
            return False
        kind.ids.append(stream_id)
        return True

    def book_deadline(self, configured_ms: float, observed_ns: int) -> None:
        """The deadline behind the ending was answered so long after its clock began."""
        self.configured_ms = configured_ms
        self.lateness.add(max(0, observed_ns - int(configured_ms * 1e6)))


@dataclass(slots=True)
class Deadline:
    """A configured limit and how long its firing took, seen from the client. lateness: beyond the limit, 0
    where it was seen before. early: fired before the limit by the target's own word."""

    configured_ms: float
    observed: Histogram = field(default_factory=Histogram)
    lateness: Histogram = field(default_factory=Histogram)
    early: int = 0

    def __add__(self, other: Deadline) -> Deadline:
        return Deadline(
            self.configured_ms,
            self.observed + other.observed,
            self.lateness + other.lateness,
            self.early + other.early,
        )


@dataclass(slots=True)
class Outcomes:
    """Scenario -> Outcome, error code -> Deadline, and the scenarios that shall reach a row of docs/errors.md
    -> its id; several may reach the same one. told: label of the requests -> error code -> how often.
    connections: label -> OPENED, CUT or close code of the target -> how many; one that we ended is OPENED
    alone."""

    scenarios: dict[str, Outcome] = field(default_factory=dict)
    deadlines: dict[str, Deadline] = field(default_factory=dict)
    rows: dict[str, str] = field(default_factory=dict)
    told: dict[str, dict[str, int]] = field(default_factory=dict)
    connections: dict[str, dict[str, int]] = field(default_factory=dict)

    def __add__(self, other: Outcomes) -> Outcomes:
        return Outcomes(
            _merged(self.scenarios, other.scenarios),
            _merged(self.deadlines, other.deadlines),
            self.rows | other.rows,
            _added(self.told, other.told),
            _added(self.connections, other.connections),
        )

    def tell(self, label: str, code: str, count: int = 1) -> None:
        """A client was told an error."""
        codes = self.told.setdefault(label, {})
        codes[code] = codes.get(code, 0) + count

    def connection(self, label: str, what: str) -> None:
        """OPENED, CUT, or a close code."""
        known = self.connections.setdefault(label, {})
        known[what] = known.get(what, 0) + 1

    def declare(self, scenario: str, expected: str, *, of_failures: bool = False) -> Outcome:
        """The outcome of `scenario`, counted from zero at its first declaration."""
        outcome = self.scenarios.get(scenario)
        if outcome is None:
            outcome = self.scenarios[scenario] = Outcome(expected, of_failures)
        return outcome

    def book_deadline(
        self, code: str, configured_ms: float, observed_ns: int, elapsed_ms: float | None
    ) -> None:
        """A deadline of the target fired. elapsed_ms: the target's own word, None where it gave none."""
        deadline = self.deadlines.setdefault(code, Deadline(configured_ms))
        deadline.observed.add(observed_ns)
        deadline.lateness.add(max(0, observed_ns - int(configured_ms * 1e6)))
        if elapsed_ms is not None and elapsed_ms < configured_ms - 1:
            deadline.early += 1


def _merged(some: dict[str, Summand], others: dict[str, Summand]) -> dict[str, Summand]:
    merged = dict(some)
    for name, other in others.items():
        merged[name] = merged[name] + other if name in merged else other
    return merged


def _added(some: dict[str, dict[str, int]], others: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    return {
        label: {
            code: sum(side.get(label, {}).get(code, 0) for side in (some, others))
            for code in some.get(label, {}) | others.get(label, {})
        }
        for label in some | others
    }
