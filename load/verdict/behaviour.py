"""Did every stream end as its scenario declared, and did every scenario that was asked for come at all?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from load.errors import ExitCode
from load.metrics.machine import TerminalState
from load.metrics.outcomes import WITH_BREAKS, Outcome, Outcomes, Unexpected
from load.verdict.judge import Finding


@dataclass(frozen=True, slots=True)
class Needed:
    """A row of docs/errors.md that has to be reached: so often over all its variants, and by each of them."""

    id: str
    times: int
    variants: tuple[str, ...]


def undeclared(outcomes: Outcomes, reproduce: str, *, overloaded: bool = False) -> list[Finding]:
    """A finding for each kind of ending that nobody declared, the most frequent first.

    reproduce: a command with `{scenario}` in it. overloaded: on purpose; to refuse or to fail is right then,
    to send something wrong is not.
    """
    found = [
        (kind.count, undeclared_kind(name, outcome, kind, reproduce))
        for name, outcome in outcomes.scenarios.items()
        for kind in outcome.unexpected.values()
        if not overloaded or kind.seen.startswith(TerminalState.BROKEN.name) or WITH_BREAKS in kind.seen
    ]
    return [finding for _, finding in sorted(found, key=lambda pair: -pair[0])]


def undeclared_kind(name: str, outcome: Outcome, kind: Unexpected, reproduce: str) -> Finding:
    """The finding for one kind of ending of a scenario."""
    streams = "stream" if outcome.total == 1 else "streams"
    return Finding(
        kind=ExitCode.BEHAVIOUR,
        scenario=name,
        figure=None,
        value=f"{kind.count} of {outcome.total}",
        limit="0",
        reason=f"{kind.count} of {outcome.total} {streams} ended {kind.seen}, declared is {outcome.expected}",
        reproduce=reproduce.format(scenario=name),
        ids=tuple(kind.ids),
        timed_out=kind.timed_out,
    )


def missing(outcomes: Outcomes, asked: Iterable[str], reproduce: str) -> list[Finding]:
    """A finding for each scenario of `asked` that has no ended stream: no data is never a pass."""
    return [
        Finding(
            kind=ExitCode.INVALID,
            scenario=name,
            figure=None,
            value="no samples",
            limit=None,
            reason="no_samples: not one stream of it ended; run longer (-t), or with more users (-u)",
            reproduce=reproduce.format(scenario=name),
        )
        for name in asked
        if name not in outcomes.scenarios or not outcomes.scenarios[name].total
    ]


def unreached(outcomes: Outcomes, needed: Iterable[Needed], reproduce: str) -> list[Finding]:
    """A finding for each row that did not come often enough, as declared, or not by each of its variants."""
    found = []
    for row in needed:
        seen = {
            name: outcomes.scenarios[name].as_expected if name in outcomes.scenarios else 0
            for name in row.variants
        }
        times = sum(seen.values())
        absent = [name for name, count in seen.items() if not count]
        if times >= row.times and not absent:
            continue
        by = ", ".join(f"{name} {count}" for name, count in seen.items())
        found.append(
            Finding(
                kind=ExitCode.INVALID,
                scenario=None,
                figure=None,
                value=f"{times}: {by}",
                limit=f"{row.times}, each at least once",
                reason=(
                    f"not_reached: row {row.id} came as declared {times} × ({by}), needed {row.times} ×"
                    " and by each scenario; run longer (-t), or with more users (-u)"
                ),
                reproduce=reproduce.format(scenario=(absent or list(seen))[0]),
            )
        )
    return found
