"""Stamps of the kernel as monotonic times, and what happens without them."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import pytest

from load.drivers.clock import (
    RENEW_NS,
    SLACK_NS,
    SO_TIMESTAMPNS,
    STEP_NS,
    Clock,
    Offset,
    ask_for_stamps,
)

EPOCH = 1_700_000_000_000_000_000
SECOND = 1_000_000_000


class Clocks:
    """A user clock that stands still unless moved, and a wall clock `ahead` of it."""

    def __init__(self) -> None:
        self.now = 10 * SECOND
        self.ahead = EPOCH

    def user(self) -> int:
        return self.now

    def real(self) -> int:
        return self.now + self.ahead


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def clock(clocks: Clocks) -> Clock:
    return Clock(Offset(clocks.user, clocks.real))


def stamp(
    real_ns: int, *, kind: int = SO_TIMESTAMPNS, level: int = socket.SOL_SOCKET
) -> list[tuple[int, int, bytes]]:
    return [(level, kind, struct.pack("qq", real_ns // SECOND, real_ns % SECOND))]


def facts(clock: Clock) -> tuple[int, int, int]:
    health = clock.drain()
    return health.reads, health.reads_unstamped, health.stamps_rejected


def test_a_stamp_is_converted(clock: Clock, clocks: Clocks) -> None:
    """Arrived 3 ms before it was read."""
    at = clock.arrived(stamp(clocks.real() - 3_000_000), 0, clocks.now)

    assert (at, clock.lateness.max, facts(clock)) == (clocks.now - 3_000_000, 3_000_000, (1, 0, 0))


@pytest.mark.parametrize(
    ("off", "expected"),
    [
        (-SLACK_NS, 0),  # read before the read before it: its bound is taken
        (1_000_000 + SLACK_NS, 1_000_000),  # after it was read: likewise
    ],
)
def test_a_stamp_a_little_outside_its_bounds_is_taken_at_the_bound(
    clock: Clock, clocks: Clocks, off: int, expected: int
) -> None:
    """The bounds are 1 ms apart."""
    floor = clocks.now - 1_000_000
    at = clock.arrived(stamp(clocks.real() - 1_000_000 + off), floor, clocks.now)

    assert (at - floor, facts(clock)) == (expected, (1, 0, 0))


@pytest.mark.parametrize("off", [-SLACK_NS - 1, 1_000_000 + SLACK_NS + 1])
def test_a_stamp_outside_its_bounds_is_rejected(clock: Clock, clocks: Clocks, off: int) -> None:
    """The user clock is used instead, and counted."""
    floor = clocks.now - 1_000_000
    at = clock.arrived(stamp(clocks.real() - 1_000_000 + off), floor, clocks.now)

    assert (at, facts(clock)) == (clocks.now, (1, 1, 1))


@pytest.mark.parametrize(
    "ancillary",
    [
        [],
        stamp(EPOCH, kind=29),
        stamp(EPOCH, level=0),
        [(socket.SOL_SOCKET, SO_TIMESTAMPNS, b"12345678")],
    ],
    ids=["none", "another kind", "another level", "another size"],
)
def test_without_a_stamp_the_user_clock_is_used(
    clock: Clock, ancillary: list[tuple[int, int, bytes]]
) -> None:
    """As on another system; nothing is rejected."""
    assert (clock.arrived(ancillary, 0, 77), facts(clock)) == (77, (1, 1, 0))


def test_a_step_of_the_wall_clock_gives_no_wrong_time(clock: Clock, clocks: Clocks) -> None:
    """An hour ahead: the stamps around it are dropped, those after it are right again."""
    clocks.now += RENEW_NS + 1
    clocks.ahead += 3600 * SECOND
    around = clock.arrived(stamp(clocks.real() - 1_000), 0, clocks.now)
    clocks.now += 5_000
    later = clock.arrived(stamp(clocks.real() - 2_000), 0, clocks.now)

    assert (around, later) == (clocks.now - 5_000, clocks.now - 2_000)
    assert clock.drain().clock_steps == 1


def test_a_step_is_told_once(clock: Clock, clocks: Clocks) -> None:
    """To the first that asks."""
    clocks.now += RENEW_NS + 1
    clocks.ahead += STEP_NS + 1
    clock.arrived(stamp(clocks.real()), 0, clocks.now)

    assert [clock.drain().clock_steps, clock.drain().clock_steps] == [1, 0]


def test_slewing_is_followed(clock: Clock, clocks: Clocks) -> None:
    """A small change of the offset is no step."""
    clocks.now += RENEW_NS + 1
    clocks.ahead += STEP_NS
    at = clock.arrived(stamp(clocks.real() - 1_000), 0, clocks.now)
    clocks.now += 1_000
    later = clock.arrived(stamp(clocks.real() - 500), 0, clocks.now)

    assert (at, later, clock.drain().clock_steps) == (clocks.now - 2_000, clocks.now - 500, 0)


def test_the_tightest_bracket_counts() -> None:
    """A reading that was interrupted says little about the offset."""
    times: Iterator[int] = iter([0, 9_000, 10_000, 10_100, 20_000, 25_000])
    reals: Iterator[int] = iter([100_000, 110_050, 100_000])
    offset = Offset(lambda: next(times), lambda: next(reals))

    assert offset.monotonic(100_500, 10_200) == 500


def test_draining_begins_anew(clock: Clock, clocks: Clocks) -> None:
    """Each run has its own counts."""
    clock.arrived(stamp(clocks.real() - 1_000), 0, clocks.now)
    first, second = clock.drain(), clock.drain()

    assert ((first.reads, first.lateness.n), (second.reads, second.lateness.n)) == ((1, 1), (0, 0))


def test_a_socket_that_takes_no_wish_has_no_stamps() -> None:
    """The option does not exist, or the socket is gone."""
    sock = socket.socket()
    sock.close()

    assert ask_for_stamps(sock) is False


def test_what_came_to_an_idle_user_is_not_late(clock: Clock, clocks: Clocks) -> None:
    """A ping that lay there between two messages says nothing about the generator."""
    clock.arrived(stamp(clocks.real() - 3_000_000), 0, clocks.now, awaited=False)
    clock.arrived(stamp(clocks.real() - 2_000_000), 0, clocks.now)

    assert clock.lateness.n == 1
    assert clock.lateness.max == 2_000_000
