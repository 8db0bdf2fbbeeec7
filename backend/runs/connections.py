"""The open connections of the process: how many there may be, and who is told of a shutdown."""

from __future__ import annotations

import resource
from typing import Protocol

from backend import telemetry
from backend.errors import ErrorCode, Problem
from backend.runs.limits import Held

log = telemetry.logger(__name__)

# Descriptors kept for everything that is not a WebSocket: database, logs, HTTP requests, providers.
RESERVED_DESCRIPTORS = 128


class Connection(Protocol):
    """What a shutdown needs of a connection."""

    @property
    def user_id(self) -> str: ...

    async def going_away(self, drain_ms: int) -> None: ...

    async def restart(self) -> None:
        """Closes with 1012."""


class Connections:
    def __init__(self, limit: int, per_user: int) -> None:
        self.cap = _fitting(limit)
        self._per_user = Held(per_user)
        self._admitted = 0
        self._open: set[Connection] = set()

    def admit(self, user_id: str) -> None:
        """Counts a handshake in, to be given back once; raises `connection_limit` or `capacity`."""
        if not self._per_user.take(user_id):
            raise Problem(  # H9
                ErrorCode.CONNECTION_LIMIT, f"{self._per_user.limit} connections of one user at once"
            )
        if self._admitted >= self.cap:
            self._per_user.give_back(user_id)
            raise Problem(ErrorCode.CAPACITY, f"{self.cap} connections at once")  # S7
        self._admitted += 1

    def give_back(self, user_id: str) -> None:
        self._admitted -= 1
        self._per_user.give_back(user_id)

    def add(self, connection: Connection) -> None:
        self._open.add(connection)
        telemetry.ws_connections.set(len(self._open))

    def remove(self, connection: Connection) -> None:
        self._open.discard(connection)
        telemetry.ws_connections.set(len(self._open))

    def open(self) -> list[Connection]:
        return list(self._open)


def _fitting(limit: int) -> int:
    """The limit, or less if the process may not have that many descriptors."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or limit + RESERVED_DESCRIPTORS <= soft:
        return limit
    cap = max(1, soft - RESERVED_DESCRIPTORS)
    log.warning("connection_cap_lowered", extra={"wanted": limit, "cap": cap, "descriptors": soft})  # S7
    return cap
