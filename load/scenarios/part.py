"""What a ledger holds, as plain values that go from a worker to its master, and back into a ledger.

`take` empties a ledger, so that parts add up to the whole: nothing is subtracted, and nothing counts twice.
"""

from __future__ import annotations

import gzip
from array import array
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from load.metrics.histogram import Histogram
from load.metrics.journal import Arrivals
from load.metrics.outcomes import Deadline, Outcome, Outcomes, Unexpected
from load.metrics.run import Run
from load.metrics.timeline import TerminalState
from load.scenarios.kept import Kept
from load.scenarios.ledger import Ledger
from load.verdict.reconcile import Seen

MOST_ROWS: Final = 5000
"""Of one report; what is more is counted, and no figure depends on it."""

Part: TypeAlias = dict[str, Any]


def take(ledger: Ledger, rows: list[bytes]) -> Part:
    """Empties the ledger, and the lines of its streams."""
    part: Part = {
        "run": ledger.run.to_json(),
        "outcomes": _outcomes(ledger.outcomes),
        "executions": {
            name: [seen.state.value, seen.code, seen.ended_ns] for name, seen in ledger.executions.items()
        },
        "kept": {word: _kept(kept) for word, kept in ledger.kept.streams.items()},
        "recordings": {name: [list(one) for one in frames] for name, frames in ledger.recordings.items()},
        "protocols": dict(ledger.protocols),
        "defects": list(ledger.defects),
        "abandoned_unseen": ledger.abandoned_unseen,
        "refused_in_a_row": ledger.refused_in_a_row,
        "rows": gzip.compress(b"".join(rows[:MOST_ROWS]), 1),
        "rows_dropped": max(0, len(rows) - MOST_ROWS),
    }
    ledger.run, ledger.kept = Run(), Kept()
    ledger.outcomes = Outcomes(rows=ledger.outcomes.rows)
    ledger.executions, ledger.recordings, ledger.defects = {}, {}, []
    ledger.abandoned_unseen = 0
    rows.clear()
    return part


def put(ledger: Ledger, part: Part) -> bytes:
    """Adds a part to a ledger; the lines of its streams."""
    ledger.run = ledger.run + Run.from_json(part["run"])
    ledger.outcomes = ledger.outcomes + _outcomes_of(part["outcomes"])
    for name, (state, code, ended_ns) in part["executions"].items():
        ledger.saw(name, Seen(TerminalState(state), code, ended_ns))
    for word, kept in part["kept"].items():
        known = word in ledger.kept.streams
        ledger.kept.streams[word] = None if known else _kept_of(kept)
    named = {
        one
        for outcome in ledger.outcomes.scenarios.values()
        for kind in outcome.unexpected.values()
        for one in kind.ids
    }
    for name, frames in part["recordings"].items():
        if name in named:
            ledger.recordings[name] = [(at, way, data) for at, way, data in frames]
    ledger.protocols |= part["protocols"]
    ledger.defects += part["defects"]
    ledger.abandoned_unseen += part["abandoned_unseen"]
    ledger.refused_in_a_row = part["refused_in_a_row"]
    return gzip.decompress(part["rows"])


def _kept(kept: tuple[str, str, Arrivals] | None) -> list[object] | None:
    if kept is None:
        return None
    scenario, window, at = kept
    return [scenario, window, at.sent_ns, at.accepted_ns, at.handshake_ns, at.chunks_ns.tolist()]


def _kept_of(plain: Sequence[Any] | None) -> tuple[str, str, Arrivals] | None:
    if plain is None:
        return None
    scenario, window, sent_ns, accepted_ns, handshake_ns, chunks_ns = plain
    return scenario, window, Arrivals(sent_ns, accepted_ns, handshake_ns, array("q", chunks_ns))


def _outcomes(outcomes: Outcomes) -> Part:
    return {
        "scenarios": {
            name: [
                one.expected,
                one.of_failures,
                one.total,
                one.as_expected,
                [[kind.seen, kind.count, kind.ids, kind.timed_out] for kind in one.unexpected.values()],
                one.configured_ms,
                one.lateness.to_json(),
            ]
            for name, one in outcomes.scenarios.items()
        },
        "deadlines": {
            code: [one.configured_ms, one.observed.to_json(), one.lateness.to_json(), one.early]
            for code, one in outcomes.deadlines.items()
        },
        "told": outcomes.told,
        "connections": outcomes.connections,
    }


def _outcomes_of(plain: Mapping[str, Any]) -> Outcomes:
    outcomes = Outcomes(
        told={label: dict(codes) for label, codes in plain["told"].items()},
        connections={label: dict(known) for label, known in plain["connections"].items()},
    )
    for name, (expected, of_failures, total, declared, kinds, limit, late) in plain["scenarios"].items():
        unexpected = {seen: Unexpected(seen, count, list(ids), out) for seen, count, ids, out in kinds}
        lateness = Histogram.from_json(late)
        outcomes.scenarios[name] = Outcome(
            expected, of_failures, total, declared, unexpected, limit, lateness
        )
    for code, (limit, observed, late, early) in plain["deadlines"].items():
        outcomes.deadlines[code] = Deadline(
            limit, Histogram.from_json(observed), Histogram.from_json(late), early
        )
    return outcomes
