"""backend/storage/session.py: what is tried again, and what is not."""

from __future__ import annotations

from itertools import pairwise

import anyio
import pytest

from backend.storage.session import StorageUnavailable, retrying

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("kind", "times"), [("busy", 4), ("full", 1)])
async def test_what_passes_by_itself_is_tried_again(kind: str, times: int) -> None:
    """Three times more, after a pause that grows; what needs an operator is told at once."""
    asked_s: list[float] = []

    async def fail() -> None:
        asked_s.append(anyio.current_time())
        raise StorageUnavailable(kind)

    with pytest.raises(StorageUnavailable):
        await retrying(fail)
    pauses_s = [later - earlier for earlier, later in pairwise(asked_s)]

    assert len(asked_s) == times
    assert [pause_s >= least_s for pause_s, least_s in zip(pauses_s, (0.05, 0.1, 0.2), strict=False)] == [
        True
    ] * (times - 1)
