"""What processes tell of their error paths, as values."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest

from integration.instrument.pathparts import LATE, SITES
from load.metrics.paths import PathPart


def test_parts_are_values() -> None:
    """Equal where their facts are, and nobody changes one."""
    part = PathPart("a", "load", "3.13", "sysmon", "0", True, 0, 1, None, (), SITES)

    assert part == replace(part, sites=(*SITES,))
    assert part != replace(part, final=False)
    with pytest.raises(FrozenInstanceError):
        LATE.line = 1  # type: ignore[misc]
