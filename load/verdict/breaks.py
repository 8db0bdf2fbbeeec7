"""Streams of a comparison that ended as nobody declared: those of head count, whatever base did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from load.metrics.outcomes import Outcomes, Unexpected
from load.verdict.behaviour import undeclared_kind
from load.verdict.judge import Finding


def breaks(outcomes: Outcomes, scenario: str, reproduce: str) -> Iterator[Finding]:
    """A finding for each kind of it in head, which says how often base did the same. What base alone did is
    no fault of head's: `mended` tells it."""
    name, base = f"head {scenario}", _kinds(outcomes, f"base {scenario}")
    for seen, kind in _kinds(outcomes, name).items():
        finding = undeclared_kind(name, outcomes.scenarios[name], kind, reproduce)
        also = f"so did {base[seen].count} of base" if seen in base else "none of base did"
        yield replace(finding, reason=f"{finding.reason}; {also}")


def mended(outcomes: Outcomes, scenario: str) -> Iterator[str]:
    """A sentence for each kind of it that base alone shows."""
    head = _kinds(outcomes, f"head {scenario}")
    for seen, kind in _kinds(outcomes, f"base {scenario}").items():
        if seen not in head:
            streams = "1 stream" if kind.count == 1 else f"{kind.count} streams"
            yield f"{streams} of base ended {seen}, and none of head."


def _kinds(outcomes: Outcomes, name: str) -> Mapping[str, Unexpected]:
    """Endings of a scenario that nobody declared, the most frequent first."""
    found = outcomes.scenarios.get(name)
    kinds = {} if found is None else found.unexpected
    return dict(sorted(kinds.items(), key=lambda pair: -pair[1].count))
