"""integration/runs/bench/overhead.py: a ratio against its limit."""

from __future__ import annotations

import pytest

from integration.runs.bench.overhead import Ratio
from load.errors import ExitCode


@pytest.mark.parametrize(
    ("ratio", "limit", "answer"),
    [
        (Ratio(1.01, 0.99, 1.03), 1.03, ExitCode.PASS),
        (Ratio(1.01, 0.98, 1.04), 1.03, ExitCode.INVALID),
        (Ratio(1.05, 1.03, 1.07), 1.03, ExitCode.INVALID),
        (Ratio(1.06, 1.04, 1.08), 1.03, ExitCode.OBJECTIVE),
        (Ratio(1.50, 1.40, 1.60), None, ExitCode.PASS),
    ],
)
def test_only_an_interval_beside_the_limit_decides(
    ratio: Ratio, limit: float | None, answer: ExitCode
) -> None:
    """Whatever the mean is."""
    assert ratio.against(limit) is answer
