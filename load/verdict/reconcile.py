"""Do the sides of a run agree: what clients saw, what the target stored, what the provider was asked?

pairs  client and row, execution by execution
asked  row and provider's journal, message by message
sums   the endings of all runs, counted on each side
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from load.errors import ExitCode
from load.metrics.journal import Asked
from load.verdict.asked import at_provider
from load.verdict.judge import Finding
from load.verdict.pairs import LEFT, Seen, Stored, agrees, paired
from load.verdict.sums import Sums, summed

__all__ = ["LEFT", "Reconciled", "Seen", "Stored", "agrees", "findings", "reconcile"]

KEPT_IDS = 5


@dataclass(frozen=True, slots=True)
class Reconciled:
    """compared: executions that client and database know. client, stored: endings counted on each side.
    provider: how its streams ended, None without its journal. differences: what differs -> the ids."""

    compared: int
    client: Mapping[str, int]
    stored: Mapping[str, int]
    provider: Mapping[str, int] | None
    sums: Sums
    differences: Mapping[str, tuple[str, ...]]


def reconcile(
    client: Mapping[str, Seen],
    stored: Mapping[str, Stored],
    entries: Sequence[Asked] | None = None,
    *,
    abandoned_unseen: int = 0,
    forgotten: int = 0,
) -> Reconciled:
    """client, stored: by execution id. entries: of the provider's journal, None without one; forgotten: so
    many of its oldest are missing. abandoned_unseen: so many streams the client left before it knew their
    id; as many rows that end so are theirs."""
    pairs = paired(client, stored, abandoned_unseen=abandoned_unseen)
    beside = None if entries is None else at_provider(client, stored, entries, forgotten=forgotten)
    return Reconciled(
        compared=pairs.compared,
        client=pairs.client,
        stored=pairs.stored,
        provider=None if beside is None else beside.ended,
        sums=summed(client, stored, None if beside is None else beside.asked, explained=pairs.explained),
        differences={**pairs.differences, **({} if beside is None else beside.differences)},
    )


def findings(reconciled: Reconciled) -> Iterable[Finding]:
    """One for each kind of difference."""
    for what, ids in reconciled.differences.items():
        yield Finding(
            kind=ExitCode.BEHAVIOUR,
            scenario=None,
            figure="reconciliation",
            value=str(len(ids)),
            limit="0",
            reason=f"{len(ids)} of {reconciled.compared} executions: {what}",
            ids=ids[:KEPT_IDS],
        )
