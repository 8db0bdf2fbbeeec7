"""What an app offers, as JSON: its OpenAPI document and its WebSocket paths. Run by path, never imported.

    python routes.py shop.api:app ../shop

Needs the standard library alone; the app may be any ASGI app that can be imported there. What an app does not
tell (no OpenAPI, no routes) is null or empty. Exit 64: it cannot be imported, one line says why.
"""

from __future__ import annotations

import importlib
import inspect
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CANNOT = 64


def main(name: str, app_dir: str) -> int:
    """Prints one JSON object as the last line."""
    here = str(Path(__file__).resolve().parent)
    sys.path[:] = [app_dir, *(path for path in sys.path if path != here)]
    module_name, _, attribute = name.removesuffix("()").partition(":")
    try:
        app: Any = importlib.import_module(module_name)
        for part in attribute.split("."):
            app = getattr(app, part)
        if name.endswith("()") or is_factory(app):
            app = app()
    except Exception as error:  # noqa: BLE001  # whatever an app raises when it is imported
        print(f"{name} cannot be imported from {app_dir}: {type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201
        return CANNOT
    openapi = getattr(app, "openapi", None)
    found = {"openapi": openapi() if callable(openapi) else None, "websockets": sorted(set(websockets(app)))}
    print(json.dumps(found))  # noqa: T201
    return 0


def is_factory(app: Any) -> bool:
    """A plain function of no parameters that must be given; an ASGI app takes three."""
    if not inspect.isfunction(app):
        return False
    needed = [p for p in inspect.signature(app).parameters.values() if p.default is p.empty]
    return not needed


def websockets(app: Any, prefix: str = "") -> Iterator[str]:
    """Paths of Starlette's WebSocket routes, mounted ones too."""
    for route in getattr(app, "routes", ()):
        path = prefix + getattr(route, "path", "")
        kind = type(route).__name__
        if kind.endswith("WebSocketRoute"):
            yield path
        elif kind == "Mount":
            yield from websockets(route.app, path)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
