"""Scenarios of a configuration, and what is said about one that cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from load.configuration import read_configuration
from load.errors import UsageError
from load.metrics.timeline import TerminalState
from load.scenarios.expect import DONE, Expect
from load.scenarios.plans import Plan, read_plans

ELSEWHERE = Path(__file__).parents[1] / "elsewhere" / "streamgauge.toml"


def plans(folder: Path, text: str) -> tuple[Plan, ...]:
    file = folder / "streamgauge.toml"
    file.write_text(text)
    return read_plans(read_configuration(file))


def test_scenarios_of_somebody_elses_app() -> None:
    """Each with its dialect, its model and what is expected."""
    found = read_plans(read_configuration(ELSEWHERE))

    assert [(plan.name, plan.dialect.name, plan.of_failures, plan.harmless) for plan in found] == [
        ("live", "live", False, True),
        ("events", "events", False, True),
        ("model_stalls", "live", True, False),
        ("model_busy", "events", True, False),
        ("model_breaks_off", "events", True, False),
    ]
    assert found[2].expect == Expect(TerminalState.ERROR, "model_slow", None, 1.0, None, "chunk")
    assert found[0].expect == DONE


def test_a_shipped_dialect_takes_another_path_and_body(tmp_path: Path) -> None:
    """An app may speak the frames of a vendor and take requests of its own."""
    text = '[[scenario]]\nname = "a"\nprotocol = "openai-chat"\npath = "/ask"\nbody = { q = "{prompt}" }'
    (plan,) = plans(tmp_path, text)

    assert (plan.dialect.path, plan.dialect.body.shape) == ("/ask", {"q": "{prompt}"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "scenario 1: name must be a text, in quotes"),
        ('name = "a"', "scenario 1: protocol must be a text, in quotes"),
        (
            'name = "a"\nprotocol = "smoke"',
            "scenario 1 (a): protocol smoke: unknown; there are agentchat-sse,",
        ),
        (
            'name = "a"\nprotocol = "text"\nwait = 3',
            "scenario 1: wait is unknown; there are body, cancel_after,",
        ),
        (
            'name = "a"\nprotocol = "text"\nweight = 0',
            "scenario 1 (a): weight must be a whole number, 1 or more",
        ),
        ('name = "a"\nprotocol = "text"\nhistory = 1', "scenario 1 (a): history must be true or false"),
        ('name = "a"\nprotocol = "text"\nexpect = "x"', "scenario 1 (a): expect must be a table,"),
        (
            'name = "a"\nprotocol = "text"\nexpect = { state = "FINE" }',
            "scenario 1 (a): expect: state = 'FINE'; must be one of DONE, ERROR,",
        ),
        (
            'name = "a"\nprotocol = "text"\nexpect = { state = "ERROR", limit_s = 0 }',
            "scenario 1 (a): expect: limit_s must be a number of seconds above 0",
        ),
        (
            'name = "a"\nprotocol = "text"\nexpect = { state = "ERROR", sinse = "sent" }',
            "scenario 1 (a): expect: sinse is unknown; there are close, code, limit_s,",
        ),
        (
            'name = "a"\nprotocol = "text"\n[[scenario]]\nname = "a"\nprotocol = "text"',
            "two scenarios are named a",
        ),
        (
            'name = "a"\nprotocol = "text"\ndrop_after = 2\ndrop = "x"',
            "scenario 1 (a): drop = 'x'; must be one of rst,",
        ),
    ],
)
def test_a_mistake_is_one_line_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    """The file, the scenario, the key, what is possible."""
    expected = f"streamgauge.toml: {message}"

    with pytest.raises(UsageError) as caught:
        plans(tmp_path, f"[[scenario]]\n{text}")

    assert str(caught.value)[: len(expected)] == expected
