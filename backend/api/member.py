"""Who stands behind a connection, what it was admitted by, and whether that still holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import anyio

from backend import telemetry
from backend.api.client_frames import Cancel, Chat
from backend.api.handshake import PROTOCOL
from backend.errors import ErrorCode, Problem
from backend.runs.manager import Runs
from backend.runs.order import Order
from backend.storage import turns
from backend.storage.executions import Execution, get_execution
from backend.storage.models import Transport
from backend.storage.session import Database, StorageUnavailable
from backend.storage.users import Viewer

log = telemetry.logger(__name__)

# A wake-up that is early by the granularity of a timer must not spin.
_LEAST_WAIT_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Member:
    runs: Runs
    database: Database
    viewer: Viewer
    agent_id: str
    connection_id: str
    speaks_v1: bool

    def order(self, frame: Chat) -> Order:
        viewer = self.viewer
        return frame.order(self.runs, viewer.user_id, self.agent_id, Transport.WS, token_id=viewer.token_id)

    async def check_token(self) -> None:
        """Raises `auth_expired` if the token is not valid any more."""
        if not (await self._standing()).token_is_valid:
            raise Problem(ErrorCode.AUTH_EXPIRED)  # A5

    async def wait_until_barred(self) -> Problem:
        """Gives the problem of a token that is over, or of an agent that is gone, some time after it is."""
        while True:
            await anyio.sleep(self._next_check_s())
            try:
                standing = await self._standing()
            except StorageUnavailable:
                log.warning("recheck_failed")
                continue
            if not standing.token_is_valid:
                return Problem(ErrorCode.AUTH_EXPIRED)  # A1 A2 A5
            if standing.agent_is_gone:
                return Problem(ErrorCode.NOT_FOUND)

    def _next_check_s(self) -> float:
        wait = timedelta(seconds=self.runs.settings.recheck_interval)
        if self.viewer.expires_at is not None:
            wait = min(wait, self.viewer.expires_at - telemetry.utc_now())
        return max(_LEAST_WAIT_S, wait.total_seconds())

    async def _standing(self) -> turns.Standing:
        return await self.database.read(
            lambda connection: turns.standing(connection, self.viewer.token_id, self.agent_id)
        )

    async def find(self, execution_id: str) -> Execution | None:
        """The member's own run as it is stored."""
        row = await self.database.read(
            lambda connection: get_execution(self.viewer, connection, execution_id)
        )
        return row if row is not None and row.user_id == self.viewer.user_id else None

    async def has_run(self, frame: Cancel) -> bool:
        return frame.execution_id is not None and await self.find(frame.execution_id) is not None

    def ready(self) -> dict[str, object]:
        settings = self.runs.settings
        return {
            "type": "ready",
            "protocol": PROTOCOL,
            "connection_id": self.connection_id,
            "agent_id": self.agent_id,
            "server_time": telemetry.wire_time(telemetry.utc_now()),
            "heartbeat_ms": round(settings.heartbeat_interval * 1000),
            "limits": {
                "message_bytes": settings.ws_max_message_bytes,
                "message_chars": settings.message_max_chars,
                "frames_per_sec": settings.ws_frames_per_sec,
                "messages_per_min": settings.rate_messages_per_min,
            },
            "auth_expires_at": telemetry.wire_time(self.viewer.expires_at),
        }
