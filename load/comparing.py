"""A comparison of two servers, from its first user to its decision.

prepare   both arms once: what cannot be is said before the first user comes
go        the comparison, and once more from the start where it found a regression
close     nothing of it is left, however it ended
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import gevent

from load.arms import Arms
from load.compared import Compared
from load.drivers.clock import CLOCK
from load.errors import InvalidRun, LoadError
from load.loadrun import LoadRun
from load.metrics.journal import Asked
from load.pairing import Pairing
from load.report.blocks import BlockRows
from load.report.console import say
from load.scenarios.accounts import Accounts, Auth
from load.scenarios.barrier import Barrier
from load.scenarios.base import Session
from load.scenarios.own import Own
from load.scenarios.paired import ARMS, HEAD, LIMITS, MODEL, Course, PairedUser, Task
from load.scenarios.prompts import Conversation, PromptSource, load_prompts
from load.scenarios.rounds import Asking, Ended, Rounds
from load.scenarios.walk import Walk
from load.target.journal import Following
from load.verdict.compare import Outcome
from load.verdict.comparison import CONFIRMATION, FIRST, Comparison
from load.verdict.selfcheck import LATE, STALLS
from load.verdict.wording import effect_text

LEAST_CONFIRMATION_S: Final = 30.0
PLANTED: Final = MappingProxyType(
    {
        LATE: MODEL.replace("ttft=25", "ttft=27.5"),
        STALLS: f"{MODEL},fail=pause@6,p=.01",
    }
)
"""What answers head in the comparisons of a selfcheck."""
PROGRESS_S: Final = 5.0
LEAST_ROOM_MB: Final = 16
"""More than a lifetime writes; on a full disk both servers would fail, which is no fault of head's."""


@dataclass(slots=True)
class Comparing:
    """One comparison that is prepared. walking: the greenlet that goes through it; None before `go`."""

    run: LoadRun
    compared: Compared
    arms: Arms
    course: Course
    walking: gevent.Greenlet[..., None] | None = None

    def go(self, stop: Callable[[], None]) -> None:
        """Goes through all of it, beside the caller. stop: is called at the end, unless somebody else did."""
        self.walking = gevent.spawn(self._go, stop)

    def _go(self, stop: Callable[[], None]) -> None:
        try:
            self._compare()
        except Ended:
            return
        except LoadError as error:
            self.compared.failure = error
        except Exception as defect:  # noqa: BLE001  # whatever it is, it is a defect of ours, and told
            self.run.ledger.defects.append(f"{type(defect).__name__}: {defect}")
        stop()

    def _compare(self) -> None:
        provider, budget_s = self.run.provider, self.run.options.run_time_s
        assert budget_s is not None, "a comparison has a budget"
        rounds = Rounds(
            self.course,
            self.run.options.seed,
            self.arms.start,
            self._check,
            _no_journal if provider is None else Following(provider.url).new,
            self.compared.take,
            _Progress(),
        )
        CLOCK.drain()
        try:
            first = rounds.compare(Asking(FIRST, budget_s))
            if self.run.options.selfcheck:
                for name, model in PLANTED.items():
                    rounds.compare(Asking(name, budget_s, {HEAD: model}))
            elif first.decision is not None and first.decision.verdict is Outcome.REGRESSED:
                say("REGRESSED so far; once more, with fresh processes and other words, to confirm it")
                rounds.compare(Asking(CONFIRMATION, max(LEAST_CONFIRMATION_S, first.load_s)))
        finally:
            self.run.ledger.run.health = self.run.ledger.run.health + rounds.health

    def _check(self) -> None:
        check_room(self.run.folder)
        if self.run.provider_died is not None:
            raise InvalidRun(f"{self.run.provider_died}; it is a part of the instrument")
        self.arms.check()

    def stop(self) -> None:
        """Sends the users home."""
        self.course.barrier.end()

    def close(self) -> None:
        """Leaves nothing running, and no trees; may be called again."""
        self.stop()
        if self.walking is not None:
            self.walking.kill()
        self.compared.rows.close()
        self.compared.close()


def prepare_comparison(run: LoadRun, own: Own | None) -> Comparing:
    """Everything but the users; `run` gets its session. Raises as `Pairing.start`; whatever fails leaves
    nothing running."""
    # Their first import takes a second, in which no stream could be read.
    import scipy.special
    import scipy.stats  # noqa: F401

    check_room(run.folder)
    pairing = Pairing(run, own)
    try:
        arms = pairing.start()
        conversations = load_prompts(run.options.prompts)
        compared = Compared(pairing.names(), pairing.scenario, BlockRows(run.folder), pairing.close)
    except BaseException:
        pairing.close()
        raise
    course = Course(
        compared.scenario,
        Barrier[Task](run.options.users),
        tuple(conversation.turns[0] for conversation in conversations),
    )
    PairedUser.course = course
    run.conversations, run.limits, run.compared = len(conversations), LIMITS, compared
    run.asked = tuple(f"{arm} {course.scenario}" for arm in ARMS)
    run.session = _session(run, conversations)
    return Comparing(run, compared, arms, course)


def check_room(folder: Path) -> None:
    """Raises InvalidRun where the disk of a run's folder, which has the servers' databases too, is all but
    full."""
    room_mb = shutil.disk_usage(folder).free >> 20
    if room_mb < LEAST_ROOM_MB:
        raise InvalidRun(
            f"no_room: {room_mb} MB are left for {folder}, {LEAST_ROOM_MB} are needed;"
            " name another place with --reports"
        )


@dataclass(slots=True)
class _Progress:
    """A line every few seconds."""

    shown: float = 0.0

    def __call__(self, asking: Asking, comparison: Comparison) -> None:
        if time.monotonic() - self.shown < PROGRESS_S:
            return
        self.shown = time.monotonic()
        decision = comparison.decision
        ttft = None if decision is None else decision.effect("ttft")
        say(
            f"{comparison.load_s:4.0f} s of {asking.budget_s:g} s  {len(comparison.rounds)} rounds"
            f"  {'' if ttft is None else effect_text(ttft)}".rstrip()
        )


def _no_journal() -> tuple[Asked, ...]:
    return ()


def _session(run: LoadRun, conversations: tuple[Conversation, ...]) -> Session:
    """Paired users take their connections from the arms, so most of it stays empty."""
    seed = run.options.seed
    return Session(
        options=run.options,
        target_url="",
        upstream_url=None,
        tokens=(),
        admin_token=None,
        accounts=Accounts(Auth({}), ""),
        agents={},
        failures=(),
        walk=Walk({}, seed),
        ledger=run.ledger,
        prompts=lambda user: PromptSource(conversations, seed, user),
        limits=LIMITS,
        seed=seed,
    )
