"""The scripted provider behind a target that we start: started before it, stopped after it.

It belongs to the instrument: what it does wrong, its death included, is never booked on the target.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Final

from load.errors import InvalidRun, TargetDown
from load.target.child import Child, Death
from load.target.config import ROOT
from load.target.journal import PAGE, Journal, read_journal

READY_TIMEOUT_S: Final = 15.0
STOP_TIMEOUT_S: Final = 3.0


class Provider:
    """A running one. url: of the process; `closed_url`: where nothing listens as long as this one runs."""

    def __init__(self, folder: Path) -> None:
        """Leaves `provider.log` in `folder`. Raises `InvalidRun` when it does not become ready."""
        # Bound and never listening: a connect is refused, and nobody else can get the port.
        self._closed = socket.socket()
        self._closed.bind(("127.0.0.1", 0))
        self.closed_url = f"http://127.0.0.1:{self._closed.getsockname()[1]}"
        try:
            self._child = Child(
                "the scripted provider",
                [sys.executable, "-m", "load.faults.upstream", "--port", "0"],
                log=folder.resolve() / "provider.log",
                cwd=ROOT,
                env=os.environ,
            )
            self.url = str(self._child.ready_line(READY_TIMEOUT_S)["listening"])
        except TargetDown as down:
            self._closed.close()
            raise InvalidRun(str(down)) from down
        self._child.mark_ready()

    @property
    def pid(self) -> int:
        return self._child.pid

    def death(self) -> Death | None:
        """Not None once it has ended by itself."""
        return self._child.death()

    def end(self, folder: Path, page: int = PAGE) -> Journal:
        """Its journal, kept in `folder`; then it is stopped. Raises `InvalidRun` when it cannot be read."""
        try:
            return read_journal(self.url, folder / "journal.jsonl.gz", page)
        finally:
            self.stop()

    def stop(self) -> None:
        """May be called again."""
        self._child.stop(STOP_TIMEOUT_S)
        self._closed.close()
