"""May this run speak? What the generator recorded of itself in, findings out.

A generator that was late has measured itself, and a fault of its own says nothing about the target: the run
is INVALID then. What does not depend on time is judged all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from load.errors import ExitCode
from load.metrics.histogram import Histogram
from load.metrics.run import STEADY, Health, Run
from load.metrics.standstill import STANDSTILL_NS
from load.metrics.tally import Tally
from load.verdict.judge import Finding

MS: Final = 1_000_000
LEAST_BUDGET_NS: Final = 2 * MS
MOST_UNRESOLVED: Final = 0.05
MOST_UNSTAMPED: Final = 0.01
FEW: Final = 3
"""A quantile that fewer samples lie beyond is no more than the largest of them."""
BUSY: Final = 0.7
"""Of one core: from here on it is the generator's own work that makes it late."""


def descriptors_needed(users: int) -> int:
    """So many files a generator with these users has open at once."""
    return 2 * users + 64


def late_budget_ns(gap: Histogram, limits_ns: Iterable[int]) -> int:
    """How late a generator may look at a chunk: a quarter of the smallest of these limits and of the median
    gap, where there is one; at least LEAST_BUDGET_NS. gap: of chunks that came in a read of their own."""
    median = gap.quantile(0.5)
    smallest = min(limits_ns if median is None else (*limits_ns, median))
    return max(LEAST_BUDGET_NS, smallest // 4)


def empty(run: Run) -> Iterator[Finding]:
    """Streams came, and none of those that count ended: there is nothing to speak of."""
    if run.tallies and not run.total(windows=STEADY).ended:
        yield _invalid(
            "no_samples",
            "no stream that began in the measuring window has ended; run longer (-t), or with a higher spawn"
            " rate (-r): the window opens when all users have come",
        )


def untrustworthy(health: Health, tally: Tally, *, budget_ns: int, stall_ns: int) -> Iterator[Finding]:
    """Why the run cannot tell. tally: the streams that its figures come from."""
    late = list(_late(health, tally, budget_ns, stall_ns))
    if late:
        yield _invalid("generator_late", f"{'; '.join(late)}. {_remedy(health)}")
    if health.clock_steps and health.reads_unstamped > MOST_UNSTAMPED * health.reads:
        yield _invalid(
            "clock",
            f"the wall clock jumped {health.clock_steps} times and {health.reads_unstamped:,} of"
            f" {health.reads:,} arrivals lost their stamp. Let it be slewed, not set, while a run goes on",
        )
    for what, count in sorted(health.faults.items()):
        yield _invalid("generator_fault", f"{count:,} times {what}")


def _late(health: Health, tally: Tally, budget_ns: int, stall_ns: int) -> Iterator[str]:
    """In which ways the generator was late."""
    if health.stamp_source == "user":
        gauge = health.gauge.quantile(0.99)
        if gauge is not None and gauge > budget_ns:
            yield f"a sleep was overslept by {_ms(gauge)} (p99), allowed are {_ms(budget_ns)}"
    else:
        lateness = health.lateness.quantile(0.99)
        many = tally.unresolved > MOST_UNRESOLVED * tally.chunks
        if many and lateness is not None and lateness > budget_ns:
            share = 100 * tally.unresolved / tally.chunks
            yield (
                f"{share:.0f} % of the chunks shared a read, allowed are 5 %, and chunks were looked at"
                f" {_ms(lateness)} late (p99), allowed are {_ms(budget_ns)}"
            )
    stood_ns = health.gauge.max
    if stood_ns is not None and stood_ns > STANDSTILL_NS:
        yield f"it stood still for {stood_ns / 1e9:.1f} s, and does not know when what came meanwhile came"
    lag = tally.start_lag.quantile(0.99)
    if lag is not None and lag > stall_ns and tally.start_lag.above(stall_ns) >= FEW:
        yield f"streams began {_ms(lag)} late (p99), allowed are {_ms(stall_ns)}"


def _remedy(health: Health) -> str:
    share = health.cpu_ns / health.wall_ns if health.wall_ns else 0.0
    if share >= BUSY:
        return f"The generator used {100 * share:.0f} % of a core: come with fewer users (-u)"
    return (
        f"The generator used {100 * share:.0f} % of a core, so other programs kept it from running, or a task"
        " of the locustfile blocks: give it a quieter machine, or fewer users (-u)"
    )


def _invalid(cause: str, what: str) -> Finding:
    return Finding(ExitCode.INVALID, None, None, None, None, f"{cause}: {what}")


def _ms(ns: int) -> str:
    return f"{ns / MS:.1f} ms"
