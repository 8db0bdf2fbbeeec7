"""Rounds from streams that are made by hand."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import orjson
import pytest

from load.metrics.timeline import TerminalState
from load.verdict.robust import quantile
from load.verdict.rounds import PairedRound, StreamFigures, round_of

MS = 1_000_000


def stream(seed: str, ttft_ms: float = 25.0, *gaps_ms: float, **other: Any) -> StreamFigures:
    """One that ended DONE; without gaps it has three of 5 ms."""
    gaps = tuple(int(gap * MS) for gap in gaps_ms or (5.0, 5.0, 5.0))
    whole = StreamFigures(
        seed=seed,
        state=TerminalState.DONE,
        code=None,
        ttft_ns=int(ttft_ms * MS),
        gaps_ns=gaps,
        total_ns=int(ttft_ms * MS) + sum(gaps),
        backend_ttft_ns=None,
        relay_ns=None,
        slope=None,
        stalled=False,
        chunks=len(gaps) + 1,
        unresolved=0,
    )
    return dataclasses.replace(whole, **other)


def rounded(base: list[StreamFigures], head: list[StreamFigures]) -> PairedRound:
    return round_of(
        base, head, lifetime=2, number=11, base_first=True, psi=(0.123456, None), took_s=0.6123456
    )


def test_each_stream_is_compared_with_its_twin() -> None:
    """The median of the pairs' ratios, not the ratio of the medians."""
    base = [stream("a", 10), stream("b", 20), stream("c", 40)]
    head = [stream("c", 44), stream("a", 30), stream("b", 22)]
    found = rounded(base, head)

    assert found.effects["ttft"] == pytest.approx(math.log(1.1), abs=1e-6)
    assert (found.base_ms["ttft"], found.head_ms["ttft"]) == (20, 30)


def test_a_stream_is_its_median_gap() -> None:
    """One long gap of a stream is no slower stream."""
    found = rounded([stream("a", 25, 5, 5, 5)], [stream("a", 25, 5, 6, 90)])

    assert found.effects["gap"] == pytest.approx(math.log(6 / 5), abs=1e-6)


def test_percentile_is_of_the_block() -> None:
    """Log ratio of both, and both in ms."""
    values = {str(number): 20.0 + number for number in range(20)}
    found = rounded(
        [stream(seed, value) for seed, value in values.items()],
        [stream(seed, 2 * value) for seed, value in values.items()],
    )

    assert found.effects["ttft_p95"] == pytest.approx(math.log(2), abs=1e-6)
    assert found.base_ms["ttft_p95"] == pytest.approx(quantile(list(values.values()), 0.95), abs=1e-4)


@pytest.mark.parametrize(
    ("field", "metric", "base", "head", "ratio"),
    [
        ("total_ns", "total", 80 * MS, 100 * MS, 1.25),
        ("backend_ttft_ns", "backend_ttft", 2 * MS, 3 * MS, 1.5),
        ("relay_ns", "relay", 500_000, 600_000, 1.2),
        ("slope", "slope", 1.0, 1.1, 1.1),
    ],
)
def test_metric_comes_from_its_figure(
    field: str, metric: str, base: float, head: float, ratio: float
) -> None:
    """Each metric from the figure of its name."""
    found = rounded([stream("a", **{field: base})], [stream("a", **{field: head})])

    assert found.effects[metric] == pytest.approx(math.log(ratio), abs=1e-6)


@pytest.mark.parametrize("missing", ["backend_ttft_ns", "relay_ns", "slope"])
def test_a_figure_that_one_twin_lacks_gives_no_effect(missing: str) -> None:
    """Nor does one that is not above zero, of which there is no ratio."""
    has: dict[str, Any] = {missing: 5}
    for value in (None, 0):
        found = rounded([stream("a", **has)], [stream("a", **has | {missing: value})])

        assert found.effects[missing.removesuffix("_ns")] is None


def test_only_pairs_that_ended_done_count() -> None:
    """A stream that failed has no time to compare, and its twin's says nothing."""
    failed = stream("b", 500, state=TerminalState.ERROR, code="internal", stalled=True)
    found = rounded([stream("a"), stream("b")], [stream("a"), failed])

    assert (found.pairs, found.pairs_done, found.stalls) == (2, 1, (0, 0))
    assert found.effects["ttft"] == 0


def test_a_seed_that_one_arm_never_saw_is_a_pair_not_done() -> None:
    """Whoever got lost is missing."""
    found = rounded([stream("a"), stream("b")], [stream("a"), stream("c")])

    assert (found.pairs, found.pairs_done) == (3, 1)


@pytest.mark.parametrize(("base", "head", "sign"), [(0, 3, 1), (3, 1, -1), (2, 2, 0)])
def test_stalls_of_a_block_count_once(base: int, head: int, sign: int) -> None:
    """More, fewer or as many; a burst of them is one event."""
    found = rounded(
        [stream(str(number), stalled=number < base) for number in range(5)],
        [stream(str(number), stalled=number < head) for number in range(5)],
    )

    assert (found.effects["stalled"], found.stalls) == (sign, (base, head))


def test_without_a_pair_there_is_no_effect() -> None:
    """Not even that no stream stalled."""
    found = rounded([stream("a", state=TerminalState.CUT_OFF)], [stream("a")])

    assert set(found.effects.values()) == {None}
    assert (found.pairs, found.pairs_done) == (1, 0)


def test_chunks_are_counted_over_all_streams() -> None:
    """How well they were seen does not hang on how they ended."""
    found = rounded([stream("a", chunks=10, unresolved=2)], [stream("a", state=TerminalState.ERROR)])

    assert (found.chunks, found.unresolved) == ((10, 4), (2, 0))


def test_a_round_survives_its_file() -> None:
    """Rounded before it is used, so that nothing is lost when it is stored."""
    found = rounded([stream("a", 25.00001), stream("b", 31)], [stream("a", 27.7), stream("b", 30, 5, 8)])

    assert PairedRound.from_json(orjson.loads(orjson.dumps(found.to_json()))) == found
    assert (found.psi, found.took_s) == ((0.1235, None), 0.6123)
