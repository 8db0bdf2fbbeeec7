"""The fault proxy as a process of its own, and a way to ask it."""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from integration.timing import PATIENCE_S
from load.target.child import Child

ROOT = Path(__file__).parents[1]


class Proxy:
    """address: where clients connect, `HOST:PORT`."""

    def __init__(self, child: Child, ready: dict[str, object]) -> None:
        self.child = child
        self.address = str(ready["listening"])
        self._admin = str(ready["admin"])
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ask(self, path: str, **body: object) -> Any:
        """POST with a body, GET without; raises HTTPError when it is refused."""
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(self._admin + path, data)
        with self._opener.open(request, timeout=PATIENCE_S) as answer:
            return json.load(answer)

    def planted(self) -> list[dict[str, Any]]:
        """The journal."""
        entries: list[dict[str, Any]] = self.ask("/journal")["planted"]
        return entries


@contextmanager
def proxied(folder: Path, *arguments: str) -> Iterator[Proxy]:
    """A running proxy; its target may be told later, with a plan."""
    argv = [sys.executable, "-m", "load.faults.proxy", *arguments]
    if "--to" not in arguments:
        argv += ["--to", "127.0.0.1:9"]
    child = Child("proxy", argv, log=folder / "proxy.log", cwd=ROOT, env=os.environ)
    try:
        yield Proxy(child, child.ready_line(PATIENCE_S))
    finally:
        child.stop(5)
