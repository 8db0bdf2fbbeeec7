"""Who comes to a run, and with what weight; in open load, when."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Mapping, Sequence

from load.distributed import Shift
from load.errors import UsageError
from load.options import Options, Rate
from load.scenarios.arrivals import at_rate, replayed
from load.scenarios.base import AgentUser, Session
from load.scenarios.failures import ROWS, Failures
from load.scenarios.open import feed
from load.scenarios.planned import Planned
from load.scenarios.plans import Plan

MOST_WALKERS = 20
"""Failure users beside ordinary ones: their share of the mix, and no more than walk the rows in time."""


def weigh(
    options: Options,
    kinds: Iterable[type[AgentUser]],
    coming: Collection[Plan],
    failures: tuple[str, ...],
    *,
    given: bool,
) -> list[type[AgentUser]]:
    """The kinds of user that come, with the weights of `--mix`.

    coming: plans of a configuration that `--failures` lets come. failures: rows there are to walk. given:
    whether somebody asked for that mix.
    """
    chosen = []
    for kind in kinds:
        if issubclass(kind, Planned) and kind.plan not in coming:
            continue
        by_row = issubclass(kind, Failures) and bool(set(options.scenarios) & set(ROWS))
        wanted = not options.scenarios or kind.scenario in options.scenarios or by_row
        if options.mix and not options.scenarios:
            # Of users of one's own the profile's mix says nothing; a mix that was given says it all.
            unsaid = 0 if given else kind.weight
            kind.weight = options.mix.get(kind.scenario, unsaid)
        if wanted and kind.weight and (failures or not issubclass(kind, Failures)):
            chosen.append(kind)
    if not chosen:
        raise UsageError("nobody comes: --scenario, --mix and --failures leave no kind of user")
    if options.is_open and all(kind.of_failures for kind in chosen):
        raise UsageError("nobody takes the arrivals: --scenario and --mix leave failures alone")
    shares = sum(kind.weight for kind in chosen)
    for kind in chosen:
        if issubclass(kind, Failures):
            alone = len(chosen) == 1
            share = options.users * kind.weight / shares
            kind.fixed_count = 0 if alone else max(1, min(MOST_WALKERS, round(share)))
    return chosen


def crowd(options: Options, kinds: Collection[type[AgentUser]]) -> int:
    """The users of open load: the pool, and failure users beside it; all are there before the first
    arrival."""
    for kind in kinds:
        if kind.of_failures:
            kind.fixed_count = MOST_WALKERS if issubclass(kind, Failures) else 1
    walkers = sum(kind.fixed_count for kind in kinds if kind.of_failures)
    return options.users - MOST_WALKERS + walkers


def arrive(
    session: Session,
    began_ns: int,
    weights: Mapping[str, float],
    offsets_ns: Sequence[int],
    shift: Shift | None,
    rate: Rate | None,
) -> None:
    """The arrivals of open load. One that finds nobody free counts for a scenario that is drawn by the
    weights. rate: None for those of a trace."""
    options = session.options
    assert session.pool is not None
    starts = at_rate(rate, options.seed, began_ns) if rate is not None else replayed(offsets_ns, began_ns)
    if shift is not None:
        starts = shift.of_open_load(starts)
    drawn = random.Random(f"{options.seed}/never started")

    def missed(intended_ns: int) -> None:
        (scenario,) = drawn.choices(list(weights), list(weights.values()))
        session.ledger.never_started(scenario, intended_ns)

    feed(session.pool, starts, missed)
