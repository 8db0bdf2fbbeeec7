"""Who waits for the reads of a stream: the caller, or in a run of Locust the loop, for all of them.

A read that has to be waited for by its own greenlet is tried, fails, and is tried again, with two switches
around it; that costs more than the read.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Final, TypeAlias

Step: TypeAlias = Callable[[], bool]
"""One read and what it brings; whether another is wanted. Raises what ends it all."""

Follow: TypeAlias = Callable[[socket.socket, Step], None]
"""Takes one step after the other, each as soon as the socket has something."""


def by_itself(_: socket.socket, step: Step) -> None:
    """The socket blocks."""
    while step():
        pass


class Waiting:
    """How the drivers of this process wait; `load.loop` has another way."""

    __slots__ = ("follow",)

    def __init__(self) -> None:
        self.follow: Follow = by_itself


WAITING: Final = Waiting()
