"""backend/runs/parts.py: tasks that end together, and leave nothing behind."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

import anyio
import pytest

from backend.runs.parts import Parts

pytestmark = pytest.mark.anyio


class Held:
    """Something that a task holds."""


@contextmanager
def without_collector() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.parametrize("ender", ["part", "here", "event"])
async def test_all_end_together(ender: str) -> None:
    """Whoever says so: parts that wait, the work that goes on in this task, and parts that come too late."""
    ended: list[str] = []
    event = anyio.Event()

    async def wait(name: str) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(name)

    async def end() -> None:
        parts.end()

    with anyio.fail_after(10):
        async with Parts() as parts:
            parts.start(wait, "beside")
            await anyio.lowlevel.checkpoint()
            if ender == "part":
                parts.start(end)
            elif ender == "event":
                parts.start(parts.end_when, event)
                event.set()
            else:
                parts.end()
            await parts.do(wait, "here")
            parts.start(wait, "late")

    assert sorted(ended) == ["beside", "here", "late"]


async def test_work_that_is_done_ends_nobody() -> None:
    """The others go on until they are done themselves."""
    told: list[str] = []

    async def tell(name: str, before: anyio.Event) -> None:
        await before.wait()
        told.append(name)

    now, later = anyio.Event(), anyio.Event()
    now.set()
    async with Parts() as parts:
        parts.start(tell, "beside", later)
        await parts.do(tell, "here", now)
        later.set()

    assert told == ["here", "beside"]


async def test_a_failure_of_a_part_ends_all_and_is_raised() -> None:
    async def fail() -> None:
        raise LookupError("lost")

    async def together() -> None:
        async with Parts() as parts:
            parts.start(fail)
            await parts.do(anyio.sleep_forever)

    with pytest.raises(ExceptionGroup) as raised:
        await together()

    assert [repr(error) for error in raised.value.exceptions] == ["LookupError('lost')"]


async def test_an_ended_part_is_forgotten_at_once() -> None:
    """What it held goes with it. A task that its group cancels leaves it to the collector: once the library
    does better, `Parts` is not needed any more."""

    async def hold(held: Held) -> None:
        await anyio.sleep_forever()

    def one() -> tuple[Held, weakref.ref[Held]]:
        held = Held()
        return held, weakref.ref(held)

    with without_collector():
        held, seen = one()
        async with Parts() as parts:
            parts.start(hold, held)
            await anyio.lowlevel.checkpoint()
            parts.end()
        del held
        await anyio.lowlevel.checkpoint()  # the loop holds the last callback until it runs the next one
        assert seen() is None

        held, seen = one()
        async with anyio.create_task_group() as group:
            group.start_soon(hold, held)
            await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
        del held
        await anyio.lowlevel.checkpoint()
        assert seen() is not None


async def test_work_that_is_done_leaves_no_scope() -> None:
    """A connection that lives for hours does a piece of work for each of its frames."""

    def scopes() -> int:
        gc.collect()
        return sum(isinstance(one, anyio.CancelScope) for one in gc.get_objects())

    async with Parts() as parts:
        before = scopes()
        for _ in range(20):
            await parts.do(anyio.lowlevel.checkpoint)

        assert scopes() == before
