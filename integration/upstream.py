"""The scripted provider as a process of its own, and what a test says to it and reads in its journal."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import httpx2

from integration.timing import PATIENCE_S, eventually
from load.target.child import Child

ROOT = Path(__file__).parents[1]

Script: TypeAlias = list[list[Any]]
Entry: TypeAlias = dict[str, Any]
"""One request, as the journal tells it."""


class Upstream:
    """url: of the process; a provider's base URL is `base_url`."""

    def __init__(self, url: str, http: httpx2.Client) -> None:
        self.url = url
        self.base_url = f"{url}/v1"
        self.http = http

    @property
    def settings(self) -> dict[str, str]:
        """Of a backend that asks it, and nobody else."""
        entry = {"name": "main", "base_url": self.base_url, "models": ["script:*", "sim:*"]}
        return {"BACKEND_PROVIDERS": json.dumps([entry])}

    def put(self, name: str, *scripts: Script) -> str:
        """Request n for this name is answered by script n, the last again and again. Gives the model."""
        response = self.http.put(f"/__admin/scripts/{name}", json=scripts)
        assert response.status_code == 200, response.text
        return f"script:{name}"

    def journal(self, name: str) -> list[Entry]:
        """The requests of a script or model, oldest first."""
        entries: list[Entry] = self.http.get("/__admin/journal", params={"id": name}).json()
        return entries

    def ended(self, name: str, requests: int) -> list[Entry]:
        """The journal once each request is over, and there are that many."""

        def look() -> tuple[list[Entry]] | None:
            entries = self.journal(name)
            over = len(entries) >= requests and all(entry["ended"] for entry in entries)
            return (entries,) if over else None

        found = eventually(look, f"the end of {requests} requests for {name}")
        assert found is not None
        return found[0]

    def open_streams(self) -> int:
        number: int = self.http.get("/__admin/stats").json()["open_streams"]
        return number


@contextmanager
def scripted(folder: Path) -> Iterator[Upstream]:
    """A running one."""
    argv = [sys.executable, "-m", "load.faults.upstream"]
    child = Child("upstream", argv, log=folder / "upstream.log", cwd=ROOT, env=os.environ)
    try:
        url = str(child.ready_line(PATIENCE_S)["listening"])
        with httpx2.Client(base_url=url, timeout=PATIENCE_S, trust_env=False) as http:
            yield Upstream(url, http)
    finally:
        child.stop(5)
