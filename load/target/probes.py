"""Counts what the probes of error sites see in this process. Standard library only, loaded by path.

The calls that `instrument` puts into a module reach the one `Probes` object through `builtins`. None of
them raises, awaits, locks or logs: a fault of their own is counted (`errors`), and the code goes on as if
there were no probe. A hit costs about 1 us.

Of an exception only what its class and its `code` or `status_code` say is kept. Keys are bounded: labels
are cut, and beyond so many of either the rest is counted together.
"""

import asyncio
import sys
import time
from contextvars import ContextVar
from enum import Enum
from types import FrameType, MemberDescriptorType
from typing import Any

LABEL: ContextVar[str] = ContextVar("streamgauge_label", default="-")
"""The scenario or test on whose behalf this code runs; tasks and threads started from it inherit it."""

LABEL_CHARS = 120
MOST_LABELS = 1_000
MOST_KEYS = 50_000
MOST_FIRED = 1_000
"""Elapsed times kept for each clock; further ones are counted only."""
MORE = "(more)"
CODE_CHARS = 60
CODES = ("code", "status_code")

Hit = list[int]
"""Count, first time in ns, fewest requests in flight, hits after the stop signal. A list that is changed in
place: between reading and writing one element the interpreter never changes threads."""


class Probes:
    """All counters of a process; `number` is a site's place in the list of all sites."""

    def __init__(self) -> None:
        self.label = LABEL
        self.in_flight = 0
        """Requests that the app is working on."""
        self.errors = 0
        """Probes that failed themselves."""
        self.stopping_ns: int | None = None
        """When the first signal asked this process to end."""
        self.hits: dict[tuple[int, str, str | None, str | None], Hit] = {}
        self.armings: dict[tuple[int, str], list[float | None]] = {}
        """Count and smallest limit in ms, by clock and label."""
        self.firings: dict[int, list[tuple[float, float]]] = {}
        """(limit, elapsed) in ms, by clock."""
        self._labels: set[str] = set()
        self._classes: dict[type, Any] = {}
        self._label = LABEL.get

    # What the calls in a module's code reach

    def caught(self, number: int) -> None:
        """At the beginning of a handler, and before a `raise` without anything."""
        try:
            exception = sys.exception()
            if exception is not None:
                self._failure(number, exception)
        except Exception:
            self.errors += 1

    def raised(self, number: int, thrown: Any) -> Any:
        """Around what a `raise` statement raises: an exception, or a class of one."""
        try:
            self._failure(number, thrown)
        except Exception:
            self.errors += 1
        return thrown

    def handled(self, number: int, exception: object = None) -> None:
        """At the beginning of a function that answers an exception."""
        try:
            self._failure(number, exception)
        except Exception:
            self.errors += 1

    def branched(self, number: int) -> None:
        """In a branch that is taken after a timeout only."""
        try:
            self.count(number, None, None)
        except Exception:
            self.errors += 1

    def answered(self, number: int, status: Any, least: int) -> Any:
        """Around a status or close code; what lies below `least` is no failure."""
        try:
            if isinstance(status, int) and status >= least:
                self.count(number, None, str(int(status)))
        except Exception:
            self.errors += 1
        return status

    def ended(self, number: int, first: int, last: int) -> None:
        """At the beginning of a `finally` whose `try`, handlers included, stands in these lines.

        It is entered by an exception only if that came out of these lines of this very frame: what
        `sys.exception()` says may as well be something that a handler further out is busy with.
        """
        try:
            exception = sys.exception()
            if exception is not None and not _came_from(exception, sys._getframe(1), first, last):
                exception = None
            self._exit(number, exception)
        except Exception:
            self.errors += 1

    def exits(self, number: int, arguments: tuple[Any, ...]) -> None:
        """At the beginning of `__exit__` or `__aexit__`, with what it was called with."""
        try:
            kind = next((one for one in arguments if isinstance(one, type)), None)
            self._exit(number, kind)
        except Exception:
            self.errors += 1

    # Counting

    def count(self, number: int, exception: str | None, code: str | None) -> None:
        key = (number, self._label(), exception, code)
        hit = self.hits.get(key)
        if hit is None:
            key = (number, self._known(key[1]), exception, code)
            if len(self.hits) >= MOST_KEYS:
                key = (number, MORE, None, None)
            hit = self.hits.setdefault(key, [0, time.monotonic_ns(), self.in_flight, 0])
        hit[0] += 1
        if self.in_flight < hit[2]:
            hit[2] = self.in_flight
        if self.stopping_ns is not None:
            hit[3] += 1

    def armed(self, number: int, limit_ms: float | None) -> None:
        key = (number, self._label())
        arming = self.armings.get(key)
        if arming is None:
            key = (number, self._known(key[1]))
            arming = self.armings.setdefault(key, [0, None])
        arming[0] += 1  # type: ignore[operator]  # the first is never None
        if limit_ms is not None and (arming[1] is None or limit_ms < arming[1]):
            arming[1] = limit_ms

    def fired(self, number: int, limit_ms: float | None, elapsed_ms: float) -> None:
        """A clock's end. limit_ms: None when it was moved and nobody knows how long it ran."""
        self.count(number, "TimeoutError", None)
        times = self.firings.setdefault(number, [])
        if limit_ms is not None and len(times) < MOST_FIRED:
            times.append((limit_ms, elapsed_ms))

    def stop(self) -> None:
        if self.stopping_ns is None:
            self.stopping_ns = time.monotonic_ns()

    def _failure(self, number: int, thrown: object) -> None:
        name = (thrown if isinstance(thrown, type) else type(thrown)).__name__
        self.count(number, name, _code(thrown, self._classes))

    def _exit(self, number: int, thrown: object) -> None:
        if thrown is None:
            self.count(number, None, None)
            return
        kind = thrown if isinstance(thrown, type) else type(thrown)
        cancelled = issubclass(kind, asyncio.CancelledError)
        self.count(number, kind.__name__, "cancel" if cancelled else None)

    def _known(self, label: str) -> str:
        label = label[:LABEL_CHARS]
        if label not in self._labels:
            if len(self._labels) >= MOST_LABELS:
                return MORE
            self._labels.add(label)
        return label

    # For the part

    def document(self) -> dict[str, Any]:
        """What was counted so far, but at sites with a negative number."""
        # Copies of dict and list are atomic: the app goes on counting meanwhile.
        return {
            "probe_errors": self.errors,
            "stopping_ns": self.stopping_ns,
            "hits": [
                {
                    "site": number,
                    "label": label,
                    "exception": exception,
                    "code": code,
                    "count": hit[0],
                    "first_ns": hit[1],
                    "min_in_flight": hit[2],
                    "after_stop": hit[3],
                }
                for (number, label, exception, code), hit in self.hits.copy().items()
                if number >= 0
            ],
            "armed": [
                {"site": number, "label": label, "count": count, "limit_ms": limit_ms}
                for (number, label), (count, limit_ms) in self.armings.copy().items()
            ],
            "fired_ms": [
                {"site": number, "limit_ms": limit_ms, "elapsed_ms": elapsed_ms}
                for number, times in self.firings.copy().items()
                for limit_ms, elapsed_ms in _by_limit(times.copy()).items()
            ],
        }


