"""What a report says of a run beside what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from load.options import Options
from load.report.provenance import Provenance
from load.target.overhead import Overhead
from load.target.parts import CoverageSummary
from load.verdict.behaviour import Needed
from load.verdict.reconcile import Reconciled
from load.verdict.slo import Result


@dataclass(frozen=True, slots=True)
class TargetFacts:
    """What was measured.

    kind: `started` by us or a `host` that already ran. address: its app, or its URL. python, core, mode: of
    the started process; None for a host, core `-` without coverage. settings: what it was given beyond its
    defaults. died: why it counts as down, None while it does not; last_words: the end of its log then. tls:
    how its certificate was verified, None without TLS. proxy: between it and us, None without.
    """

    kind: Literal["started", "host"]
    address: str
    python: str | None = None
    core: str | None = None
    mode: str = "off"
    settings: Mapping[str, str] = field(default_factory=dict)
    died: str | None = None
    last_words: tuple[str, ...] = ()
    tls: str | None = None
    proxy: str | None = None


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What a report says beside the figures.

    name: of the run folder. steady_s: length of the measuring window; None when it never began.
    late_budget_ns: lateness of ours below which chunks that shared a read count as sent together.
    conversations: how many there were to choose from. coverage: None with the reason in coverage_absent.
    errorpaths: `paths.summary_of` the map, None where no process left a part of it. together: the value of
    `summary.json`, None where nothing was measured.
    overhead: as it was last measured, None where it never was. undisturbed: scenarios without a failure
    of their own, which the headline figures come from; empty for all. reconciled: clients against the
    target's own rows, None where there are none to read. journal: whether the provider's was read.
    target_cpu_s, provider_cpu_s: processor time since their start, None where they are not ours.
    recordings: id of a stream -> its file within the folder. rows_dropped: lines missing in streams.jsonl.gz.
    needed: rows of docs/errors.md that had to come. not_checkable: scenario -> breaks that its wire
    cannot prove. objectives: each with its value and decision. capacity: what a search found, None in any
    other run; comparison: what a paired run decided, likewise. fingerprint: what makes it
    comparable; baseline: the stored run it was held against, None without one. max_in_flight: users who take
    the arrivals of open load. window_order, window_s: clean and rough windows in turn, and their length; None
    without an end.
    """

    options: Options
    target: TargetFacts
    name: str
    started: datetime
    ended: datetime
    provenance: Provenance
    steady_s: float | None
    late_budget_ns: int
    conversations: int
    coverage: CoverageSummary | None = None
    coverage_absent: str = ""
    errorpaths: Mapping[str, Any] | None = None
    together: Mapping[str, Any] | None = None
    overhead: Overhead | None = None
    undisturbed: tuple[str, ...] = ()
    reconciled: Reconciled | None = None
    journal: bool = False
    target_cpu_s: float | None = None
    provider_cpu_s: float | None = None
    recordings: Mapping[str, str] = field(default_factory=dict)
    rows_dropped: int = 0
    needed: tuple[Needed, ...] = ()
    not_checkable: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    objectives: tuple[Result, ...] = ()
    capacity: Mapping[str, Any] | None = None
    comparison: Mapping[str, Any] | None = None
    fingerprint: Mapping[str, Any] = field(default_factory=dict)
    baseline: Mapping[str, Any] | None = None
    max_in_flight: int | None = None
    window_order: tuple[str, ...] = ()
    window_s: float | None = None
