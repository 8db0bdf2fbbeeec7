"""Scenarios of a configuration: who comes to somebody's own target, in which dialect, and what is expected.

    [[scenario]]
    name = "live"
    protocol = "live"                 # a [dialect.NAME] of the same file, or one that is shipped
    path = "/v2/live"                 # instead of the dialect's own; also body
    model = "sim:ttft=30,n=12,gap=20,seed=msg"
    weight = 6
    history = true                    # sends what was said before, for targets that keep no sessions
    expect = { state = "ERROR", code = "model_slow", limit_s = 1.0, since = "chunk" }
    cancel_after = 3                  # chunks; also drop_after, with rst, fin or close in `drop`
    harmless = true                   # may be sent to a server that others use

Without `expect` a stream must be DONE. What expects something else is a failure: it comes in rough windows,
and stays out of the headline figures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from load.configuration import Configuration
from load.drivers.base import Drop
from load.drivers.dialects.mapping import Dialect
from load.drivers.dialects.reading import dialect, preset
from load.drivers.dialects.template import template
from load.errors import UsageError
from load.metrics.timeline import TerminalState
from load.scenarios.expect import DONE, Expect

STRUCTURE: Final = frozenset(
    {
        "name",
        "protocol",
        "path",
        "body",
        "model",
        "weight",
        "history",
        "expect",
        "cancel_after",
        "drop_after",
        "drop",
    }
    | {"harmless"}
)
OF_EXPECT: Final = frozenset({"state", "code", "status", "limit_s", "since", "close"})
SINCE: Final = ("sent", "accepted", "chunk")
DROPS: Final = ("rst", "fin", "close")
STATES: Final = tuple(state.name for state in TerminalState if state is not TerminalState.BROKEN)


@dataclass(frozen=True, slots=True)
class Plan:
    """One scenario. values: what fills the places of its requests, beside what a turn brings."""

    name: str
    dialect: Dialect
    values: Mapping[str, str]
    expect: Expect = DONE
    weight: int = 1
    history: bool = False
    cancel_after: int | None = None
    drop_after: tuple[int, Drop] | None = None
    harmless: bool = True

    @property
    def of_failures(self) -> bool:
        """Whether something else than an answer is expected."""
        return self.expect != DONE


def read_plans(configuration: Configuration) -> tuple[Plan, ...]:
    """Every [[scenario]] of a file.

    Raises UsageError in one line: the file, the scenario and key, what is possible.
    """
    dialects = {
        name: dialect({"name": name, **table}, f"{configuration.where}: dialect.{name}")
        for name, table in configuration.part("dialect").items()
    }
    plans = tuple(
        _plan(table, dialects, f"{configuration.where}: scenario {number}")
        for number, table in enumerate(configuration.parts("scenario"), 1)
    )
    names = [plan.name for plan in plans]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{configuration.where}: two scenarios are named {name}")
    return plans


def plan_of_protocol(protocol: str, model: str) -> Plan:
    """The one scenario of a run without a configuration."""
    return Plan("chat", preset(protocol), {"model": model})


def _plan(table: Mapping[str, Any], dialects: Mapping[str, Dialect], where: str) -> Plan:
    for key in table:
        if key not in STRUCTURE:
            raise UsageError(f"{where}: {key} is unknown; there are {', '.join(sorted(STRUCTURE))}")
    name, protocol = _text(table, "name", where), _text(table, "protocol", where)
    where = f"{where} ({name})"
    spoken = dialects.get(protocol) or _shipped(protocol, dialects, where)
    if "path" in table:
        spoken = replace(spoken, path=_text(table, "path", where))
    if "body" in table:
        spoken = replace(spoken, body=template(table["body"], f"{where}: body"))
    expect = _expect(table["expect"], where) if "expect" in table else DONE
    drop_after = None
    if "drop_after" in table:
        drop = _choice(table.get("drop", "rst"), DROPS, f"{where}: drop")
        drop_after = (_count(table, "drop_after", where), cast("Drop", drop))
    return Plan(
        name=name,
        dialect=spoken,
        values={"model": str(table.get("model", ""))},
        expect=expect,
        weight=_count(table, "weight", where) if "weight" in table else 1,
        history=_flag(table, "history", where, default=False),
        cancel_after=_count(table, "cancel_after", where) if "cancel_after" in table else None,
        drop_after=drop_after,
        harmless=_flag(table, "harmless", where, default=expect == DONE),
    )


def _shipped(protocol: str, dialects: Mapping[str, Dialect], where: str) -> Dialect:
    try:
        return preset(protocol)
    except UsageError as error:
        own = f"; of this file: {', '.join(dialects)}" if dialects else ""
        raise UsageError(f"{where}: {error}{own}") from error


def _expect(table: object, where: str) -> Expect:
    if not isinstance(table, dict):
        raise UsageError(f'{where}: expect must be a table, {{ state = "ERROR", code = "busy" }}')
    for key in table:
        if key not in OF_EXPECT:
            raise UsageError(f"{where}: expect.{key} is unknown; there are {', '.join(sorted(OF_EXPECT))}")
    state = _choice(table.get("state"), STATES, f"{where}: expect.state")
    limit_s = table.get("limit_s")
    if limit_s is not None and not (isinstance(limit_s, int | float) and limit_s > 0):
        raise UsageError(f"{where}: expect.limit_s must be a number of seconds above 0")
    since = _choice(table.get("since", "sent"), SINCE, f"{where}: expect.since")
    return Expect(
        TerminalState[state],
        table.get("code"),
        table.get("status"),
        None if limit_s is None else float(limit_s),
        table.get("close"),
        None if limit_s is None else since,
    )


def _choice(value: object, choices: tuple[str, ...], where: str) -> str:
    if value not in choices:
        raise UsageError(f"{where} = {value!r}; must be one of {', '.join(choices)}")
    return str(value)


def _text(table: Mapping[str, Any], key: str, where: str) -> str:
    found = table.get(key)
    if not isinstance(found, str) or not found:
        raise UsageError(f"{where}: {key} must be a text, in quotes")
    return found


def _count(table: Mapping[str, Any], key: str, where: str) -> int:
    found = table[key]
    if type(found) is not int or found < 1:
        raise UsageError(f"{where}: {key} must be a whole number, 1 or more")
    return found


def _flag(table: Mapping[str, Any], key: str, where: str, *, default: bool) -> bool:
    found = table.get(key, default)
    if not isinstance(found, bool):
        raise UsageError(f"{where}: {key} must be true or false")
    return found
