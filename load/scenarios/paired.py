"""The users of a comparison: each speaks to both arms in turn, with the same words.

A block is twelve users with three streams each, one behind the other, on one arm. The first word of a message
is drawn from the run, the round, the user and the number of the stream; the scripted provider draws its pace
from that word alone, so that a stream and its twin on the other arm differ by the two servers and by chance.
"""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final, TypeAlias

import gevent
from locust import task
from locust.exception import StopUser

from load.drivers.base import Driver, Turn
from load.metrics.timeline import Limits, Timeline
from load.scenarios.barrier import Barrier
from load.scenarios.base import AgentUser, led_by
from load.scenarios.expect import DONE

BASE: Final = "base"
HEAD: Final = "head"
ARMS: Final = (BASE, HEAD)
USERS: Final = 12
STREAMS: Final = 3
MOST_SHIFT_S: Final = 0.1
"""About the length of a stream: users who begin together would queue, and measure the queue."""
DIGITS: Final = 12
STALL_MS: Final = 75
_S: Final = 1_000_000_000

LIMITS: Final = Limits(
    connect_ns=5 * _S,
    accept_ns=8 * _S,
    first_delta_ns=8 * _S,
    gap_ns=8 * _S,
    total_ns=9 * _S,
    stall_ns=STALL_MS * 1_000_000,
)
"""Three streams that all time out still end within BLOCK_TIMEOUT_S."""

MODEL: Final = "sim:ttft=25,n=12,gap=5,jit=.25,seed=msg"
"""What answers in both arms: first text after 25 ms, eleven more 5 ms apart."""


@dataclass(frozen=True, slots=True)
class Server:
    """One arm while it lives. connect: a new way to it for the user of that number. pid: None where it is not
    ours."""

    url: str
    connect: Callable[[int], Driver]
    pid: int | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """key: what its seeds are drawn from, equal in both arms. round: None of one that only warms up."""

    arm: str
    server: Server
    key: str
    lifetime: int
    round: int | None


@dataclass(frozen=True, slots=True)
class Spoken:
    """One stream of a block that has ended."""

    word: str
    timeline: Timeline


Task: TypeAlias = Callable[["PairedUser"], None]


@dataclass(slots=True)
class Course:
    """What all users of a comparison share. scenario: what they do, for names. prompts: texts behind the
    first word."""

    scenario: str
    barrier: Barrier[Task]
    prompts: tuple[str, ...]
    spoken: list[Spoken] = dataclasses.field(default_factory=list)


class PairedUser(AgentUser):
    """Waits for a block, speaks, waits again. Its connections live as long as the servers."""

    scenario = "paired"
    course: ClassVar[Course]

    @task
    def next(self) -> None:
        """The next block, or whatever all users have to do together."""
        what = self.course.barrier.take()
        if what is None:
            raise StopUser
        what(self)

    def wait_time(self) -> float:
        """The barrier says when it goes on."""
        return 0.0

    def on_stop(self) -> None:
        """No start of it can be overdue."""
        self.leave()

    def tend(self) -> None:
        """Nothing reads beside a block: that would be time of one arm alone."""

    def speak(self, block: Block) -> None:
        """Three streams, one behind the other."""
        gevent.sleep(MOST_SHIFT_S * int(word_of(block.key, self.number, STREAMS), 16) / 16**DIGITS)
        driver = self._drivers.get(block.arm)
        if driver is None:
            driver = self._drivers[block.arm] = block.server.connect(self.number)
        for number in range(STREAMS):
            self._stream(block, driver, word_of(block.key, self.number, number))

    def _stream(self, block: Block, driver: Driver, word: str) -> None:
        course, seed = self.course, int(word, 16)
        turn = Turn(
            prompt=led_by(word, course.prompts[seed % len(course.prompts)]),
            seed=seed,
            session_id=None,
            intended_ns=time.perf_counter_ns(),
            limits=self.session.limits,
        )
        followed = self.follow(driver, turn, f"{block.arm} {course.scenario}")
        origin = dataclasses.replace(followed.origin, arm=block.arm, round=block.round)
        self.book(dataclasses.replace(followed, origin=origin), DONE)
        if followed.timeline.state is not None:
            course.spoken.append(Spoken(word, followed.timeline))


def word_of(key: str, user: int, number: int) -> str:
    """Hexadecimal digits, so many as DIGITS."""
    return hashlib.blake2b(f"{key}/{user}/{number}".encode(), digest_size=DIGITS // 2).hexdigest()
