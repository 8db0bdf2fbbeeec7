"""The configured target: which app to start, with what, and what to measure of it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

CoverageMode = Literal["auto", "branch", "off"]
"""`auto`: lines, by the cheapest core that is right for the target's Python; `branch`: arcs too, by the C
tracer; `off`: no coverage."""

ROOT = Path(__file__).resolve().parents[2]
"""The checkout this instrument lies in; the bundled backend is its neighbour."""


@dataclass(frozen=True, slots=True)
class TargetConfig:
    """What `launch` starts. `{scratch}` in `env` and `setup` becomes a folder of this launch alone."""

    app: str
    """`module:attribute`; a callable without required parameters is a factory."""
    app_dir: Path
    """Working directory and first entry of the import path of the target."""
    server: str | None = None
    """`module:make`, called with the wrapped app, gives an object with a blocking `run()` that prints the
    ready line; None: uvicorn on a free port."""
    python: Path = field(default_factory=lambda: Path(sys.executable))
    """Another interpreter needs coverage and uvicorn."""
    env: Mapping[str, str] = field(default_factory=dict)
    setup: tuple[tuple[str, ...], ...] = ()
    """Commands run before the start, in order; `python` as the first word is the target's interpreter."""
    ready: str | None = None
    """Path that answers 200 once the target can be measured; None: as soon as it listens."""
    source: tuple[str, ...] = ()
    """Packages whose lines are measured; empty: the top-level package of `app`."""
    coverage: CoverageMode = "auto"
    workers: int = 1
    drop_env: tuple[str, ...] = ()
    """Prefixes of inherited variables that the target must not see: its settings come from `env` alone."""
    ready_timeout_s: float = 30.0


def bundled(
    users: int, env: Mapping[str, str], *, app_dir: Path = ROOT, coverage: CoverageMode = "auto"
) -> TargetConfig:
    """The backend of this repository on a fresh SQLite database with `users` demo users.

    `env` overrides the defaults; `app_dir` may be another checkout of it. The second set-up command prints
    the demo's ids and tokens as one JSON object (`Target.setup_output[1]`).
    """
    defaults = {
        "BACKEND_DATABASE_URL": "sqlite+aiosqlite:///{scratch}/backend.db",
        "BACKEND_HOST": "127.0.0.1",
        "BACKEND_PORT": "0",
    }
    return TargetConfig(
        app="backend.app:create_app",
        app_dir=app_dir,
        server="backend.server:make_server",
        env=defaults | dict(env),
        setup=(
            ("python", "-m", "backend", "migrate"),
            ("python", "-m", "backend", "demo", "--users", str(users), "--json"),
        ),
        ready="/health/ready",
        source=("backend",),
        coverage=coverage,
        drop_env=("BACKEND_",),
    )
