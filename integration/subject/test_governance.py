"""The rules of governance as a function: four levels, four complexities, 22 names. inv_V1."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.domain.governance import ACTIONS, Complexity, Maturity, decide, judge

levels = st.sampled_from(Maturity)
complexities = st.sampled_from(Complexity)

TABLE = {
    1: "read search list summarize explain present_chart",
    2: "chat stream_chat analyze draft suggest plan",
    3: "create update send_message schedule workflow_execute",
    4: "delete deploy payment execute_code bulk_delete",
}


def test_table_of_actions() -> None:
    """The names and their complexities are those of the specification."""
    assert {name: int(complexity) for name, complexity in ACTIONS.items()} == {
        name: complexity for complexity, names in TABLE.items() for name in names.split()
    }


@pytest.mark.parametrize(
    ("level", "allowed"),
    [
        (Maturity.STUDENT, [True, False, False, False]),
        (Maturity.INTERN, [True, True, False, False]),
        (Maturity.SUPERVISED, [True, True, True, False]),
        (Maturity.AUTONOMOUS, [True, True, True, True]),
    ],
)
def test_every_cell(level: Maturity, allowed: list[bool]) -> None:
    """Allowed if and only if the complexity does not exceed the rank."""
    assert [decide(level, complexity) for complexity in Complexity] == allowed


@given(levels, complexities)
def test_inv_V1_decide_is_total_and_pure(level: Maturity, complexity: Complexity) -> None:
    """Every pair has an answer, a plain bool, and the same one each time."""
    assert decide(level, complexity) is decide(level, complexity)
    assert type(decide(level, complexity)) is bool


@given(complexities)
def test_inv_V1_more_maturity_never_takes_away(complexity: Complexity) -> None:
    """What a level may do, every higher one may do."""
    answers = [decide(level, complexity) for level in Maturity]

    assert all(lower <= higher for lower, higher in pairwise(answers))


@given(levels)
def test_inv_V1_more_complexity_never_adds(level: Maturity) -> None:
    """Who may do something complex may do everything simpler."""
    answers = [decide(level, complexity) for complexity in Complexity]

    assert all(simpler >= harder for simpler, harder in pairwise(answers))


@given(levels, st.sampled_from(sorted(ACTIONS)))
def test_judge_agrees_with_decide(level: Maturity, action: str) -> None:
    """The decision on a name is that on its complexity, and names the lowest level that may."""
    decision = judge(level, action)

    assert decision is not None
    assert decision.allowed is decide(level, ACTIONS[action])
    assert decide(decision.required, decision.complexity)
    assert next(one for one in Maturity if decide(one, decision.complexity)) is decision.required
    assert decision.audited is (not decision.allowed or decision.complexity == 4)


@given(levels, st.text() | st.sampled_from(sorted(ACTIONS)).map(str.upper))
def test_names_are_exact(level: Maturity, name: str) -> None:
    """Any other text is no action, however close it comes."""
    if name in ACTIONS:
        assert re.fullmatch(r"[a-z_]+", name)
    else:
        assert judge(level, name) is None
