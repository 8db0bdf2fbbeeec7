"""Threads that wait for the database in place of the event loop.

A transaction is one trip to a thread and back, whatever it does inside. A trip for each statement (what an
asynchronous driver makes) costs more than most statements, and a writer that crosses to the loop between its
statements holds everybody else's lock while it waits for its turn there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import Context, copy_context
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

__all__ = ["Threads", "TooLate"]

T = TypeVar("T")


class TooLate(Exception):
    """No thread was free in time."""


class Threads:
    """`count` threads that take work in the order it came.

    waiting -> running -> done, or waiting -> given up when no thread took it within `patience_s`. What runs
    is never given up: the work must be bounded by itself.
    """

    def __init__(self, name: str, count: int, patience_s: float) -> None:
        self._patience_s = patience_s
        self._jobs: SimpleQueue[tuple[Future[Any], Context, Callable[[], Any]] | None] = SimpleQueue()
        # Daemons: a database that never answers must not keep the process.
        self._threads = [
            Thread(target=self._serve, name=f"{name}-{number}", daemon=True) for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` returns or raises in a thread; `TooLate` if it never began. Not to be cancelled."""
        job: Future[T] = Future()
        self._jobs.put((job, copy_context(), work))
        result = asyncio.wrap_future(job)
        done, _ = await asyncio.wait((result,), timeout=self._patience_s)
        if not done and job.cancel():
            raise TooLate
        return await result

    def end(self) -> None:
        """Lets the threads end after the work that was given to them; does not wait."""
        for _ in self._threads:
            self._jobs.put(None)

    def _serve(self) -> None:
        while (task := self._jobs.get()) is not None:
            job, context, work = task
            if job.set_running_or_notify_cancel():
                try:
                    job.set_result(context.run(work))
                except BaseException as error:  # noqa: BLE001 - whoever waits for it decides
                    job.set_exception(error)
            del task, job, context, work  # nothing of it may live until the next one comes
