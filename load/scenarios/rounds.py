"""Blocks, rounds and lifetimes of a comparison: who speaks to which arm, when, and when it is decided.

    lifetime   fresh processes, two warm-up blocks an arm, ten rounds
    round      a block on each arm with the same seeds, the order drawn
    look       when the comparison says so: go on, or the verdict

One greenlet walks through it. Between two blocks nobody speaks, so what is read or reckoned then disturbs
nobody.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from load.drivers.clock import CLOCK
from load.errors import InvalidRun
from load.metrics.journal import Asked
from load.metrics.run import Health
from load.scenarios.blocks import Ran, figures_of, line_of
from load.scenarios.paired import ARMS, BASE, HEAD, Block, Course, PairedUser, Server, Task
from load.target import noise
from load.verdict.comparison import BlockLine, Comparison
from load.verdict.rounds import PairedRound, round_of

ROUNDS_A_LIFETIME: Final = 10
WARM_UPS: Final = 2
BLOCK_TIMEOUT_S: Final = 30.0


class Ended(Exception):  # nothing went wrong
    """Somebody sent the users home."""


@dataclass(frozen=True, slots=True)
class Asking:
    """One comparison. name: of its blocks; seeds are drawn from it. budget_s: of load, both arms together.
    models: of an arm whose provider answers otherwise."""

    name: str
    budget_s: float
    models: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Rounds:
    """What walks through comparisons.

    start: both arms anew. check: raises when one of them, or the provider, has ended. journal: what the
    provider was asked since the last call. written: takes each block. told: is shown each round. health: the
    generator's, added up.
    """

    course: Course
    seed: int
    start: Callable[[Mapping[str, str]], Mapping[str, Server]]
    check: Callable[[], None]
    journal: Callable[[], Sequence[Asked]]
    written: Callable[[BlockLine], None]
    told: Callable[[Asking, Comparison], None]
    health: Health = field(default_factory=Health)

    def compare(self, asking: Asking) -> Comparison:
        """Until it is decided, at the latest when the budget is used.

        Raises `Ended` when the users were sent home, TargetDown or InvalidRun when it cannot go on.
        """
        comparison = Comparison(asking.budget_s)
        draw = random.Random(f"{self.seed}/{asking.name}/order")
        servers: Mapping[str, Server] = {}
        for number in itertools.count(1):
            lifetime, earlier = divmod(number - 1, ROUNDS_A_LIFETIME)
            if not earlier:
                servers = self._begin(asking, lifetime + 1)
            order = ARMS if draw.random() < 0.5 else ARMS[::-1]
            key = f"{self.seed}/{asking.name}/{number}"
            ran = [self._block(Block(arm, servers[arm], key, lifetime + 1, number)) for arm in order]
            comparison.take(self._booked(asking, ran))
            self.told(asking, comparison)
            if comparison.over:
                break
        return comparison

    def _begin(self, asking: Asking, lifetime: int) -> Mapping[str, Server]:
        """A lifetime: both arms anew, and warm."""
        self._hand_out(PairedUser.leave)
        servers = self.start(asking.models)
        for number in range(WARM_UPS):
            key = f"{self.seed}/{asking.name}/warm-up/{lifetime}/{number}"
            for arm in ARMS:
                self._block(Block(arm, servers[arm], key, lifetime, None))
        self.journal()
        return servers

    def _block(self, block: Block) -> Ran:
        pids = () if block.server.pid is None else (block.server.pid,)
        self.course.spoken.clear()
        canary_ns = noise.canary_ns()
        before = noise.look(pids)
        began_ns = time.perf_counter_ns()
        self._hand_out(lambda user: user.speak(block))
        ended_ns = time.perf_counter_ns()
        happened = noise.between(before, noise.look(pids))
        health = CLOCK.drain()
        self.health = self.health + health
        return Ran(
            block,
            tuple(self.course.spoken),
            began_ns,
            ended_ns,
            happened,
            sum(happened.spent_ns.values()) if happened.spent_ns else None,
            canary_ns,
            health.lateness.quantile(0.99),
        )

    def _hand_out(self, work: Task) -> None:
        barrier = self.course.barrier
        if not (barrier.gather(BLOCK_TIMEOUT_S) and barrier.hand_out(work, BLOCK_TIMEOUT_S)):
            if barrier.over:
                raise Ended
            self.check()
            raise InvalidRun(f"a block took more than {BLOCK_TIMEOUT_S:g} s")

    def _booked(self, asking: Asking, ran: Sequence[Ran]) -> PairedRound:
        """What the two blocks of a round say."""
        self.check()
        asked = self.journal()
        figures = {one.block.arm: figures_of(one, asked) for one in ran}
        psi = {one.block.arm: one.noise.psi for one in ran}
        first, second = ran
        paired = round_of(
            figures[BASE],
            figures[HEAD],
            lifetime=first.block.lifetime,
            number=first.block.round or 0,
            base_first=first.block.arm == BASE,
            psi=(psi[BASE], psi[HEAD]),
            took_s=first.took_s + second.took_s,
        )
        for one in ran:
            line = line_of(
                one,
                figures[one.block.arm],
                run=asking.name,
                budget_s=asking.budget_s,
                first=one is first,
                paired=None if one is first else paired,
            )
            self.written(line)
        return paired
