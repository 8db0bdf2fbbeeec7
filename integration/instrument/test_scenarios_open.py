"""The pool of open load, without a Locust."""

from __future__ import annotations

import time

import gevent

from load.scenarios.open import Pool, feed

MS = 1_000_000


def test_an_arrival_goes_to_whoever_has_been_free_for_longest() -> None:
    """One after the other; the third finds nobody."""
    pool = Pool()
    users = [gevent.spawn(pool.take) for _ in range(2)]
    gevent.sleep(0)
    handed = [pool.hand(at) for at in (1, 2, 3)]
    gevent.joinall(users)

    assert (handed, [user.value for user in users]) == ([True, True, False], [1, 2])


def test_at_the_end_everybody_goes() -> None:
    """Who waits, and who comes later."""
    pool = Pool()
    user = gevent.spawn(pool.take)
    gevent.sleep(0)
    pool.close()
    user.join()

    assert (user.value, pool.take(), pool.hand(1)) == (None, None, False)


def test_who_was_stopped_is_not_free() -> None:
    """Nothing is handed to nobody."""
    pool = Pool()
    user = gevent.spawn(pool.take)
    gevent.sleep(0)
    user.kill()

    assert pool.hand(1) is False


def test_arrivals_come_when_they_are_due() -> None:
    """Never before; what is overdue comes at once, and each finds a user or is missed."""
    pool = Pool()
    seen: list[tuple[int, bool]] = []
    missed: list[int] = []

    def user() -> None:
        while (intended := pool.take()) is not None:
            seen.append((intended, time.perf_counter_ns() >= intended))
            gevent.sleep(0.01)

    greenlets = [gevent.spawn(user) for _ in range(2)]
    gevent.sleep(0)
    now = time.perf_counter_ns()
    starts = [now - 3 * MS, now - 2 * MS, now - MS, now + 100 * MS]
    feed(pool, iter(starts), missed.append)
    gevent.sleep(0)
    pool.close()
    gevent.joinall(greenlets)

    assert seen == [(starts[0], True), (starts[1], True), (starts[3], True)]
    assert missed == [starts[2]]
