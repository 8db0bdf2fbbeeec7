"""Starts a target as its configuration says, waits until it answers, and ends it with its data kept.

Everything here blocks and is plain Python; under Locust the monkey-patched library makes it cooperative.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from load.errors import TargetDown, UsageError
from load.target.child import Child, Death
from load.target.config import TargetConfig
from load.target.places import filled
from load.target.ready import wait_listening, wait_ready

INSIDE = Path(__file__).with_name("inside.py")
SETUP_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 15.0
"""A draining backend may take 12 s (its drain and 2 s)."""
Kept = Literal["complete", "last save", "none", "off"]


@dataclass(frozen=True, slots=True)
class CoverageSetting:
    """What really runs in the target, not what was asked for."""

    core: str
    """`sysmon`, `ctrace`, or `-` without coverage."""
    python: str
    mode: str
    """`lines`, `branch` or `off`."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """How a target ended that was stopped."""

    returncode: int
    signal: str | None
    took_s: float
    forced: bool
    coverage_kept: Kept
    """`last save`: it was killed, up to 2 s of lines and all shutdown paths are missing."""


class Target:
    """A running target; `launch` makes it."""

    def __init__(
        self,
        child: Child,
        url: str,
        *,
        app: str,
        scratch: Path,
        env: Mapping[str, str],
        setup_output: tuple[str, ...],
        part: Path,
    ) -> None:
        self.url = url
        self.app = app
        """What was started, as the configuration names it."""
        self.scratch = scratch
        self.env = env
        """The configured part of its environment, `{scratch}` resolved."""
        self.setup_output = setup_output
        """Standard output of each set-up command."""
        self.part = part
        """Its coverage data, for `parts.write_coverage_json`. A command leaves none."""
        self._child = child
        facts = self.facts()
        self.coverage = CoverageSetting(facts["core"], facts["python"], facts["mode"])

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def log(self) -> Path:
        return self._child.log

    @property
    def database_url(self) -> str | None:
        """The database the bundled backend was given; None for other targets."""
        return self.env.get("BACKEND_DATABASE_URL")

    def facts(self) -> dict[str, Any]:
        """What the target last wrote about itself (every 2 s and at its end), `cpu_s` among it."""
        if not facts_of(self.part).exists():
            return {"core": "-", "python": "-", "mode": "off"}
        found: dict[str, Any] = json.loads(facts_of(self.part).read_text())
        return found

    def death(self) -> Death | None:
        """Not None once the target has ended by itself; look often, the time is that of the first look."""
        return self._child.death()

    def tail(self, lines: int) -> tuple[str, ...]:
        return self._child.tail(lines)

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> Stopped:
        """Lets it drain, then insists; may be called again and says the same."""
        ended = self._child.stop(timeout_s)
        kept: Kept = "off"
        if self.coverage.mode != "off":
            if self.facts()["final"]:
                kept = "complete"
            else:
                kept = "last save" if last_save_of(self.part).exists() else "none"
        return Stopped(ended.returncode, ended.signal, ended.took_s, ended.forced, kept)


def launch(
    config: TargetConfig, folder: Path, phase: str, places: Mapping[str, str] = MappingProxyType({})
) -> Target:
    """Starts the target in `folder`; each running target needs a folder of its own.

    A later launch may use the same folder: it finds the same scratch folder and appends to the log. places:
    what the configuration leaves open beside `{scratch}` and `{port}`.

    Leaves `target.log`, `setup-N.log`, `coverage/` and `scratch/` there. Raises `TargetDown` when it does
    not become ready, `UsageError` when what was asked for cannot be done.
    """
    check(config)
    config = in_one_process(config)
    scratch = scratch_of(folder)
    port = free_port()
    places = {**places, "scratch": str(scratch), "port": str(port)}
    env = configured(config, places)
    environment = inherited(config) | env
    setup_output = _set_up(config, folder, environment, places)
    spec = {"app": config.app, "server": config.server, "ready": config.ready}
    argv = tuple(filled(word, places) for word in config.command) or inside(config, folder, phase, spec)
    child = Child(
        "the target", argv, log=folder.resolve() / "target.log", cwd=config.app_dir, env=environment
    )
    try:
        url = wait_listening(child, config, port) if config.command else wait_ready(child, config)
        part = part_of(folder, phase, child.pid)
        return Target(
            child,
            url,
            app=config.app or " ".join(config.command),
            scratch=scratch,
            env=env,
            setup_output=setup_output,
            part=part,
        )
    except BaseException:
        child.stop(timeout_s=1.0)
        raise


def set_up(
    config: TargetConfig, folder: Path, places: Mapping[str, str] = MappingProxyType({})
) -> tuple[str, ...]:
    """Runs the set-up commands alone, in `folder`; what each said. Raises `TargetDown`."""
    places = {**places, "scratch": str(scratch_of(folder))}
    return _set_up(config, folder, inherited(config) | configured(config, places), places)


def _set_up(
    config: TargetConfig, folder: Path, environment: Mapping[str, str], places: Mapping[str, str]
) -> tuple[str, ...]:
    return tuple(
        run_setup(config, command, environment, places, folder / f"setup-{number}.log")
        for number, command in enumerate(config.setup, 1)
    )


def measured_command(
    config: TargetConfig, folder: Path, phase: str, module: str, *args: str
) -> tuple[str, ...]:
    """`python -m module args…` for the target's interpreter, its lines measured like a server's.

    Run it with `environment(config, folder)` in `config.app_dir`; its data lies beside that of the targets
    in `folder`.
    """
    return inside(config, folder, phase, {"module": module, "args": list(args)})


def environment(config: TargetConfig, folder: Path) -> dict[str, str]:
    """The environment a target launched in `folder` runs in."""
    return inherited(config) | configured(config, {"scratch": str(scratch_of(folder))})


def scratch_of(folder: Path) -> Path:
    scratch = folder.resolve() / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    return scratch


def free_port() -> int:
    """One that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def configured(config: TargetConfig, places: Mapping[str, str]) -> dict[str, str]:
    return {name: filled(value, places) for name, value in config.env.items()}


