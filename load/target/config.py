"""The configured target: which app or command to start, with what, and what to measure of it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal, get_args

from load.configuration import Configuration, read_configuration
from load.errors import UsageError
from load.target.places import check_places

CoverageMode = Literal["auto", "branch", "off"]
"""`auto`: lines, by the cheapest core that is right for the target's Python; `branch`: arcs too, by the C
tracer; `off`: no coverage."""

ROOT: Final = Path(__file__).resolve().parents[2]
"""The checkout this instrument lies in; the bundled backend is its neighbour."""

MODES: Final = get_args(CoverageMode)


@dataclass(frozen=True, slots=True)
class TargetConfig:
    """What `launch` starts: an `app`, or a `command` for what Python cannot import. The places of
    `load.target.places` in `env`, `setup` and `command` are filled at each launch."""

    app: str
    """`module:attribute`; a callable without required parameters is a factory. Empty with a `command`."""
    app_dir: Path
    """Working directory and first entry of the import path of the target."""
    command: tuple[str, ...] = ()
    """A server that listens on `{port}`; its lines cannot be measured."""
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
    probes: bool = True
    """Count error paths, with or without coverage."""
    workers: int = 1
    drop_env: tuple[str, ...] = ()
    """Prefixes of inherited variables that the target must not see: its settings come from `env` alone."""
    ready_timeout_s: float = 30.0

    @property
    def asks_upstream(self) -> bool:
        """Whether it is pointed at the scripted provider."""
        texts = [*self.env.values(), *self.command, *(word for command in self.setup for word in command)]
        return any("{upstream}" in text for text in texts)


def configured_target(configuration: Configuration) -> TargetConfig:
    """The target that a file describes.

    Raises UsageError in one line: the file, the key, what is possible.
    """
    table, where = configuration.table, configuration.where
    app, command = table.text("app", ""), _words(table.values.get("command", ()), f"{where}: command")
    if bool(app) == bool(command):
        what = "both app and command" if app else "neither app nor command"
        raise UsageError(f'{where}: {what}; name one, for example app = "shop.api:app"')
    if app and ":" not in app:
        raise UsageError(f'{where}: app = "{app}" must read module:attribute, for example "{app}:app"')
    app_dir = (configuration.folder / table.text("app_dir", ".")).resolve()
    if not app_dir.is_dir():
        raise UsageError(f"{where}: app_dir = {str(app_dir)!r}: no such folder")
    env = _env(table.values.get("env", {}), f"{where}: env")
    setup = table.values.get("setup", [])
    if not isinstance(setup, list):
        raise UsageError(f'{where}: setup must be a list of commands, [["python", "-m", "shop.migrate"]]')
    python = table.text("python", "")
    return TargetConfig(
        app=app,
        app_dir=app_dir,
        command=command,
        server=table.text("server", "") or None,
        python=_interpreter(configuration, python) if python else Path(sys.executable),
        env=env,
        setup=tuple(_words(one, f"{where}: setup {n}") for n, one in enumerate(setup, 1)),
        ready=table.text("ready", "") or None,
        source=_words(table.values.get("source", ()), f"{where}: source"),
        coverage="off" if command else "auto",
        workers=table.count("workers", 1),
        drop_env=_words(table.values.get("drop_env", ()), f"{where}: drop_env"),
        ready_timeout_s=float(table.count("ready_timeout_s", 30)),
    )


def bundled(
    users: int, env: Mapping[str, str], *, app_dir: Path = ROOT, coverage: CoverageMode = "auto"
) -> TargetConfig:
    """The backend of this repository, as its own pyproject.toml configures it, with `users` demo users.

    `env` overrides the file's; `app_dir` may be another checkout of it. The second set-up command prints
    the demo's ids and tokens as one JSON object (`Target.setup_output[1]`).
    """
    config = configured_target(read_configuration(ROOT / "pyproject.toml"))
    setup = tuple(tuple(word.replace("{users}", str(users)) for word in command) for command in config.setup)
    return replace(config, app_dir=app_dir, env={**config.env, **env}, setup=setup, coverage=coverage)


def _interpreter(configuration: Configuration, name: str) -> Path:
    # Not resolved: an environment's python is a link, and what it links to is another environment.
    python = configuration.folder / name
    if not python.is_file():
        raise UsageError(f"{configuration.where}: python = {name!r}: no such file in {configuration.folder}")
    return python


def _env(value: object, where: str) -> dict[str, str]:
    if not isinstance(value, dict):
        raise UsageError(f"{where} must be a table of texts")
    for name, text in value.items():
        if not isinstance(text, str):
            raise UsageError(f"{where}.{name} must be a text, in quotes")
        check_places(text, f"{where}.{name}")
    return dict(value)


def _words(value: object, where: str) -> tuple[str, ...]:
    words = value.split() if isinstance(value, str) else value
    if not isinstance(words, list | tuple) or not all(isinstance(word, str) for word in words):
        raise UsageError(f"{where} must be a text, or a list of texts")
    for word in words:
        check_places(word, where)
    return tuple(words)
