"""Known code that a right coverage set-up records completely, line by line, and one failure to be counted.

Tracing with the wrong concurrency setting loses what follows an awaited database call and books foreign
line numbers instead; here that shows at once. Every statement of this file runs in every target, and those
of `through_greenlet` run once only: a second, plain run would hide what the first one lost.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


async def pause(value: int) -> int:
    await asyncio.sleep(0)
    return value


async def plain() -> int:
    first = await pause(1)
    second = first + 1
    return second  # noqa: RET504 (one statement a line is the point)


async def through_greenlet(spawn: Callable[..., Any], wait: Callable[..., Any]) -> int:
    """As async SQLAlchemy runs a query: synchronous code in a greenlet that awaits in its parent."""

    def query() -> int:
        before = 1
        row: int = wait(pause(before))
        after = row + 1
        return after  # noqa: RET504

    result: int = await spawn(query)
    result += 1
    return result


async def stand_in(function: Callable[[], int]) -> int:
    return function()


def driven(coroutine: Coroutine[Any, Any, int]) -> int:
    try:
        while True:
            coroutine.send(None)
    except StopIteration as end:
        return int(end.value)


def cry() -> None:
    try:
        raise LookupError
    except LookupError:
        pass


def sing(spawn: Callable[..., Any] | None = None, wait: Callable[..., Any] | None = None) -> None:
    """Without SQLAlchemy (both None) the same lines run without a greenlet."""
    cry()
    driven(pause(1))
    driven(stand_in(int))
    asyncio.run(plain())
    asyncio.run(through_greenlet(spawn or stand_in, wait or driven))
