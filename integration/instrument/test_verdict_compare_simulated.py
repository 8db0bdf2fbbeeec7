"""How often the decision is right: comparisons that never ran, drawn from seeds.

The noise is that of `comparisons.MACHINES`, which were chosen so that equal servers and +10 % of the gap come
out as in recordings; the shares of all other rows follow, and are those of docs/compare.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import log

import pytest

from integration.instrument.comparisons import MACHINES, METRICS, Drawn, Machine, compared, even
from load.verdict.compare import Outcome

COMPARISONS = 210
MANY = 1050
POINTS = 0.05


def ttft(slower: float) -> Mapping[str, float]:
    """Of 27 ms, and of 85 ms in all."""
    return {"ttft": log(slower), "ttft_p95": log(slower), "total": log(1 + (slower - 1) * 27 / 85)}


def gap(slower: float) -> Mapping[str, float]:
    """Eleven of 5 ms, of 85 ms in all."""
    return {"gap": log(slower), "total": log(1 + (slower - 1) * 55 / 85)}


def shares(
    count: int, machines: tuple[Machine, ...], effects: Mapping[str, float], stalls: float = 0.0
) -> dict[Outcome, float]:
    """Of each verdict."""
    found: Counter[Outcome | None] = Counter()
    for seed in range(count):
        drawn = Drawn(machines[seed % len(machines)], seed, effects, stalls)
        decision, _ = compared(iter(drawn))
        found[decision.verdict] += 1
    return {outcome: found[outcome] / count for outcome in Outcome}


TABLE = [
    ("same code", {}, 0.0, (0.0, 0.948)),
    ("ttft +5 %", ttft(1.05), 0.0, (0.25, 0.75)),
    ("ttft +10 %", ttft(1.10), 0.0, (0.995, 0.005)),
    ("ttft +20 %", ttft(1.20), 0.0, (1.0, 0.0)),
    ("gap +5 %", gap(1.05), 0.0, (0.035, 0.865)),
    ("gap +10 %", gap(1.10), 0.0, (0.93, 0.015)),
    ("gap +15 %", gap(1.15), 0.0, (1.0, 0.0)),
    ("stalls of 1 %", {}, 0.01, (0.91, 0.09)),
]


@pytest.mark.parametrize(
    "count", [COMPARISONS, pytest.param(MANY, marks=pytest.mark.holds)], ids=["some", "many"]
)
@pytest.mark.parametrize(
    ("effects", "stalls", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_verdicts_come_as_often_as_is_said(
    count: int, effects: Mapping[str, float], stalls: float, expected: tuple[float, float]
) -> None:
    """REGRESSED and OK within five points."""
    found = shares(count, MACHINES, effects, stalls)

    assert (found[Outcome.REGRESSED], found[Outcome.OK]) == pytest.approx(expected, abs=POINTS)


@pytest.mark.parametrize("count", [600, pytest.param(3000, marks=pytest.mark.holds)], ids=["some", "many"])
def test_false_alarms_stay_below_what_is_said(count: int) -> None:
    """Every metric worse by just what is ignored: the worst of cases in which nothing may be told. All looks
    are taken, for the machine is too noisy to be sure of anything."""
    borderline = dict.fromkeys(METRICS, log(1.03)) | {"gap": log(1.04)}
    found = shares(count, (even(0.10, 0.0), even(0.2, 0.0)), borderline)

    assert found[Outcome.REGRESSED] < 0.015


def test_equal_servers_are_never_called_worse() -> None:
    """Nor when processes of the same code differ by nearly a per cent."""
    found = shares(600, (even(0.01, 0.009), even(0.03, 0.009)), {})

    assert found[Outcome.REGRESSED] == 0.0
