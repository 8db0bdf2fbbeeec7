"""Line tracer for Python 3.11, where coverage.py's own cannot be right. Standard library only.

Python 3.11 reports no call when a coroutine is resumed by an exception, as every cancel and timeout does
(CPython #106749, coverage #2124). coverage.py keeps a stack of files by calls and returns; after each such
resume it books the lines of one frame on the file of another, and loses its own. Here each frame's tracing
function knows its file, so nothing has to be balanced; greenlets need nothing either.

What stays is the compiler's own: 3.11 reports the body of an `if` that ends an `async with` block even when
the condition is false (coverage.py shows the same line).
"""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

Trace = Callable[[FrameType, str, Any], Any]


class FrameTracer:
    """Records the lines that run in files that `wanted` says yes to, in every thread started later."""

    def __init__(self, wanted: Callable[[str], bool]) -> None:
        self._wanted = wanted
        self._lines: dict[str, set[int]] = {}
        self._local: dict[str, Trace | None] = {}
        self._on_call: Trace | None = None

    def start(self) -> None:
        local, decide = self._local, self._decide
        # A tracer that ran before has left itself in these frames, and would take over again from there.
        frame = inspect.currentframe()
        while frame is not None:
            frame.f_trace = None
            frame = frame.f_back

        def on_call(frame: FrameType, event: str, argument: Any) -> Trace | None:
            name = frame.f_code.co_filename
            try:
                return local[name]
            except KeyError:
                return decide(name)

        self._on_call = on_call
        threading.settrace(on_call)
        sys.settrace(on_call)

    def stop(self) -> bool:
        """False when somebody else has replaced this tracer meanwhile: lines are missing then."""
        kept = sys.gettrace() is self._on_call
        sys.settrace(None)
        threading.settrace(None)
        return kept

    def lines(self) -> dict[str, set[int]]:
        """By file, since the start; may be called while it runs."""
        # Copies of dict and set are atomic under the GIL.
        return {name: lines.copy() for name, lines in self._lines.copy().items()}

    def _decide(self, name: str) -> Trace | None:
        local: Trace | None = None
        if self._wanted(name):
            add = self._lines.setdefault(name, set()).add

            def local(frame: FrameType, event: str, argument: Any) -> Trace:
                # At a return or an exception the line number may be one that has not run.
                if event == "line":
                    add(frame.f_lineno)
                return local

        self._local[name] = local
        return local
