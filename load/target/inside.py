"""Inside the measured process: coverage around one server or one module. Run by path, never imported.

    python inside.py '{"phase": …, "folder": …, "app_dir": …, "app": …}'       a server
    python inside.py '{… "module": "backend", "args": ["migrate"]}'            a command

Needs the standard library, coverage and uvicorn, and never imports `load`: the app may have a package of
that name. Its folder leaves the import path before the app is imported: `config` and `rows` are common
names.

Leaves `<phase>.<pid>` (coverage data, complete when `final`), `<phase>.<pid>.last` (the state of the last
periodic save, for a process that was killed) and `<phase>.<pid>.json` (what `parts.py` needs to check and
join them). Exit 64: the request itself cannot be served, one line says why.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import json
import os
import platform
import runpy
import select
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextvars import ContextVar
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

HERE = Path(__file__).resolve().parent
CANARY = "_streamgauge_canary"
SAVE_EVERY_S = 2.0
ORPHAN_PATIENCE_S = 20.0
"""How long a server whose parent is gone may drain before it is killed."""
CANNOT = 64
CORES = {"SysMonitor": "sysmon", "CTracer": "ctrace", "PyTracer": "pytrace"}
LABEL_HEADER = b"x-load-scenario"
SELFCHECK = "selfcheck"
LABEL_CHARS = 120

LABEL: ContextVar[str] = ContextVar("streamgauge_label", default="-")
"""The scenario or test on whose behalf this code runs; tasks and threads started from it inherit it."""

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Callable[..., Awaitable[Any]], Callable[..., Awaitable[Any]]], Awaitable[None]]


class Recorder:
    """Coverage of this process with the core that is right for its Python, saved every 2 s."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.mode = spec["coverage"]
        self.app_dir = Path(spec["app_dir"])
        self.source: list[str] = spec["source"]
        folder = Path(spec["folder"])
        folder.mkdir(parents=True, exist_ok=True)
        self.data_file = folder / f"{spec['phase']}.{os.getpid()}"
        self.requests = 0
        self.selfcheck = False
        """The labelled request of the start-up was seen."""
        self._coverage: Any = None
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._saver = threading.Thread(target=self._save_periodically, name="coverage-saver", daemon=True)
        self._facts: dict[str, Any] = {
            "format": 1,
            "phase": spec["phase"],
            "pid": os.getpid(),
            "python": platform.python_version(),
            "mode": "off" if self.mode == "off" else "branch" if self.mode == "branch" else "lines",
            "core": "-",
            "app_dir": str(self.app_dir),
            "source": self.source,
            "sources": {},
            "changed": [],
            "asked": spec.get("ready") is not None,
            "canary": relative(HERE / "canary.py", self.app_dir),
            "final": False,
        }

    def start(self) -> None:
        if self.mode == "off":
            self._write_facts()
            return
        try:
            import coverage
        except ImportError:
            cannot(f"coverage is not installed for {sys.executable}; install it or use --coverage off")
        self._facts["sources"] = hashes(self.source, self.app_dir)
        branch = self.mode == "branch"
        wanted = "ctrace" if branch or sys.version_info < (3, 12) else "sysmon"
        # Only the C tracer needs to be told of greenlets, and sysmon silently gives way to it when told.
        greenlets = wanted == "ctrace" and importlib.util.find_spec("greenlet") is not None
        self._coverage = cov = coverage.Coverage(
            data_file=str(self.data_file),
            config_file=False,
            branch=branch,
            source_pkgs=[*self.source, CANARY],
            concurrency=["thread", "greenlet"] if greenlets else ["thread"],
            context=self._facts["phase"],
        )
        cov.set_option("run:core", wanted)
        cov.set_option("run:relative_files", True)
        cov.set_option("run:disable_warnings", ["no-sysmon", "module-not-imported", "no-data-collected"])
        before = Path.cwd()
        os.chdir(self.app_dir)  # coverage takes relative names from here, and remembers it
        try:
            cov.start()
        finally:
            os.chdir(before)
        core = CORES.get(str(dict(cov.sys_info())["core"]), "unknown")
        self._facts["core"] = core
        if core != wanted:
            cov.stop()
            cannot(
                f"coverage would run with its core {core} instead of {wanted} on Python"
                f" {platform.python_version()}; use --coverage off"
            )
        self._sing()
        self._write_facts()
        self._saver.start()

    def finish(self) -> None:
        """Nothing may interrupt this: the data of the whole lifetime is written here."""
        self._done.set()
        self._facts["final"] = True
        if self._coverage is not None:
            self._saver.join()
            self._coverage.stop()
            self._coverage.save()
            now = hashes(self.source, self.app_dir)
            was = self._facts["sources"]
            self._facts["changed"] = sorted(name for name in was | now if was.get(name) != now.get(name))
        self._write_facts()
        self._last.unlink(missing_ok=True)

    @property
    def _last(self) -> Path:
        return self.data_file.with_name(self.data_file.name + ".last")

    def _sing(self) -> None:
        spec = importlib.util.spec_from_file_location(CANARY, HERE / "canary.py")
        assert spec is not None
        assert spec.loader is not None
        canary = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(canary)
        try:
            from sqlalchemy.util import await_only, greenlet_spawn
        except ImportError:
            canary.sing()
        else:
            canary.sing(greenlet_spawn, await_only)

    def _save_periodically(self) -> None:
        while not self._done.wait(SAVE_EVERY_S):
            self._coverage.save()
            # Only this thread writes the data file while the app runs: its copy is consistent.
            replace(self._last, lambda temporary: shutil.copyfile(self.data_file, temporary))
            self._write_facts()

    def _write_facts(self) -> None:
        self._facts["requests"] = self.requests
        self._facts["selfcheck"] = self.selfcheck
        self._facts["cpu_s"] = time.process_time()
        text = json.dumps(self._facts)
        path = self.data_file.with_name(self.data_file.name + ".json")
        replace(path, lambda temporary: temporary.write_text(text))


