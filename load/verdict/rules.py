"""`[tool.streamgauge.coverage]`: what must be covered and reached, read once and judged by `gates` and
`pathgates`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from load.configuration import Table
from load.errors import UsageError

KEYS: Final = ("integration_minimum", "minimum", "tier1", "must_reach", "allow_neither")


@dataclass(frozen=True, slots=True)
class Rules:
    """integration_minimum, minimum: file or folder -> per cent of its lines, by the tests alone and by tests
    and load together. tier1: files that are named first. must_reach: kinds of error path that may not be
    reached by neither. allow_neither: id of a path -> why nothing can reach it."""

    integration_minimum: Mapping[str, float] = field(default_factory=dict)
    minimum: Mapping[str, float] = field(default_factory=dict)
    tier1: tuple[str, ...] = ()
    must_reach: tuple[str, ...] = ()
    allow_neither: Mapping[str, str] = field(default_factory=dict)

    @property
    def judges_both(self) -> bool:
        """Whether anything is asked of tests and load together."""
        return bool(self.minimum or self.must_reach)


def read_rules(table: Table) -> Rules:
    """Of a configuration file; no rules where it has none. Raises UsageError in one line."""
    rules = Table(table.table("coverage", {}), f"{table.where}: coverage")
    rules.known(KEYS)
    reasons = rules.table("allow_neither", {})
    for name, reason in reasons.items():
        if not isinstance(reason, str):
            raise UsageError(f"{rules.where}.allow_neither: the reason of {name} must be a text")
    return Rules(
        _minimum(rules, "integration_minimum"),
        _minimum(rules, "minimum"),
        rules.texts("tier1"),
        rules.texts("must_reach"),
        reasons,
    )


def _minimum(rules: Table, name: str) -> Mapping[str, float]:
    found: Mapping[str, Any] = rules.table(name, {})
    for file, value in found.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
            raise UsageError(
                f"{rules.where}.{name}: the minimum of {file} is {value!r}, not a percentage from 0 to 100"
            )
    return found