def _by_limit(times: list[tuple[float, float]]) -> dict[float, list[float]]:
    grouped: dict[float, list[float]] = {}
    for limit_ms, elapsed_ms in times:
        # To the millisecond, or one clock would have as many limits as firings; the lateness is exact.
        rounded = float(round(limit_ms)) if limit_ms >= 10 else round(limit_ms, 1)
        grouped.setdefault(rounded, []).append(round(elapsed_ms + rounded - limit_ms, 1))
    return grouped


def _came_from(exception: BaseException, frame: FrameType, first: int, last: int) -> bool:
    head = exception.__traceback__
    if head is None:
        # What an `except*` leaves over is a group that has not been anywhere yet; its members have.
        members = getattr(exception, "exceptions", ())
        return any(_came_from(member, frame, first, last) for member in members)
    return head.tb_frame is frame and first <= head.tb_lineno <= last


def _code(thrown: object, classes: dict[type, Any]) -> str | None:
    """What `code` or `status_code` says, of the exception or its class. No property or `__getattr__` of the
    app is asked: those may do anything. classes: what is known of a class already."""
    kind = thrown if isinstance(thrown, type) else type(thrown)
    if isinstance(thrown, BaseException) and thrown.__dict__:
        own = thrown.__dict__
        for name in CODES:
            if name in own and (code := _text(own[name])) is not None:
                return code if not _is_foreign(kind) else None
    if kind not in classes:
        if len(classes) >= MOST_LABELS:
            return None
        classes[kind] = None if _is_foreign(kind) else _of_class(kind)
    found = classes[kind]
    if isinstance(found, MemberDescriptorType):
        return _text(found.__get__(thrown, kind)) if isinstance(thrown, BaseException) else None
    return _text(found)


def _of_class(kind: type) -> object:
    """A constant, a slot, or None."""
    for name in CODES:
        for base in kind.__mro__:
            if name in base.__dict__:
                return base.__dict__[name]
    return None


def _text(value: object) -> str | None:
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, str | int) and not isinstance(value, bool):
        return str(value)[:CODE_CHARS]
    return None


def _is_foreign(kind: type) -> bool:
    return kind.__module__.startswith("sqlalchemy.")  # its code is a page of its documentation
