"""Servers and commands that are begun while the tests before theirs still wait.

A start is the processor's work, most of a test is waiting. So when the whole suite runs, a thread begins what
the modules list in `AHEAD`, in the order of the modules, but never more than two servers that no test has
taken yet. Servers end in the background, too. When less is run, each begins when it is taken.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from integration.covered import Measured
from integration.subject import stage
from integration.subject.clients import Service
from integration.subject.postgres import postgres

T = TypeVar("T")
Kind: TypeAlias = Literal["sqlite", "postgresql"]

UNTAKEN = 2
ENDING_AT_ONCE = 2


@dataclass(frozen=True, slots=True, eq=False)
class Work(Generic[T]):
    """Something that a module needs, and that needs nothing itself but processes."""

    do: Callable[[Measured], T]


@dataclass(frozen=True, slots=True, eq=False)
class Server:
    """A server of a module's own; `name` is that of its folder, and of its database on PostgreSQL."""

    name: str
    settings: Mapping[str, str] = field(default_factory=dict)
    kind: Kind = "sqlite"
    provided: bool = False
    """It asks the scripted provider of the session."""
    covered: bool = True
    limit: str | None = None
    """Of the shell it is started by: `-n 256`."""


class Ahead:
    def __init__(
        self, measured: Measured, provider: Mapping[str, str], order: Sequence[Server | Work[Any]]
    ) -> None:
        """provider: settings of a server that is `provided`; order: empty if nothing is to begin early."""
        self._measured = measured
        self._provider = provider
        self._begun: dict[Server | Work[Any], Future[Any]] = {}
        self._untaken: set[Server] = set()
        self._change = threading.Condition()
        self._ending: list[Future[None]] = []
        self._enders = ThreadPoolExecutor(ENDING_AT_ONCE, thread_name_prefix="end")
        self._closed = False
        self._beginner = threading.Thread(target=self._begin_all, args=(order,), name="ahead")
        self._beginner.start()

    def result(self, work: Work[T]) -> T:
        found: T = self._begin(work).result()
        return found

    def take(self, server: Server) -> Service:
        """The running server, until `end`."""
        service: Service = self._begin(server).result()
        with self._change:
            self._untaken.discard(server)
            self._change.notify()
        return service

    def end(self, service: Service) -> None:
        """Returns at once; `close` raises what went wrong."""
        self._ending.append(self._enders.submit(stage.end, service))

    @contextmanager
    def running(self, server: Server) -> Generator[Service, None, None]:
        service = self.take(server)
        try:
            yield service
        finally:
            self.end(service)

    def close(self) -> None:
        """Ends every server, also those that nobody took."""
        with self._change:
            self._closed = True
            self._change.notify()
        self._beginner.join()
        for one, begun in self._begun.items():
            if isinstance(one, Server) and begun.exception() is None:
                self.end(begun.result())
        self._enders.shutdown()
        for ended in self._ending:
            ended.result()

    def _begin_all(self, order: Sequence[Server | Work[Any]]) -> None:
        for one in order:
            with self._change:
                self._change.wait_for(lambda: self._closed or len(self._untaken) < UNTAKEN)
                if self._closed:
                    return
                if isinstance(one, Server) and one not in self._begun:
                    self._untaken.add(one)
            self._begin(one)

    def _begin(self, one: Server | Work[Any]) -> Future[Any]:
        """Does it in this thread, unless it is done or another thread is at it."""
        with self._change:
            mine = one not in self._begun
            future: Future[Any] = self._begun.setdefault(one, Future())
        if mine:
            try:
                future.set_result(self._start(one) if isinstance(one, Server) else one.do(self._measured))
            except BaseException as error:  # noqa: BLE001 - whoever needs it raises it
                future.set_exception(error)
        return future

    def _start(self, server: Server) -> Service:
        measured = self._measured
        seed = postgres(measured).database(server.name) if server.kind == "postgresql" else None
        settings = {**server.settings, **(self._provider if server.provided else {})}
        python = server.limit and stage.limited_python(measured.folder / server.name, server.limit)
        return stage.start(
            measured, server.name, settings, seed=seed, python=python or None, covered=server.covered
        )
