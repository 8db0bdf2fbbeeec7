"""backend/runs/leases.py: the sweep goes on where the database does not."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from backend.runs.leases import Leases
from backend.runs.settle import Settlement
from backend.settings import load_settings
from backend.storage.session import Database
from integration.timing import PATIENCE_S

pytestmark = pytest.mark.anyio


async def test_a_sweep_that_fails_is_told_and_done_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """D5: a database that cannot be opened is a warning, each time, and no end of the sweeping."""
    settings = load_settings().model_copy(update={"database_url": f"sqlite:///{tmp_path}/nowhere/backend.db"})
    database = Database(settings)
    leases = Leases(database, Settlement(database, 1.0), 0.03, list)

    def told() -> list[str]:
        return [record.message for record in caplog.records if record.message.startswith("sweep_")]

    with anyio.fail_after(PATIENCE_S):
        async with anyio.create_task_group() as group:
            group.start_soon(leases.keep)
            while len(told()) < 2:  # noqa: ASYNC110 - a log has no event
                await anyio.sleep(0.01)
            group.cancel_scope.cancel()
    await database.close()

    assert set(told()) == {"sweep_failed"}
