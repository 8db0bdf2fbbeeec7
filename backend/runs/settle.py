"""How the end of a run reaches the database, and what happens while it cannot.

commit     the row, both messages and the attempts in one transaction, tried again while the storage is busy
unsettled  that failed: the run ends INTERRUPTED with `storage_unavailable`, told at once; the row follows
           when a later sweep can write it (or the next process finds the expired lease)
"""

from __future__ import annotations

from collections import deque

import anyio

from backend import telemetry
from backend.errors import ErrorCode, Problem
from backend.runs.order import Outcome
from backend.runs.record import RunRecord
from backend.storage import runs as rows
from backend.storage.models import RunStatus
from backend.storage.session import Database, StorageUnavailable, retrying


class Settlement:
    def __init__(self, database: Database, deadline_s: float) -> None:
        self._database = database
        self._deadline_s = deadline_s
        self._unsettled: deque[rows.Ending] = deque()

    async def mark_running(self, record: RunRecord) -> None:
        """QUEUED -> RUNNING; raises the problem of a run that somebody else has ended."""
        times = record.times
        started_at = times.moment(times.started_ns) or times.queued_at
        moved = await self._database.write(
            lambda connection: rows.mark_running(connection, record.admitted.execution_id, started_at)
        )
        if not moved:
            telemetry.run_transition_conflicts_total.inc()
            raise Problem(ErrorCode.SERVER_SHUTDOWN)

    async def commit(self, record: RunRecord, outcome: Outcome) -> Outcome:
        """Stores the end. Returns what is true then: another end if storage failed or somebody was first."""
        stored = await self._store(record.ending(outcome))
        if stored is None:
            outcome = Outcome.failed(Problem(ErrorCode.STORAGE_UNAVAILABLE), outcome.usage)
            self._unsettled.append(record.ending(outcome))
            telemetry.runs_unsettled.set(len(self._unsettled))
        elif stored is not outcome.status:
            telemetry.run_transition_conflicts_total.inc()
            outcome = Outcome(stored, outcome.usage, Problem(ErrorCode.SERVER_SHUTDOWN))
        return outcome

    async def _store(self, ending: rows.Ending) -> RunStatus | None:
        """The stored status, or None if nothing could be written in time."""
        try:
            # Against cancellation from outside; each transaction inside is bounded and cannot be cut in two.
            with anyio.fail_after(self._deadline_s, shield=True):
                return await retrying(lambda: self._write(ending))
        except StorageUnavailable:  # D3 D5
            return None
        except TimeoutError:
            return None

    def unsettled(self) -> list[str]:
        """The runs that are told to be over, and are not stored so. Any thread may ask."""
        return [ending.execution_id for ending in tuple(self._unsettled)]

    async def settle_rest(self) -> None:
        """Writes what could not be written before, oldest first; stops at the first failure."""
        while self._unsettled:
            await self._write(self._unsettled[0])
            self._unsettled.popleft()
            telemetry.runs_unsettled.set(len(self._unsettled))

    async def _write(self, ending: rows.Ending) -> RunStatus:
        return await self._database.write(lambda connection: rows.finish(connection, ending))
