"""What is ignored, and what is a harm."""

from __future__ import annotations

import math

import pytest

from load.verdict.margins import Margins


@pytest.mark.parametrize(
    ("metric", "base_ms", "ignore", "harm"),
    [
        ("ttft", 27.0, 1.03, 1.10),
        ("ttft", 4.0, 1.05, 1.10),  # 0.2 ms are more than 3 %
        ("gap", 5.0, 1.04, 1.10),
        ("slope", None, 1.03, 1.10),  # no time
        ("relay", 0.5, 1.40, 3.00),  # 1 ms is more than 10 %
        ("backend_ttft", 20.0, 1.03, 1.10),
        ("ttft", 0.0, 1.03, 1.10),
    ],
)
def test_margins_hang_on_what_they_are_of(
    metric: str, base_ms: float | None, ignore: float, harm: float
) -> None:
    """Per cent, and a least number of ms."""
    found = Margins.of(metric, base_ms)

    assert (math.exp(found.ignore), math.exp(found.harm)) == pytest.approx((ignore, harm))


@pytest.mark.parametrize(("tests", "se"), [(8, 0.0141), (6, 0.0144)])
def test_error_that_finds_a_harm(tests: int, se: float) -> None:
    """Ten per cent with 95 % power."""
    assert Margins.of("ttft", 27.0).se_needed(tests) == pytest.approx(se, abs=5e-5)


def test_no_error_finds_a_harm_that_is_ignored() -> None:
    """10 % of a millisecond are less than 0.2 ms."""
    assert Margins.of("gap", 1.0).se_needed(8) is None
