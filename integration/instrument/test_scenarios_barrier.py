"""Where the users of a comparison wait for each other, with threads for users."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from integration.timing import PATIENCE_S
from load.scenarios.barrier import Barrier

USERS = 4
AT_ONCE_S = 0.05
"""What cannot come is not waited for longer."""


@contextmanager
def waiting(barrier: Barrier[str], do: Callable[[str], None], users: int = USERS) -> Iterator[None]:
    """So many users, each of whom takes what there is and does it until it is over."""

    def user() -> None:
        while (work := barrier.take()) is not None:
            do(work)

    threads = [threading.Thread(target=user, daemon=True) for _ in range(users)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        barrier.end()
        for thread in threads:
            thread.join(PATIENCE_S)
    assert not any(thread.is_alive() for thread in threads)


def test_each_piece_of_work_is_done_once_by_everybody_before_the_next() -> None:
    """However often, in order."""
    barrier, done = Barrier[str](USERS), list[str]()
    with waiting(barrier, done.append):
        assert barrier.gather(PATIENCE_S)
        for number in range(100):
            assert barrier.hand_out(f"{number}", PATIENCE_S)

    assert done == [f"{number}" for number in range(100) for _ in range(USERS)]


def test_nobody_is_gathered_before_all_are_there() -> None:
    """One of them is missing."""
    barrier, done = Barrier[str](USERS), list[str]()
    with waiting(barrier, done.append, USERS - 1):
        assert not barrier.gather(AT_ONCE_S)


def test_who_does_not_come_back_ends_the_wait() -> None:
    """Within the time that was given; once they are back all is as before."""
    barrier, go_on, done = Barrier[str](USERS), threading.Event(), list[str]()

    def slow(work: str) -> None:
        if work == "slow":
            go_on.wait(PATIENCE_S)
        done.append(work)

    with waiting(barrier, slow):
        assert barrier.gather(PATIENCE_S)
        assert not barrier.hand_out("slow", AT_ONCE_S)
        go_on.set()
        assert barrier.gather(PATIENCE_S)
        assert barrier.hand_out("quick", PATIENCE_S)

    assert done == ["slow"] * USERS + ["quick"] * USERS


def test_the_end_sends_everybody_home() -> None:
    """Those who wait, whoever hands out, and who comes later; it may be said twice."""
    barrier, begun, ended = Barrier[str](USERS), threading.Event(), list[bool]()

    def wait(_: str) -> None:
        begun.set()
        while not barrier.over:
            pass

    def hand_out() -> None:
        ended.append(barrier.hand_out("wait", PATIENCE_S))

    with waiting(barrier, wait):
        assert barrier.gather(PATIENCE_S)
        coordinator = threading.Thread(target=hand_out, daemon=True)
        coordinator.start()
        assert begun.wait(PATIENCE_S)
        barrier.end()
        barrier.end()
        coordinator.join(PATIENCE_S)

    assert (ended, barrier.over, barrier.take()) == ([False], True, None)
    assert not barrier.hand_out("late", PATIENCE_S)
