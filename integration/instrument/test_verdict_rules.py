"""load/verdict/rules.py: what `[tool.streamgauge.coverage]` may say."""

from __future__ import annotations

from typing import Any

import pytest

from load.configuration import Table
from load.errors import UsageError
from load.verdict.rules import Rules, read_rules


def read(**coverage: Any) -> Rules:
    return read_rules(Table({"coverage": coverage}, "pyproject.toml"))


def test_every_key_is_read() -> None:
    """None of them has to be there."""
    rules = read(
        integration_minimum={"*": 75},
        minimum={"shop/api.py": 90},
        tier1=["shop/api.py"],
        must_reach=["respond"],
        allow_neither={"shop/api.py::a::raise:domain:X#1": "a bug of the library"},
    )

    assert rules == Rules(
        {"*": 75},
        {"shop/api.py": 90},
        ("shop/api.py",),
        ("respond",),
        {"shop/api.py::a::raise:domain:X#1": "a bug of the library"},
    )
    assert read_rules(Table({}, "pyproject.toml")) == Rules()


@pytest.mark.parametrize(
    ("coverage", "expected"),
    [
        ({"minimun": {}}, "pyproject.toml: coverage: minimun is unknown"),
        (
            {"minimum": {"*": 101}},
            "pyproject.toml: coverage.minimum: the minimum of * is 101, not a percentage",
        ),
        ({"minimum": {"*": True}}, "the minimum of * is True, not a percentage"),
        ({"integration_minimum": {"*": "90"}}, "the minimum of * is '90', not a percentage"),
        ({"allow_neither": {"x": 1}}, "the reason of x must be a text"),
        ({"must_reach": "respond"}, "must_reach must be a list of texts"),
    ],
)
def test_what_would_never_or_always_hold_is_refused(coverage: dict[str, Any], expected: str) -> None:
    """In one line that names the key."""
    with pytest.raises(UsageError) as caught:
        read(**coverage)

    assert expected in str(caught.value)