class Labelled:
    """The app, seen from outside: each request carries its label into everything that it starts."""

    def __init__(self, app: App, recorder: Recorder) -> None:
        self._app = app
        self._recorder = recorder
        self.in_flight = 0

    async def __call__(
        self, scope: Scope, receive: Callable[..., Awaitable[Any]], send: Callable[..., Awaitable[Any]]
    ) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        for name, value in scope["headers"]:
            if name == LABEL_HEADER:
                label = value.decode("latin-1")[:LABEL_CHARS]
                LABEL.set(label)
                self._recorder.selfcheck |= label == SELFCHECK
                break
        self._recorder.requests += 1
        self.in_flight += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self.in_flight -= 1


def serve(spec: dict[str, Any], recorder: Recorder) -> None:
    app = resolve(spec["app"])
    if is_factory(app):
        app = app()
    wrapped = Labelled(app, recorder)
    if spec["server"] is not None:
        resolve(spec["server"])(wrapped).run()
    else:
        serve_with_uvicorn(wrapped)


def serve_with_uvicorn(app: App) -> None:
    try:
        import uvicorn
    except ImportError:
        cannot(f"uvicorn is not installed for {sys.executable}; install it or name a --server")

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started and sockets:
                host, port = sockets[0].getsockname()[:2]
                print(json.dumps({"listening": f"http://{host}:{port}"}), flush=True)  # noqa: T201

    config = uvicorn.Config(app, ws="websockets-sansio", timeout_graceful_shutdown=5)
    Server(config).run(sockets=[socket.create_server(("127.0.0.1", 0))])


def run_module(module: str, args: list[str]) -> None:
    sys.argv = [module, *args]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def resolve(name: str) -> Any:
    """`module:attribute`, as uvicorn takes it."""
    module_name, _, attribute = name.removesuffix("()").partition(":")
    found: Any = importlib.import_module(module_name)
    for part in attribute.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            cannot(f"{module_name} has no attribute {part} (asked for {name})")
    return found


def is_factory(app: Any) -> bool:
    """An ASGI application needs arguments; a function that needs none makes one."""
    if not inspect.isfunction(app):
        return False
    return all(
        parameter.default is not parameter.empty or parameter.kind.name.startswith("VAR")
        for parameter in inspect.signature(app).parameters.values()
    )


def hashes(packages: list[str], app_dir: Path) -> dict[str, str]:
    """SHA-256 of each Python file of the packages, by its name relative to the app's folder."""
    found: dict[str, str] = {}
    for package in packages:
        spec = importlib.util.find_spec(package)
        if spec is None:
            cannot(f"there is no package {package} to measure (from {app_dir}); see --cov-source")
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
    try:
        return path.relative_to(folder).as_posix()
    except ValueError:
        return str(path)


def replace(path: Path, write: Callable[[Path], object]) -> None:
    """A reader sees the old file or the new one, also after a crash in between."""
    temporary = path.with_name(path.name + ".tmp")
    write(temporary)
    with temporary.open("rb") as written:
        os.fsync(written.fileno())
    temporary.replace(path)


def end_with_parent() -> None:
    """Our standard input is a pipe whose other end only the parent holds; if it closes, the parent is gone.

    A process forked by the parent may hold the pipe as well, hence the look at the parent's id.
    """
    parent = os.getppid()
    while os.getppid() == parent:
        readable, _, _ = select.select([sys.stdin], [], [], 1.0)
        if readable and not os.read(sys.stdin.fileno(), 4096):
            break
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(ORPHAN_PATIENCE_S)
    os.killpg(os.getpid(), signal.SIGKILL)


def cannot(why: str) -> NoReturn:
    print(why, file=sys.stderr, flush=True)  # noqa: T201
    raise SystemExit(CANNOT)


def leave(number: int, frame: FrameType | None) -> NoReturn:
    """uvicorn raises the signal again after its drain: by default that would end us without any data."""
    raise SystemExit(0)


def main() -> None:
    spec: dict[str, Any] = json.loads(sys.argv[1])
    sys.path[:] = [spec["app_dir"], *(entry for entry in sys.path if entry and Path(entry).resolve() != HERE)]
    recorder = Recorder(spec)
    is_server = "app" in spec
    signal.signal(signal.SIGTERM, leave)
    if is_server:
        signal.signal(signal.SIGINT, leave)
        threading.Thread(target=end_with_parent, name="end-with-parent", daemon=True).start()
    recorder.start()
    try:
        if is_server:
            serve(spec, recorder)
        else:
            run_module(spec["module"], spec["args"])
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        recorder.finish()


if __name__ == "__main__":
    main()
