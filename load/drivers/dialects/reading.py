"""From a table of a configuration file to a `Dialect`, every mistake named with its place."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

from load.configuration import Table
from load.drivers.dialects.mapping import ENDS, FRAMINGS, WIRES, Dialect
from load.drivers.dialects.rules import FIELDS, KINDS, Message, Rule, Value, place
from load.drivers.dialects.template import Template, template
from load.errors import UsageError
from load.metrics.events import Kind

PRESETS: Final = Path(__file__).with_name("presets")
TOP: Final = frozenset(
    {"name", "wire", "framing", "end", "request", "event", "seq", "first_seq", "stream", "opening", "ready"}
    | {"cancel", "subprotocols"}
)
REQUEST: Final = frozenset({"path", "method", "headers", "body"})
OF_RULE: Final = frozenset({"is", "when", "has", "kind"})


def preset_names() -> tuple[str, ...]:
    """The dialects that are shipped, sorted."""
    return tuple(sorted(file.stem for file in PRESETS.glob("*.toml")))


def preset(name: str) -> Dialect:
    """A shipped dialect. Raises UsageError with the names there are."""
    file = PRESETS / f"{name}.toml"
    if name not in preset_names():
        raise UsageError(f"protocol {name}: unknown; there are {', '.join(preset_names())}")
    return dialect(tomllib.loads(file.read_text()), f"{file.name}")


def dialect(values: Mapping[str, Any], where: str) -> Dialect:
    """The dialect that a table describes. where: the file and key, for messages.

    Raises UsageError in one line: the place, what is wrong, what is possible.
    """
    table = Table(values, where)
    table.known(TOP)
    wire = table.one_of("wire", WIRES)
    request = Table(table.table("request"), f"{where}: request")
    request.known(REQUEST)
    rules = tuple(
        _rule(Table(rule, f"{where}: event {number}")) for number, rule in enumerate(_rules(table), 1)
    )
    if not any(rule.kind == "delta" for rule in rules):
        raise UsageError(f'{where}: no event with is = "delta"; name where the text of a chunk is')
    seq, stream, ready, cancel = (values.get(name) for name in ("seq", "stream", "ready", "cancel"))
    return Dialect(
        name=table.text("name", where),
        wire=wire,
        framing="json" if wire == "websocket" else table.one_of("framing", FRAMINGS),
        end=table.one_of("end", ENDS, "marker"),
        path=request.text("path", "/"),
        method=request.text("method", "POST"),
        headers={str(k).lower(): str(v) for k, v in request.table("headers", {}).items()},
        body=template(request.values.get("body", {}), f"{where}: request.body"),
        rules=rules,
        seq=None if seq is None else place(seq),
        first_seq=int(values.get("first_seq", 1)),
        stream=None if stream is None else place(stream),
        opening=_templates(values.get("opening", []), where),
        ready=None if ready is None else _condition("ready", Table({"when": ready}, f"{where}: ready")),
        cancel=None if cancel is None else template(cancel, f"{where}: cancel"),
        subprotocols=table.texts("subprotocols"),
    )


def _rules(table: Table) -> list[Mapping[str, Any]]:
    rules = table.values.get("event")
    if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
        what = "event must be a list of tables, [[…event]], one for each kind of message"
        raise UsageError(f"{table.where}: {what}")
    return rules


def _rule(table: Table) -> Rule:
    kind = table.one_of("is", FIELDS)
    table.known(OF_RULE | FIELDS[kind])
    fields = {
        name: _places(value, f"{table.where}: {name}")
        for name, value in table.values.items()
        if name not in OF_RULE
    }
    if kind == "delta" and "text" not in fields:
        raise UsageError(f"{table.where}: a delta needs text, the place of its characters")
    made = _condition(kind, table)
    if kind == "delta" and not made.when and not made.has:
        made = Rule(kind, (), (lambda message: _first(fields["text"], message),), {})
    of = cast("Kind", table.one_of("kind", KINDS, "answer"))
    return Rule(kind, made.when, made.has, fields, of)


def _condition(kind: str, table: Table) -> Rule:
    when, has = table.values.get("when", {}), table.values.get("has", [])
    if not isinstance(when, dict):
        raise UsageError(f"{table.where}: when must be a table, path = value")
    places = _places([has] if isinstance(has, str) else has, table.where)
    return Rule(kind, tuple((place(path), value) for path, value in when.items()), places, {})


def _places(value: object, where: str) -> tuple[Value, ...]:
    paths = [value] if isinstance(value, str) else value
    if not isinstance(paths, list) or not all(isinstance(path, str) and path for path in paths):
        raise UsageError(f"{where}: must be a path like choices.0.delta.content, or a list of them")
    return tuple(place(path) for path in paths)


def _first(places: tuple[Value, ...], message: Message) -> object:
    return next((found for value in places if (found := value(message))), None)


def _templates(value: object, where: str) -> tuple[Template, ...]:
    if not isinstance(value, list):
        raise UsageError(f"{where}: opening must be a list of messages")
    return tuple(template(one, f"{where}: opening") for one in value)
