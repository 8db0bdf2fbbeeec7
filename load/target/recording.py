"""Inside the measured process: which lines ran, saved every 2 s. Loaded by path, never imports `load`.

| Python | lines | with branches |
|---|---|---|
| 3.12 and later | coverage's `sysmon` | its C tracer, greenlets declared |
| 3.11 | `frames` (see frames.py) | its C tracer: lines after a cancel are lost, H3 tells |

The data is coverage.py's in each case. Leaves `<phase>.<pid>` (complete when `final`), `<phase>.<pid>.last`
(the state of the last periodic save, for a process that was killed), `<phase>.<pid>.json` (what `parts.py`
needs to check and join them) and `<phase>.<pid>.paths.json` (the error paths, see probing.py).
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
import shutil
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from load.target.probes import Probes
    from load.target.probing import Probing

HERE = Path(__file__).resolve().parent
CANARY = "_streamgauge_canary"
SAVE_EVERY_S = 2.0
CORES = {"SysMonitor": "sysmon", "CTracer": "ctrace", "PyTracer": "pytrace"}


class CannotMeasure(Exception):
    """What was asked for is not possible here; the text is one line for the user."""


class Engine(Protocol):
    """Records into the data file; `core` is known once it runs."""

    core: str

    def start(self) -> None: ...

    def stop(self) -> bool:
        """False when it was replaced by another tracer while it ran."""
        ...

    def save(self) -> None: ...


class Recorder:
    """Measures this process from `start` to `finish` and keeps the data whatever happens in between."""

    def __init__(
        self,
        *,
        phase: str,
        folder: str,
        app_dir: str,
        source: list[str],
        mode: str,
        asked: bool,
        probed: bool = False,
    ) -> None:
        """`mode` is `auto`, `branch` or `off`; `asked`: a labelled request will come first; `probed`: count
        error paths, of packages that are imported after `start`."""
        self.app_dir = Path(app_dir)
        self.source = source
        self.mode = mode
        Path(folder).mkdir(parents=True, exist_ok=True)
        self.data_file = Path(folder) / f"{phase}.{os.getpid()}"
        self.requests = 0
        self.selfcheck = False
        """The labelled request of the start-up was seen."""
        self.probes: Probes = neighbour("probes").Probes()
        self._probing: Probing | None = None
        self._probed = probed
        self._canary: ModuleType | None = None
        self._engine: Engine | None = None
        self._done = threading.Event()
        self._saver = threading.Thread(target=self._save_periodically, name="coverage-saver", daemon=True)
        self._facts: dict[str, Any] = {
            "format": 1,
            "phase": phase,
            "pid": os.getpid(),
            "python": platform.python_version(),
            "mode": {"auto": "lines"}.get(mode, mode),
            "core": "-",
            "app_dir": app_dir,
            "source": source,
            "sources": {},
            "changed": [],
            "replaced": False,
            "asked": asked,
            "canary": relative(HERE / "canary.py", self.app_dir),
            "final": False,
        }

    def start(self) -> None:
        """Raises `CannotMeasure` when the right figures cannot be had."""
        measured = self.mode != "off"
        if measured or self._probed:
            self._facts["sources"] = hashes(self.source, self.app_dir)
        if self._probed:
            probing = neighbour("probing")
            sources = self._facts["sources"]
            self._probing = probing.Probing(self.probes, self.source, self.app_dir, sources, neighbour)
        if measured:
            self._engine = self._chosen_engine()
            self._engine.start()
            self._facts["core"] = self._engine.core
        if self._probing is not None:
            self._probing.start()
        if measured or self._probed:
            self._sing()
            self._saver.start()
        self._write_facts()

    def check_label(self) -> None:
        """The labelled request of the start-up is served now: a failure must be counted under its label."""
        self.selfcheck = True
        if self._canary is not None:
            self._canary.cry()

    def finish(self) -> None:
        """Nothing may interrupt this: the data of the whole lifetime is written here."""
        self._done.set()
        self._facts["final"] = True
        if self._saver.is_alive():
            self._saver.join()
        if self._engine is not None:
            self._facts["replaced"] = not self._engine.stop()
            self._engine.save()
            now = hashes(self.source, self.app_dir)
            was = self._facts["sources"]
            self._facts["changed"] = sorted(name for name in was | now if was.get(name) != now.get(name))
        self._write_facts()
        self._write_paths()
        self._last.unlink(missing_ok=True)

    @property
    def _last(self) -> Path:
        return self.data_file.with_name(self.data_file.name + ".last")

    def _chosen_engine(self) -> Engine:
        try:
            import coverage  # noqa: F401 (only whether it is there)
        except ImportError as error:
            raise CannotMeasure(
                f"coverage is not installed for {sys.executable}; install it or use --coverage off"
            ) from error
        if self.mode == "auto" and sys.version_info < (3, 12):
            return FrameEngine(self.data_file, self._facts)
        return CoverageEngine(self.data_file, self._facts)

    def _sing(self) -> None:
        if self._probing is not None:
            canary = self._probing.canary(HERE / "canary.py", CANARY)
        else:
            canary = neighbour("canary", CANARY)
        self._canary = canary
        try:
            from sqlalchemy.util import await_only, greenlet_spawn
        except ImportError:
            canary.sing()
        else:
            canary.sing(greenlet_spawn, await_only)

    def _save_periodically(self) -> None:
        while not self._done.wait(SAVE_EVERY_S):
            if self._engine is not None:
                self._engine.save()
                # Only this thread writes the data file while the app runs: its copy is consistent.
                replace(self._last, lambda temporary: shutil.copyfile(self.data_file, temporary))
            self._write_facts()
            self._write_paths()

    def _write_facts(self) -> None:
        if self._probing is not None:
            self._facts |= self._probing.facts()
        facts = self._facts | {
            "requests": self.requests,
            "selfcheck": self.selfcheck,
            "cpu_s": time.process_time(),
        }
        path = self.data_file.with_name(self.data_file.name + ".json")
        replace(path, lambda temporary: temporary.write_text(json.dumps(facts)))

    def _write_paths(self) -> None:
        if self._probing is None:
            return
        head = json.dumps({name: self._facts[name] for name in ("phase", "pid", "python", "core", "final")})
        text = f"{head[:-1]}, {self._probing.part()[1:]}"
        path = self.data_file.with_name(self.data_file.name + ".paths.json")
        replace(path, lambda temporary: temporary.write_text(text))


class CoverageEngine:
    """coverage.py itself, held to the core that is right here."""

    def __init__(self, data_file: Path, facts: dict[str, Any]) -> None:
        import coverage

        branch = facts["mode"] == "branch"
        self._app_dir = facts["app_dir"]
        self._wanted = "ctrace" if branch else "sysmon"
        # Only the C tracer needs to be told of greenlets, and sysmon silently gives way to it when told.
        packages = [spec for name in facts["source"] if (spec := importlib.util.find_spec(name)) is not None]
        greenlets = branch and importlib.util.find_spec("greenlet") is not None
        self.core = "-"
        self._coverage = coverage.Coverage(
            data_file=str(data_file),
            config_file=False,
            branch=branch,
            # By folder, not by name: migrations run under names of their own.
            source_dirs=[
                folder for package in packages for folder in package.submodule_search_locations or ()
            ],
            source_pkgs=[CANARY, *(p.name for p in packages if p.submodule_search_locations is None)],
            concurrency=["thread", "greenlet"] if greenlets else ["thread"],
            context=facts["phase"],
        )
        self._coverage.set_option("run:core", self._wanted)
        self._coverage.set_option("run:relative_files", True)
        self._coverage.set_option(
            "run:disable_warnings", ["no-sysmon", "module-not-imported", "no-data-collected"]
        )

    def start(self) -> None:
        before = Path.cwd()
        os.chdir(self._app_dir)  # coverage takes relative names from here, and remembers it
        try:
            self._coverage.start()
        finally:
            os.chdir(before)
        self.core = CORES.get(str(dict(self._coverage.sys_info())["core"]), "unknown")
        if self.core != self._wanted:
            self._coverage.stop()
            raise CannotMeasure(
                f"coverage would run with its core {self.core} instead of {self._wanted} on Python"
                f" {platform.python_version()}; use --coverage off"
            )

    def stop(self) -> bool:
        self._coverage.stop()
        return True  # coverage.py warns by itself

    def save(self) -> None:
        self._coverage.save()


class FrameEngine:
    """Our own tracer for 3.11, into coverage.py's data."""

    core = "frames"

    def __init__(self, data_file: Path, facts: dict[str, Any]) -> None:
        import coverage

        app_dir = Path(facts["app_dir"])
        names = {str(app_dir / name): name for name in (*facts["sources"], facts["canary"])}
        self._names = names
        self._data = coverage.CoverageData(str(data_file))
        self._data.set_context(facts["phase"])
        self._tracer = neighbour("frames").FrameTracer(names.__contains__)

    def start(self) -> None:
        self._tracer.start()

    def stop(self) -> bool:
        kept: bool = self._tracer.stop()
        return kept

    def save(self) -> None:
        self._data.add_lines({self._names[file]: lines for file, lines in self._tracer.lines().items()})
        self._data.touch_files(self._names.values())
        self._data.write()


