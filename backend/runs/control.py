"""Who steers a run: the connection it belongs to at this moment, and nobody else.

held   one controller; another one that takes it supersedes it
free   the controller was lost; whoever takes the run becomes it
"""

from __future__ import annotations

from typing import Protocol

import anyio


class Controller(Protocol):
    """A connection, or a request that waits for its answer."""

    def superseded(self) -> None:
        """Another one took the run; must not block."""
        ...


class Control:
    __slots__ = ("_holder", "_taken")

    def __init__(self) -> None:
        self._holder: Controller | None = None
        self._taken = anyio.Event()

    @property
    def held(self) -> bool:
        return self._holder is not None

    def take(self, controller: Controller) -> None:
        before, self._holder = self._holder, controller
        self._taken.set()
        if before is not None and before is not controller:
            before.superseded()

    def leave(self, controller: Controller) -> bool:
        """Whether the run is free now: not if this one had been superseded."""
        if self._holder is not controller:
            return False
        self._holder = None
        self._taken = anyio.Event()
        return True

    async def wait_taken(self) -> None:
        await self._taken.wait()
