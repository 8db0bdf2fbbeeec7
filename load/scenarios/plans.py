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
from typing import Final, cast

from load.configuration import Configuration, Table
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
        for name, table in configuration.table.table("dialect", {}).items()
    }
    plans = tuple(
        _plan(Table(table, f"{configuration.where}: scenario {number}"), dialects)
        for number, table in enumerate(configuration.table.tables("scenario"), 1)
    )
    names = [plan.name for plan in plans]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{configuration.where}: two scenarios are named {name}")
    return plans


def plan_of_protocol(protocol: str, model: str) -> Plan:
    """The one scenario of a run without a configuration."""
    return Plan("chat", preset(protocol), {"model": model})


def _plan(table: Table, dialects: Mapping[str, Dialect]) -> Plan:
    table.known(STRUCTURE)
    name, protocol = table.text("name"), table.text("protocol")
    table = replace(table, where=f"{table.where} ({name})")
    given = table.values
    spoken = dialects.get(protocol) or _shipped(protocol, dialects, table.where)
    if "path" in given:
        spoken = replace(spoken, path=table.text("path"))
    if "body" in given:
        spoken = replace(spoken, body=template(given["body"], f"{table.where}: body"))
    expect = _expect(given["expect"], table.where) if "expect" in given else DONE
    drop_after = None
    if "drop_after" in given:
        drop_after = (table.count("drop_after", 1), cast("Drop", table.one_of("drop", DROPS, "rst")))
    return Plan(
        name=name,
        dialect=spoken,
        values={"model": table.text("model", "")},
        expect=expect,
        weight=table.count("weight", 1),
        history=table.flag("history", default=False),
        cancel_after=table.count("cancel_after", 1) if "cancel_after" in given else None,
        drop_after=drop_after,
        harmless=table.flag("harmless", default=expect == DONE),
    )


def _shipped(protocol: str, dialects: Mapping[str, Dialect], where: str) -> Dialect:
    try:
        return preset(protocol)
    except UsageError as error:
        own = f"; of this file: {', '.join(dialects)}" if dialects else ""
        raise UsageError(f"{where}: {error}{own}") from error


def _expect(values: object, where: str) -> Expect:
    if not isinstance(values, dict):
        raise UsageError(f'{where}: expect must be a table, {{ state = "ERROR", code = "busy" }}')
    table = Table(values, f"{where}: expect")
    table.known(OF_EXPECT)
    state, since = table.one_of("state", STATES), table.one_of("since", SINCE, "sent")
    limit_s = values.get("limit_s")
    if limit_s is not None and not (isinstance(limit_s, int | float) and limit_s > 0):
        raise UsageError(f"{where}: expect: limit_s must be a number of seconds above 0")
    return Expect(
        TerminalState[state],
        values.get("code"),
        values.get("status"),
        None if limit_s is None else float(limit_s),
        values.get("close"),
        None if limit_s is None else since,
    )