def neighbour(name: str, alias: str = "") -> ModuleType:
    """A file beside this one, under a name that no app has; the same module each time."""
    alias = alias or f"_streamgauge_{name}"
    if alias in sys.modules:
        return sys.modules[alias]
    spec = importlib.util.spec_from_file_location(alias, HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[alias] = module
    spec.loader.exec_module(module)
    return module


def hashes(packages: list[str], app_dir: Path) -> dict[str, str]:
    """SHA-256 of each Python file of the packages, by its name relative to the app's folder."""
    found: dict[str, str] = {}
    for package in packages:
        spec = importlib.util.find_spec(package)
        if spec is None:
            raise CannotMeasure(f"there is no package {package} to measure in {app_dir}; see --cov-source")
        if spec.submodule_search_locations is None:
            files = [Path(spec.origin or "")]
        else:
            files = [
                path for folder in spec.submodule_search_locations for path in Path(folder).rglob("*.py")
            ]
        for path in files:
            found[relative(path, app_dir)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def relative(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)


def replace(path: Path, write: Callable[[Path], object]) -> None:
    """A reader sees the old file or the new one, also after a crash in between."""
    temporary = path.with_name(path.name + ".tmp")
    write(temporary)
    with temporary.open("rb") as written:
        os.fsync(written.fileno())
    temporary.replace(path)
