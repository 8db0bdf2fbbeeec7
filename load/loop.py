"""How streams are followed in a run: their reads are called by gevent's loop, one after the other.

Whoever has read its last goes on behind them, one greenlet in each round of the loop: what is to be done at
the end of a stream costs as much as many reads, and streams that began together end together.
"""

from __future__ import annotations

import gc
import inspect
from collections import deque
from collections.abc import Callable
from functools import partial
from socket import socket
from typing import Any, Final

import gevent
from gevent.hub import Waiter

from load.drivers.waiting import WAITING, Step

READABLE: Final = 1
FIRST: Final = 2
"""The highest priority of libev. An idle watcher is passed over while others of its own wait."""

YOUNG: Final = 1_000_000
"""So many objects more than before have to be there until a search for cycles goes through them, at half a
second for a million. Two thousand streams of a hundred chunks have fewer; their drivers leave no cycles."""


class Rounds:
    """Greenlets that go on, one each round."""

    def __init__(self) -> None:
        self._ready: deque[Callable[[], object]] = deque()
        self._idle: Any = None

    def add(self, go_on: Callable[[], object]) -> None:
        """Behind those that wait already."""
        self._ready.append(go_on)
        if self._idle is None:
            self._idle = gevent.get_hub().loop.idle(priority=FIRST)
        if not self._idle.active:
            self._idle.start(self._next)

    def _next(self) -> None:
        go_on = self._ready.popleft()
        if not self._ready:
            self._idle.stop()
        go_on()


ROUNDS: Final = Rounds()


def by_the_loop(sock: socket, step: Step) -> None:
    """As `load.drivers.waiting.by_itself`; `step` must not wait."""
    hub = gevent.get_hub()
    waiter: Waiter[None] = Waiter(hub)
    watcher = hub.loop.io(sock.fileno(), READABLE)

    def read() -> None:
        try:
            if step():
                return
        except BlockingIOError:  # it was read meanwhile, or never there
            return
        except Exception as error:  # noqa: BLE001 - it belongs to whoever follows, not to the loop
            ROUNDS.add(partial(waiter.throw, error))
        else:
            ROUNDS.add(partial(waiter.switch, None))
        watcher.stop()

    sock.settimeout(0)
    watcher.start(read)
    try:
        waiter.get()
    finally:
        watcher.stop()
        watcher.close()
        sock.settimeout(None)


def follow_streams() -> None:
    """From now on, in this process and those that it forks."""
    WAITING.follow = by_the_loop


def settle() -> None:
    """All is there that will stay: no later search for cycles goes through it, or every stream would stop."""
    inspect.stack()  # Locust's stop does so, and the first time it looks at the file of each module
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG)
