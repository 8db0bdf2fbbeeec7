"""Values as TOML, read again by the standard library."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from load.report.toml import document


@pytest.mark.parametrize(
    "table",
    [
        {},
        {"a": 1, "b": "x", "c": True, "d": 1.5, "e": []},
        {"a": {"b": {"c": {"d": [1]}}}},
        {"env": {"A": "1", "B": '{"x":"é\\n"}'}, "last": 1},
        {"event": [{"is": "delta", "when": {"@event": "a b"}}, {"is": "finished"}]},
        {"dialect": {"own": {"seq": "n", "request": {"path": "/"}, "event": [{"x": {"y": [1, 2]}}]}}},
    ],
)
def test_what_is_written_is_read_again(table: dict[str, Any]) -> None:
    """Equal values, whatever their order."""
    assert tomllib.loads(document(table)) == table
