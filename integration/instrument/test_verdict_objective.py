"""Objectives as they are written, and what is said about those that cannot be read."""

from __future__ import annotations

import pytest

from load.errors import UsageError
from load.verdict.objective import Objective, read_objective

SCENARIOS = ("chat_ws", "chat_http")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ttft_ms p95 < 800", ("ttft_ms", {}, "p95", "<", 800.0)),
        (
            "  gap_ms{scenario=chat_ws}   p99.9<=250.5 ",
            ("gap_ms", {"scenario": "chat_ws"}, "p99.9", "<=", 250.5),
        ),
        ("stalls share <= 0.01", ("stalls", {}, "share", "<=", 0.01)),
        ("good share >= 0.99", ("good", {}, "share", ">=", 0.99)),
        (
            "streams{state=ERROR:first_token_timeout, protocol=WS} count < 1",
            ("streams", {"state": "ERROR:first_token_timeout", "protocol": "WS"}, "count", "<", 1.0),
        ),
        ("deadline_late_ms max > 3", ("deadline_late_ms", {}, "max", ">", 3.0)),
    ],
)
def test_an_objective_is_read(text: str, expected: tuple[str, dict[str, str], str, str, float]) -> None:
    """Metric, filters, statistic, operator, limit."""
    assert read_objective(text, SCENARIOS) == Objective(text.strip(), *expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ttft_ms p95 < 800", 800_000_000),
        ("deadline_late_ms p99 <= 0.5", 500_000),
        ("ttft_ms p95 > 8", None),
        ("stalls share <= 0.01", None),
    ],
)
def test_how_long_something_may_take(text: str, expected: int | None) -> None:
    """In ns; counters and lower limits allow no longest time."""
    assert read_objective(text, ()).most_ns == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "objective '': must read like 'ttft_ms p95 < 800' or 'stalls share <= 0.01'"),
        ("ttft_ms p95", "objective 'ttft_ms p95': must read like"),
        ("ttft_ms p95 = 3", "objective 'ttft_ms p95 = 3': must read like"),
        ("ttft p95 < 3", "objective 'ttft p95 < 3', column 1: 'ttft' is unknown; did you mean ttft_ms?"),
        ("smoke p95 < 3", "objective 'smoke p95 < 3', column 1: 'smoke' is unknown; there are ttft_ms, "),
        ("ttft_ms avg < 3", "objective 'ttft_ms avg < 3', column 9: 'avg' is unknown; there are p50, p90, "),
        ("ttft_ms p100 < 3", "objective 'ttft_ms p100 < 3', column 9: 'p100' is unknown; did you mean p"),
        ("ttft_ms p0 < 3", "objective 'ttft_ms p0 < 3', column 9: 'p0' is unknown; did you mean p"),
        (
            "stalls p95 < 3",
            "objective 'stalls p95 < 3', column 8: 'p95' is unknown; there are count, share, per_s",
        ),
        ("ttft_ms p95 < 3s", "objective 'ttft_ms p95 < 3s', column 15: '3s' must be a plain number"),
        ("ttft_ms p95 < -3", "objective 'ttft_ms p95 < -3', column 15: '-3' must be a plain number"),
        (
            "ttft_ms{scenario=chat_w} p95 < 3",
            "objective 'ttft_ms{scenario=chat_w} p95 < 3', column 18: 'chat_w' is unknown; did you mean",
        ),
        (
            "ttft_ms{scene=chat_ws} p95 < 3",
            "objective 'ttft_ms{scene=chat_ws} p95 < 3', column 9: 'scene=chat_ws' is unknown;",
        ),
        (
            "ttft_ms{} p95 < 3",
            "objective 'ttft_ms{} p95 < 3', column 9: 'nothing' is unknown; there are",
        ),
    ],
)
def test_a_mistake_is_told_with_its_column(text: str, message: str) -> None:
    """What stands there, and the nearest name there is."""
    with pytest.raises(UsageError) as caught:
        read_objective(text, SCENARIOS)

    assert str(caught.value)[: len(message)] == message
