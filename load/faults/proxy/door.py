"""The listening socket: open, gone, or there without an answer."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final, Literal, TypeAlias

from load.faults.proxy.refused import Refused
from load.faults.proxy.shared import Address

BACKLOG: Final = 512
FILLERS: Final = 4
"""So many connects fill the queue of a listener that wants none; further ones get no answer."""

Condition: TypeAlias = Literal["open", "refuse", "unanswered"]


class Door:
    """Accepts for `admit`. address: with the port that was found."""

    def __init__(self, address: Address, admit: Callable[[socket.socket], None]) -> None:
        self._family, wanted = address
        if isinstance(wanted, str):
            raise Refused("it listens on TCP only")
        self.address: tuple[str, int] = wanted
        self._admit = admit
        self._condition: Condition | None = None
        self._listener: socket.socket | None = None
        self._fillers: list[socket.socket] = []
        self._accepting: asyncio.Task[None] | None = None

    def set(self, condition: Condition) -> None:
        """Changes over. Raises OSError when the port is taken."""
        if condition == self._condition:
            return
        self.close()
        self._condition = condition
        if condition == "refuse":
            return
        self._listener = listener = socket.socket(self._family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)
        listener.bind(self.address)
        host, port = listener.getsockname()[:2]
        self.address = (host, port)
        if condition == "open":
            listener.listen(BACKLOG)
            self._accepting = asyncio.create_task(self._accept(listener))
            return
        listener.listen(0)
        for _ in range(FILLERS):
            filler = socket.socket(self._family)
            filler.setblocking(False)
            filler.connect_ex(self.address)
            self._fillers.append(filler)

    def close(self) -> None:
        """Nobody listens any more."""
        if self._accepting is not None:
            self._accepting.cancel()
            self._accepting = None
        for sock in (self._listener, *self._fillers):
            if sock is not None:
                sock.close()
        self._listener, self._fillers, self._condition = None, [], None

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, _ = await loop.sock_accept(listener)
            except ConnectionError:
                continue  # gone before it was accepted
            self._admit(client)