def inherited(config: TargetConfig) -> dict[str, str]:
    """Without what would set up the target behind the configuration's back."""
    dropped = ("COVERAGE_", "COV_CORE_", *config.drop_env)
    return {name: value for name, value in os.environ.items() if not name.startswith(dropped)}


def inside(config: TargetConfig, folder: Path, phase: str, what: Mapping[str, object]) -> tuple[str, ...]:
    source = config.source or (config.app.partition(":")[0].partition(".")[0],)
    spec = {
        "phase": phase,
        "folder": str(folder.resolve() / "coverage"),
        "app_dir": str(config.app_dir.resolve()),
        "source": list(source),
        "coverage": config.coverage,
        "probes": config.probes,
        **what,
    }
    return (str(config.python), str(INSIDE), json.dumps(spec))


def part_of(folder: Path, phase: str, pid: int) -> Path:
    return folder.resolve() / "coverage" / f"{phase}.{pid}"


def facts_of(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def last_save_of(part: Path) -> Path:
    return part.with_name(part.name + ".last")


def check(config: TargetConfig) -> None:
    if not config.app_dir.is_dir():
        raise UsageError(f"there is no folder {config.app_dir} to start the target from; see --app-dir")
    if config.workers == 1 or config.command:
        return
    if config.coverage != "off":
        raise UsageError(
            f"{config.workers} workers cannot be covered: that needs one process; use --coverage off"
        )
    if config.server is not None:
        raise UsageError(f"{config.workers} workers are uvicorn's, and {config.server} is another server")


def in_one_process(config: TargetConfig) -> TargetConfig:
    """The same, unless several workers are asked for: those are a command, of which nothing is measured."""
    if config.workers == 1 or config.command:
        return config
    uvicorn = ("-m", "uvicorn", config.app.removesuffix("()"), "--workers", str(config.workers))
    address = ("--host", "127.0.0.1", "--port", "{port}", "--no-access-log")
    return replace(config, command=(str(config.python), *uvicorn, *address))


def run_setup(
    config: TargetConfig,
    command: Sequence[str],
    env: Mapping[str, str],
    places: Mapping[str, str],
    log: Path,
) -> str:
    """Its standard output. Raises `TargetDown` when it fails."""
    words = [filled(word, places) for word in command]
    if words[0] == "python":
        words[0] = str(config.python)
    shown = " ".join(command)
    try:
        with log.open("wb") as stderr:
            done = subprocess.run(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                cwd=config.app_dir,
                env=dict(env),
                timeout=SETUP_TIMEOUT_S,
                check=False,
            )
    except OSError as error:
        raise TargetDown(f"the set-up command `{shown}` cannot be started: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise TargetDown(f"the set-up command `{shown}` took more than {SETUP_TIMEOUT_S:g} s") from error
    output = done.stdout.decode("utf-8", errors="replace")
    if done.returncode != 0:
        told = log.read_text(errors="replace").splitlines() or output.splitlines() or ["(nothing)"]
        failure = TargetDown(
            f"the set-up command `{shown}` ended with {done.returncode}; the last line of {log}: {told[-1]}"
        )
        for line in told[-20:]:
            failure.add_note(line)
        raise failure
    return output
