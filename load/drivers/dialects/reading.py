"""From a table of a configuration file to a `Dialect`, every mistake named with its place."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from load.drivers.dialects.mapping import ENDS, FRAMINGS, WIRES, Dialect
from load.drivers.dialects.rules import FIELDS, KINDS, Message, Rule, Value, place
from load.drivers.dialects.template import Template, template
from load.errors import UsageError

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


def dialect(table: Mapping[str, Any], where: str) -> Dialect:
    """The dialect that a table describes. where: the file and key, for messages.

    Raises UsageError in one line: the place, what is wrong, what is possible.
    """
    _known(table, TOP, where)
    wire = _one_of(table, "wire", WIRES, where)
    request = _table(table, "request", where)
    _known(request, REQUEST, f"{where}: request")
    rules = tuple(
        _rule(rule, f"{where}: event {number}") for number, rule in enumerate(_rules(table, where), 1)
    )
    if not any(rule.kind == "delta" for rule in rules):
        raise UsageError(f'{where}: no event with is = "delta"; name where the text of a chunk is')
    seq, stream, ready = table.get("seq"), table.get("stream"), table.get("ready")
    cancel = table.get("cancel")
    return Dialect(
        name=str(table.get("name", where)),
        wire=wire,
        framing="json" if wire == "websocket" else _one_of(table, "framing", FRAMINGS, where),
        end=_one_of(table, "end", ENDS, where, "marker"),
        path=str(request.get("path", "/")),
        method=str(request.get("method", "POST")),
        headers={str(k).lower(): str(v) for k, v in _table(request, "headers", where, {}).items()},
        body=template(request.get("body", {}), f"{where}: request.body"),
        rules=rules,
        seq=None if seq is None else place(seq),
        first_seq=int(table.get("first_seq", 1)),
        stream=None if stream is None else place(stream),
        opening=_templates(table.get("opening", []), where),
        ready=None if ready is None else _condition("ready", {"when": ready}, f"{where}: ready"),
        cancel=None if cancel is None else template(cancel, f"{where}: cancel"),
        subprotocols=tuple(table.get("subprotocols", ())),
    )


def _rules(table: Mapping[str, Any], where: str) -> list[Mapping[str, Any]]:
    rules = table.get("event")
    if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
        raise UsageError(f"{where}: event must be a list of tables, [[…event]], one for each kind of message")
    return rules


def _rule(table: Mapping[str, Any], where: str) -> Rule:
    kind = _one_of(table, "is", tuple(FIELDS), where)
    _known(table, OF_RULE | FIELDS[kind], where)
    fields = {
        name: _places(value, f"{where}: {name}") for name, value in table.items() if name not in OF_RULE
    }
    if kind == "delta" and "text" not in fields:
        raise UsageError(f"{where}: a delta needs text, the place of its characters")
    made = _condition(kind, table, where)
    if kind == "delta" and not made.when and not made.has:
        made = Rule(kind, (), (lambda message: _first(fields["text"], message),), {})
    return Rule(kind, made.when, made.has, fields, _one_of(table, "kind", KINDS, where, "answer"))


def _condition(kind: str, table: Mapping[str, Any], where: str) -> Rule:
    when, has = table.get("when", {}), table.get("has", [])
    if not isinstance(when, dict):
        raise UsageError(f"{where}: when must be a table, path = value")
    has = [has] if isinstance(has, str) else has
    return Rule(kind, tuple((place(path), value) for path, value in when.items()), _places(has, where), {})


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


def _table(table: Mapping[str, Any], name: str, where: str, default: object = None) -> Mapping[str, Any]:
    found = table.get(name, default)
    if not isinstance(found, dict):
        raise UsageError(f"{where}: {name} must be a table")
    return found


def _one_of(
    table: Mapping[str, Any], name: str, choices: tuple[str, ...], where: str, default: str | None = None
) -> str:
    found = table.get(name, default)
    if found not in choices:
        raise UsageError(f"{where}: {name} = {found!r}; must be one of {', '.join(choices)}")
    return str(found)


def _known(table: Mapping[str, Any], names: frozenset[str], where: str) -> None:
    for name in table:
        if name not in names:
            raise UsageError(f"{where}: {name} is unknown; there are {', '.join(sorted(names))}")
