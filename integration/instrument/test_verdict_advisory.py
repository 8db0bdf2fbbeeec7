"""What is shown beside a decision."""

from __future__ import annotations

from math import log

import pytest

from integration.instrument.comparisons import Drawn, blocks, compared, even
from load.verdict.advisory import hints
from load.verdict.comparison import CONFIRMATION, FIRST, BlockLine
from load.verdict.rounds import PairedRound


def rounds() -> list[PairedRound]:
    """Thirty of them."""
    return compared(iter(Drawn(even(0.01), 1)))[1]


def test_processor_time_of_a_stream_is_compared() -> None:
    """Of all whole rounds."""
    found = hints(blocks(rounds(), cpu_ms=(96.0, 120.0)), FIRST)["cpu_per_stream"]

    assert (found.base, found.head, found.n) == (2.0, 2.5, 30)
    assert (found.effect, found.low, found.high) == pytest.approx((log(1.25),) * 3)


def test_a_figure_that_was_not_measured_is_left_out() -> None:
    """Rather than shown as 0."""
    assert list(hints(blocks(rounds()), FIRST)) == ["ttft_p99"]


def test_only_whole_rounds_of_the_comparison_count() -> None:
    """A block without its twin says nothing, and a confirmation is another run."""
    lines: list[BlockLine] = [*blocks(rounds())][:-1]

    assert hints(lines, FIRST)["ttft_p99"].n == 29
    assert hints(lines, CONFIRMATION) == {}
