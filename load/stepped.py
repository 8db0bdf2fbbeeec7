"""One step of a search, judged while it goes on and once it is over."""

from __future__ import annotations

from dataclasses import dataclass

from load.loadrun import LoadRun
from load.metrics.run import Health
from load.metrics.tally import Tally
from load.report.figures import Accuracy, to_ms
from load.scenarios.held import measured_in_step
from load.scenarios.steps import Steps
from load.verdict.capacity import TOO_FEW, outcome_of
from load.verdict.search import Step
from load.verdict.slo import Measured, evaluate
from load.verdict.validity import late_budget_ns, untrustworthy


@dataclass(frozen=True, slots=True)
class Judged:
    """The step that has this window."""

    run: LoadRun
    window: str

    @property
    def missed_for_certain(self) -> bool:
        """Whether too much has happened already that nothing can undo."""
        tallies = self.run.ledger.run.tallies.items()
        counts = {
            "unexpected": sum(self._steps.undeclared(self.window).values()),
            "never_started": sum(tally.never_started for (_, at), tally in tallies if at == self.window),
        }
        return any(
            not objective.holds(counts[objective.metric])
            for objective in self.run.objectives
            if objective.statistic == "count" and objective.operator in ("<", "<=")
            if objective.metric in counts and not objective.filters
        )

    def too_few(self, lasted_s: float) -> bool:
        """Whether more streams are needed to say that an objective is met."""
        held = self._measured(self.run.ledger.run.health, lasted_s)
        return any(evaluate(objective, held).reason.startswith(TOO_FEW) for objective in self.run.objectives)

    @property
    def slowest_s(self) -> float:
        """How long its longest stream took; 0 without any."""
        return (self._tally.total.max or 0) / 1e9

    def step(
        self,
        *,
        number: int,
        load: int,
        health: Health,
        lasted_s: float,
        at_once: float,
        most_at_once: int,
        unended: int,
    ) -> Step:
        """What came of it. health: the generator's, during it. unended: streams waited for in vain."""
        tally, held = self._tally, self._measured(health, lasted_s)
        results = tuple(evaluate(objective, held) for objective in self.run.objectives)
        outcome, why = outcome_of(results, self._late(health), unended)
        return Step(
            number=number,
            load=load,
            outcome=outcome,
            why=why,
            lasted_s=lasted_s,
            ended=tally.ended,
            good=tally.good,
            at_once=at_once,
            most_at_once=most_at_once,
            seen=dict(self._steps.seen(self.window)),
            results=results,
            ttft_ms=(to_ms(tally.ttft.quantile(0.5)), to_ms(tally.ttft.quantile(0.99))),
            gap_ms=(to_ms(tally.gap.quantile(0.5)), to_ms(tally.gap.quantile(0.99))),
            late_ms=to_ms(health.lateness.quantile(0.99)),
        )

    @property
    def _steps(self) -> Steps:
        assert self.run.ledger.steps is not None
        return self.run.ledger.steps

    @property
    def _tally(self) -> Tally:
        return self.run.ledger.run.total(windows=(self.window,))

    @property
    def _budget_ns(self) -> int:
        limits = [self.run.limits.stall_ns, *(objective.most_ns for objective in self.run.objectives)]
        return late_budget_ns(self._tally.gap, [limit for limit in limits if limit is not None])

    def _measured(self, health: Health, lasted_s: float) -> Measured:
        late_ns = Accuracy.of(health, "").late_p99_ns or 0
        return measured_in_step(
            self.run.ledger,
            self.window,
            health,
            steady_s=lasted_s,
            late_ns=late_ns,
            on_time=late_ns <= self._budget_ns,
        )

    def _late(self, health: Health) -> str:
        """Why the generator cannot tell; empty where it can."""
        stall_ns = self.run.limits.stall_ns
        found = untrustworthy(health, self._tally, budget_ns=self._budget_ns, stall_ns=stall_ns)
        # Without the remedy: the search takes it, and comes with fewer users.
        return "; ".join(finding.reason.partition(". ")[0] for finding in found)
