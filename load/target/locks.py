"""The process that locks the database of a target that we start: `load.faults.database`, while it is needed.

Like the provider it belongs to the instrument: what it does wrong is never booked on the target.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

from load.errors import InvalidRun, TargetDown
from load.target.child import Child
from load.target.config import ROOT

READY_TIMEOUT_S: Final = 15.0
STOP_TIMEOUT_S: Final = 3.0
ANSWER_TIMEOUT_S: Final = 15.0
"""It waits up to 10 s for whoever holds what it wants."""


class Locks:
    """One such process; its end is the end of the block."""

    def __init__(self, folder: Path, database_url: str) -> None:
        """Leaves `database.log` in `folder`. Raises `InvalidRun` when it does not become ready."""
        try:
            self._child = Child(
                "the process that locks the database",
                [sys.executable, "-m", "load.faults.database", "--url", database_url, "serve", "--port", "0"],
                log=folder.resolve() / "database.log",
                cwd=ROOT,
                env=os.environ,
            )
            self._url = urlsplit(str(self._child.ready_line(READY_TIMEOUT_S)["listening"]))
        except TargetDown as down:
            raise InvalidRun(str(down)) from down
        self._child.mark_ready()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.stop(STOP_TIMEOUT_S)

    def lock(self, at_most_s: float) -> int:
        """Keeps writers out; the time at which that began, monotonic ns."""
        return self._ask("/lock", {"seconds": at_most_s})

    def unlock(self) -> int:
        """Lets writers in again; the time directly behind it."""
        return self._ask("/unlock", {})

    def _ask(self, path: str, body: dict[str, object]) -> int:
        connection = http.client.HTTPConnection(
            self._url.hostname or "", self._url.port, timeout=ANSWER_TIMEOUT_S
        )
        try:
            connection.request("POST", path, json.dumps(body))
            response = connection.getresponse()
            answer: dict[str, Any] = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise InvalidRun(f"the database could not be locked: {type(error).__name__}") from error
        finally:
            connection.close()
        if response.status != 200:
            raise InvalidRun(f"the database could not be locked: {answer.get('error')}")
        return int(answer["since_ns"])
