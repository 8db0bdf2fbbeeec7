"""A comparison decides the same again from what it left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import log

import orjson
import pytest

from integration.instrument.comparisons import MACHINES, Drawn, blocks, compared, even
from load.verdict.compare import Outcome, Reason, confirmed
from load.verdict.comparison import CONFIRMATION, FIRST, BlockLine, Comparison, decide_again, joined


def stored(lines: Iterator[BlockLine]) -> list[BlockLine]:
    """As a file gives them back."""
    return [BlockLine.from_json(orjson.loads(orjson.dumps(line.to_json()))) for line in lines]


@pytest.mark.parametrize("effects", [{}, {"ttft": log(1.1)}, {"gap": log(1.08)}], ids=["same", "ttft", "gap"])
@pytest.mark.parametrize("machine", [0, 6])
def test_blocks_decide_again(machine: int, effects: dict[str, float]) -> None:
    """Every figure of the decision, not only its verdict."""
    decision, rounds = compared(iter(Drawn(MACHINES[machine], 5, effects)))
    found = decide_again(stored(blocks(rounds)))

    assert found[FIRST].decision == decision
    assert joined(found) == confirmed(decision, None)


def test_a_line_survives_its_file() -> None:
    """With and without a round."""
    _, rounds = compared(iter(Drawn(even(0.01), 1)))
    lines = list(blocks(rounds[:1]))

    assert stored(iter(lines)) == lines
    assert "paired" not in lines[0].to_json()


def test_confirmation_is_decided_apart() -> None:
    """By its own budget, and joined then."""
    _, harmed = compared(iter(Drawn(even(0.01), 1, {"ttft": log(1.2)})))
    again, fresh = compared(iter(Drawn(even(0.01), 2, {"ttft": log(1.2)})), budget_s=30.0)
    lines = [*blocks(harmed), *blocks(fresh, CONFIRMATION, 30.0)]
    found = decide_again(lines)
    last = joined(found)

    assert found[CONFIRMATION].decision == again
    assert last is not None
    assert (last.verdict, last.regressed) == (Outcome.REGRESSED, ("ttft",))


def test_a_run_that_was_cut_before_its_confirmation_is_not_confirmed() -> None:
    """The first verdict alone is none."""
    _, harmed = compared(iter(Drawn(even(0.01), 1, {"ttft": log(1.2)})))
    found = joined(decide_again(blocks(harmed)))

    assert found is not None
    assert (found.verdict, found.reason) == (Outcome.INCONCLUSIVE, Reason.NOT_CONFIRMED)


def test_a_run_that_was_cut_early_says_nothing() -> None:
    """Before its first look, and before its verdict."""
    _, rounds = compared(iter(Drawn(even(0.5), 1)))

    assert joined({}) is None
    assert joined(decide_again(blocks(rounds[:10]))) is None
    assert joined(decide_again(blocks(rounds[:50]))) is None
    assert joined(decide_again(blocks(rounds))) is not None


def test_looks_come_when_they_are_due() -> None:
    """Four of them while nothing is clear."""
    drawn, comparison = iter(Drawn(even(0.5), 1)), Comparison(60.0)
    looked = []
    while not comparison.over:
        if comparison.take(next(drawn)):
            looked.append(len(comparison.rounds))

    assert looked == [30, 45, 68, 90]
    assert comparison.load_s == pytest.approx(60.0)


def test_a_line_that_lacks_a_field_is_refused() -> None:
    """A decision from half of the facts would be another one."""
    _, rounds = compared(iter(Drawn(even(0.01), 1)))
    line = next(iter(blocks([replace(rounds[0], base_first=False)]))).to_json()
    line.pop("budget_s")

    with pytest.raises(KeyError, match="budget_s"):
        BlockLine.from_json(line)
