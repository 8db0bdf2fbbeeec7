"""Stands around a clock or a `suppress` and reports how it ended. Standard library only, loaded by path.

Each wrapper delegates to what it wraps and takes its own frame out of a traceback that passes through it: a
bare `raise` adds no entry for the frame it stands in, so without the one at the head nobody sees that there
was a wrapper.
"""

import asyncio
import math
import sys
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from load.target.probes import Probes

EARLY_S = 0.02
"""A loop whose clock is read once an iteration fires so much too early, at most."""


class Calls:
    """What the calls in a module's code reach beside the plain probes. number: of the site of the end."""

    def __init__(self, probes: "Probes") -> None:
        self._probes = probes
        for name in ("caught", "raised", "handled", "branched", "answered", "ended", "exits"):
            setattr(self, name, getattr(probes, name))

    def clock(self, number: int, make: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """In place of `anyio.fail_after(…)` and the like."""
        limit_s = args[0] if args else kwargs.get("delay", kwargs.get("when"))
        try:
            inner = make(*args, **kwargs)
        except BaseException as error:
            _leave_no_trace(error)
            raise
        if hasattr(inner, "expired"):
            is_moment = getattr(make, "__name__", "") == "timeout_at"
            if is_moment and limit_s is not None:
                limit_s -= time.monotonic()
            return _AsyncioClock(self._probes, number, inner, limit_s)
        return _Clock(self._probes, number, inner, limit_s)

    def suppress(self, number: int, inner: Any) -> "_Suppress":
        """Around `contextlib.suppress(…)`."""
        return _Suppress(self._probes, number, inner)

    async def wait(
        self, number: int, make: Callable[..., Awaitable[Any]], /, *args: Any, **kwargs: Any
    ) -> Any:
        """In place of `asyncio.wait_for(…)`. A TimeoutError from within is not this clock's."""
        limit_s = args[1] if len(args) > 1 else kwargs.get("timeout")
        began = time.monotonic()
        _armed(self._probes, number, limit_s)
        try:
            return await make(*args, **kwargs)
        except BaseException as error:
            if isinstance(error, TimeoutError) and limit_s is not None:
                elapsed_s = time.monotonic() - began
                own = isinstance(error.__cause__, asyncio.CancelledError) or limit_s <= 0
                if own and elapsed_s >= limit_s - EARLY_S:
                    _fired(self._probes, number, limit_s, elapsed_s)
            _leave_no_trace(error)
            raise


class _Clock:
    """Around `anyio.fail_after` or `move_on_after`."""

    __slots__ = ("_inner", "_limit_s", "_number", "_probes", "_scope")

    def __init__(self, probes: "Probes", number: int, inner: Any, limit_s: float | None) -> None:
        self._probes = probes
        self._number = number
        self._inner = inner
        self._limit_s = limit_s

    def __enter__(self) -> Any:
        try:
            scope = self._inner.__enter__()
        except BaseException as error:
            _leave_no_trace(error)
            raise
        _armed(self._probes, self._number, self._limit_s)
        self._scope = scope
        return scope

    def __exit__(self, *exit: Any) -> Any:
        try:
            done = self._inner.__exit__(*exit)
        except BaseException as error:
            self._after()
            _leave_no_trace(error)
            raise
        if exit[0] is not None:
            self._after()
        return done

    def _after(self) -> None:
        try:
            scope = self._scope
            # One that was cancelled by hand is caught as well.
            if scope.cancelled_caught and time.monotonic() >= scope.deadline - EARLY_S:
                _ended(self._probes, self._number, self._limit_s, scope.deadline)
        except Exception:
            self._probes.errors += 1


class _AsyncioClock:
    """Around `asyncio.timeout` or `timeout_at`."""

    __slots__ = ("_inner", "_limit_s", "_number", "_probes")

    def __init__(self, probes: "Probes", number: int, inner: Any, limit_s: float | None) -> None:
        self._probes = probes
        self._number = number
        self._inner = inner
        self._limit_s = limit_s

    async def __aenter__(self) -> Any:
        try:
            entered = await self._inner.__aenter__()
        except BaseException as error:
            _leave_no_trace(error)
            raise
        _armed(self._probes, self._number, self._limit_s)
        return entered

    async def __aexit__(self, *exit: Any) -> Any:
        try:
            done = await self._inner.__aexit__(*exit)
        except BaseException as error:
            self._after()
            _leave_no_trace(error)
            raise
        self._after()
        return done

    def _after(self) -> None:
        try:
            if self._inner.expired():
                _ended(self._probes, self._number, self._limit_s, self._inner.when())
        except Exception:
            self._probes.errors += 1


class _Suppress:
    __slots__ = ("_inner", "_number", "_probes")

    def __init__(self, probes: "Probes", number: int, inner: Any) -> None:
        self._probes = probes
        self._number = number
        self._inner = inner

    def __enter__(self) -> Any:
        return self._inner.__enter__()

    def __exit__(self, *exit: Any) -> Any:
        try:
            swallowed = self._inner.__exit__(*exit)
        except BaseException as error:
            _leave_no_trace(error)
            raise
        if swallowed:
            self._probes.handled(self._number, exit[1])
        return swallowed


def _armed(probes: "Probes", number: int, limit_s: float | None) -> None:
    try:
        known = limit_s is not None and math.isfinite(limit_s)
        probes.armed(number - 1, 1000.0 * limit_s if known else None)  # type: ignore[operator]
    except Exception:
        probes.errors += 1


def _ended(probes: "Probes", number: int, limit_s: float | None, deadline: float | None) -> None:
    if limit_s is None or deadline is None:
        _fired(probes, number, None, 0.0)
    else:
        # Against the deadline as it stood: it may have been moved, by the same limit as far as anybody can
        # tell, and a loop that reads its clock once an iteration counts from a little before the block.
        _fired(probes, number, limit_s, limit_s + time.monotonic() - deadline)


def _fired(probes: "Probes", number: int, limit_s: float | None, elapsed_s: float) -> None:
    try:
        limit_ms = None if limit_s is None or not math.isfinite(limit_s) else 1000.0 * limit_s
        probes.fired(number, limit_ms, 1000.0 * elapsed_s)
    except Exception:
        probes.errors += 1


def _leave_no_trace(error: BaseException) -> None:
    """Call it in the handler, before a bare `raise`."""
    head = error.__traceback__
    if head is not None and head.tb_frame is sys._getframe(1):
        error.__traceback__ = head.tb_next
