"""Inside the measured process: one server or one module, its lines recorded. Run by path, never imported.

    python inside.py '{"phase": …, "folder": …, "app_dir": …, "app": …}'       a server
    python inside.py '{… "module": "backend", "args": ["migrate"]}'            a command

Needs the standard library, coverage and uvicorn, and never imports `load`: the app may have a package of
that name. Its folder leaves the import path before the app is imported: `config` and `rows` are common
names. What it leaves: see recording.py. Exit 64: the request itself cannot be served, one line says why.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import os
import runpy
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from types import FrameType, ModuleType
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from load.target.recording import Recorder

HERE = Path(__file__).resolve().parent
ORPHAN_PATIENCE_S = 20.0
"""How long a server whose parent is gone may drain before it is killed."""
CANNOT = 64
LABEL_HEADER = b"x-load-scenario"
SELFCHECK = "selfcheck"

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Callable[..., Awaitable[Any]], Callable[..., Awaitable[Any]]], Awaitable[None]]


class Labelled:
    """The app, seen from outside: each request carries its label into everything that it starts."""

    def __init__(self, app: App, recorder: Recorder) -> None:
        self._app = app
        self._recorder = recorder
        self._probes = recorder.probes

    async def __call__(
        self, scope: Scope, receive: Callable[..., Awaitable[Any]], send: Callable[..., Awaitable[Any]]
    ) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        for name, value in scope["headers"]:
            if name == LABEL_HEADER:
                label = value.decode("latin-1")
                self._probes.label.set(label)
                if label == SELFCHECK:
                    self._recorder.check_label()
                break
        self._recorder.requests += 1
        self._probes.in_flight += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._probes.in_flight -= 1


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

    # A line for each request costs time that is not the app's, and would hold tokens that travel in a query.
    config = uvicorn.Config(
        app, ws="websockets-sansio", timeout_graceful_shutdown=2, log_level="warning", access_log=False
    )
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


def break_off(number: int, frame: FrameType | None) -> NoReturn:
    """A command that is told to end has not done its work, but its data is kept."""
    raise SystemExit(128 + number)


def recording() -> ModuleType:
    """recording.py under a name that no app has."""
    spec = importlib.util.spec_from_file_location("_streamgauge_recording", HERE / "recording.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def hear_of_the_end(note: Callable[[], None]) -> None:
    """Notes the first signal that ends a server, whatever handler that server sets for it."""
    register = signal.signal

    def noting(number: int, handler: Any) -> Any:
        if number not in (signal.SIGTERM, signal.SIGINT) or not callable(handler):
            return plain(register(number, handler))

        def noted(number: int, frame: FrameType | None) -> None:
            note()
            handler(number, frame)

        noted.noted = handler  # type: ignore[attr-defined]
        return plain(register(number, noted))

    def plain(previous: Any) -> Any:
        return getattr(previous, "noted", previous)

    signal.signal = noting  # type: ignore[assignment]


def main() -> None:
    spec: dict[str, Any] = json.loads(sys.argv[1])
    sys.path[:] = [spec["app_dir"], *(entry for entry in sys.path if entry and Path(entry).resolve() != HERE)]
    is_server = "app" in spec
    signal.signal(signal.SIGTERM, leave if is_server else break_off)
    if is_server:
        signal.signal(signal.SIGINT, leave)
        threading.Thread(target=end_with_parent, name="end-with-parent", daemon=True).start()
    module = recording()
    recorder: Recorder = module.Recorder(
        phase=spec["phase"],
        folder=spec["folder"],
        app_dir=spec["app_dir"],
        source=spec["source"],
        mode=spec["coverage"],
        asked=spec.get("ready") is not None,
        probed=spec["probes"],
    )
    if is_server:
        hear_of_the_end(recorder.probes.stop)
    try:
        recorder.start()
    except module.CannotMeasure as why:
        cannot(str(why))
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
