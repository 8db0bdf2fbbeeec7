"""What a run measured, as objectives are held against it."""

from __future__ import annotations

from load.metrics.histogram import Histogram
from load.metrics.run import CLEAN, STEADY, Health
from load.scenarios.ledger import Ledger
from load.verdict.slo import Measured

KERNEL_NS = 100_000
"""How far an arrival that has a stamp of its own can be off."""


def measured_in_step(
    ledger: Ledger, window: str, health: Health, *, steady_s: float, late_ns: int, on_time: bool
) -> Measured:
    """The same for one step of a search. health: the generator's, during it."""
    assert ledger.steps is not None
    tallies = {name: ledger.run.total(scenario=name, windows=(window,)) for name in ledger.run.scenarios()}
    stamped = health.stamp_source == "kernel"
    return Measured(
        quiet=tallies,
        all=tallies,
        protocols=ledger.protocols,
        unexpected=ledger.steps.undeclared(window),
        steady_s=steady_s,
        before_ns=KERNEL_NS if stamped else late_ns,
        after_ns=KERNEL_NS if stamped else 0,
        on_time=on_time,
    )


def measured(
    ledger: Ledger,
    undisturbed: tuple[str, ...],
    *,
    steady_s: float | None,
    late_ns: int,
    on_time: bool,
    tracer: str | None,
) -> Measured:
    """late_ns: by how much we looked too late. tracer: what slows the target down, None for nothing much."""
    run, outcomes, windows = ledger.run, ledger.outcomes, ledger.windows
    quiet = (CLEAN,) if windows is not None and CLEAN in windows.kinds else STEADY
    stamped = run.health.stamp_source == "kernel"
    late = Histogram()
    for deadline in outcomes.deadlines.values():
        late = late + deadline.lateness
    return Measured(
        quiet={name: run.total(scenario=name, windows=quiet) for name in undisturbed},
        all={name: run.total(scenario=name, windows=STEADY) for name in run.scenarios()},
        protocols=ledger.protocols,
        unexpected={name: one.total - one.as_expected for name, one in outcomes.scenarios.items()},
        late=late,
        steady_s=steady_s,
        before_ns=KERNEL_NS if stamped else late_ns,
        after_ns=KERNEL_NS if stamped else 0,
        on_time=on_time,
        tracer=tracer,
    )
