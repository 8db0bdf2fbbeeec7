"""Leases: how the runs of a process that died are found and closed.

Each open run has an owner and a time up to which the owner vouches for it. The owner renews that time three
times a lease; whoever sweeps ends the runs whose time is over, but never those that live in its own
process, or ended there and are still to be stored: after a long stop of the process, or of the database,
their leases have expired, and they are not lost.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import anyio
from sqlalchemy import Connection

from backend import telemetry
from backend.runs.settle import Settlement
from backend.storage import runs as rows
from backend.storage.session import Database, StorageUnavailable

log = telemetry.logger(__name__)


class Leases:
    def __init__(
        self, database: Database, settlement: Settlement, ttl_s: float, own: Callable[[], list[str]]
    ) -> None:
        """`own` names the runs that live here; it is asked from the database's thread."""
        self._database = database
        self._settlement = settlement
        self._ttl = timedelta(seconds=ttl_s)
        self._own = own

    async def interrupt_lost(self) -> None:
        """Ends the runs that nobody vouches for any more."""

        def interrupt(connection: Connection) -> int:
            # Asked when it has its turn: until then a run may begin, or end and not be stored.
            own = [*self._own(), *self._settlement.unsettled()]
            return rows.interrupt_expired(connection, telemetry.utc_now(), own)

        lost = await self._database.write(interrupt)
        if lost:
            log.warning("runs_interrupted", extra={"count": lost})  # S4

    async def keep(self) -> None:
        """Settles, renews and sweeps three times a lease, until it is cancelled."""
        while True:
            await anyio.sleep(self._ttl.total_seconds() / 3)
            try:
                await self._sweep()
            except StorageUnavailable:  # D5
                log.warning("sweep_failed")
            except Exception:
                log.exception("sweep_broke")  # the next one may succeed; the runs must not suffer

    async def _sweep(self) -> None:
        await self._settlement.settle_rest()
        if self._own():
            until = telemetry.utc_now() + self._ttl
            await self._database.write(lambda connection: rows.renew_leases(connection, self._own(), until))
        await self.interrupt_lost()
