"""Limits end a wait, late by a tick at most, and never for bytes that have arrived."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from load.drivers.watchdog import IDLE_TICKS, TICK_S, Wait, Watchdog, look, pending


@dataclass(eq=False)
class Waiting:
    """A socket that waits."""

    sock: socket.socket
    wait: Wait | None

    def pending(self) -> bool:
        return pending(self.sock)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends of one connection."""
    here, there = socket.socketpair()
    with here, there:
        here.settimeout(5)
        yield here, there


Pair = tuple[socket.socket, socket.socket]


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (100, (None, 0)),
        (101, ("gap", 1)),
        (150, ("gap", 50)),
        (501, ("total", 1)),  # the end of it all comes first
    ],
)
def test_look(pair: Pair, now: int, expected: tuple[str | None, int]) -> None:
    """A wait since 0 of 100, in all until 500: the clock that fires, and how late."""
    wait = Wait("gap", 0, 100, total_at=500, total=500)
    look(Waiting(pair[0], wait), now)

    assert (wait.expired, wait.late) == expected


def test_an_expired_wait_reads_the_end(pair: Pair) -> None:
    """Whoever waits is woken."""
    look(Waiting(pair[0], Wait("gap", 0, 100)), 101)

    assert pair[0].recv(9) == b""


def test_bytes_that_have_arrived_are_not_waited_for(pair: Pair) -> None:
    """Then the generator is late, not the target."""
    pair[1].sendall(b"x")
    wait = Wait("gap", 0, 100)
    look(Waiting(pair[0], wait), 101)

    assert (pending(pair[0]), wait.expired) == (True, None)


def test_bytes_do_not_put_off_the_end_of_it_all(pair: Pair) -> None:
    """A flood must end too."""
    pair[1].sendall(b"x")
    wait = Wait("gap", 0, 100, total_at=100, total=100)
    look(Waiting(pair[0], wait), 101)

    assert wait.expired == "total"


@pytest.mark.parametrize(("arrived", "expected"), [(b"x", None), (b"", "total")])
def test_a_late_look_lets_what_has_arrived_be_read_first(
    pair: Pair, arrived: bytes, expected: str | None
) -> None:
    """The process may have been stopped while the target answered."""
    pair[1].sendall(arrived)
    wait = Wait("gap", 0, 100, total_at=100, total=100)
    look(Waiting(pair[0], wait), 101, late=True)

    assert wait.expired == expected


def test_a_wait_expires_once(pair: Pair) -> None:
    """What it expired of stays."""
    wait = Wait("gap", 0, 100, total_at=500, total=500)
    look(Waiting(pair[0], wait), 101)
    look(Waiting(pair[0], wait), 501)

    assert (wait.expired, wait.late) == ("gap", 1)


def test_nobody_who_waits_is_left_alone(pair: Pair) -> None:
    """Between two waits."""
    look(Waiting(pair[0], None), 10**18)
    pair[1].sendall(b"x")

    assert pair[0].recv(9) == b"x"


def test_a_closed_socket_has_nothing_pending(pair: Pair) -> None:
    """It may be closed in the moment it is looked at."""
    pair[0].close()
    wait = Wait("gap", 0, 100)
    look(Waiting(pair[0], wait), 101)

    assert (pending(pair[0]), wait.expired) == (False, "gap")


def test_the_thread_ends_waits_until_nothing_waits(pair: Pair) -> None:
    """It fires in its time, and goes when it has had nothing to do for a while."""
    watchdog = Watchdog()
    before = threading.active_count()
    began = time.perf_counter_ns()
    waiting = Waiting(pair[0], Wait("gap", began, 50_000_000))
    watchdog.watch(waiting)
    read = pair[0].recv(9)
    waited = time.perf_counter_ns() - began
    watchdog.unwatch(waiting)
    give_up = time.monotonic() + 50 * IDLE_TICKS * TICK_S
    while threading.active_count() > before and time.monotonic() < give_up:
        time.sleep(TICK_S)

    assert (read, waited >= 50_000_000, threading.active_count()) == (b"", True, before)


def test_a_thread_that_has_gone_is_replaced(pair: Pair) -> None:
    """The next wait starts another."""
    watchdog = Watchdog()
    for end in pair:
        watchdog.watch(Waiting(end, Wait("gap", time.perf_counter_ns(), 1_000_000)))
        end.settimeout(5)

        assert end.recv(9) == b""
