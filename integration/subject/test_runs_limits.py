"""backend/runs/limits.py: blocks of one key, one after the other."""

from __future__ import annotations

import gc
import weakref

import anyio
import pytest

from backend.runs.limits import Alone

pytestmark = pytest.mark.anyio


class Key:
    """A key that can be seen to go."""


async def test_a_key_is_forgotten_with_its_last_block() -> None:
    """Also behind blocks that fail or waited; otherwise each session would stay for ever."""
    alone = Alone()
    key = Key()
    seen = weakref.ref(key)

    async def block(key: Key) -> None:
        async with alone.alone(key):
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        group.start_soon(block, key)
        group.start_soon(block, key)
    with pytest.raises(KeyError):
        async with alone.alone(key):
            raise KeyError
    kept = seen() is not None
    del key
    gc.collect()  # what held a task that has ended

    assert (kept, seen()) == (True, None)
