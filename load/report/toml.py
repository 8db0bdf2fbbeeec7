"""Plain values as a TOML document, to be read and edited by people."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")


def document(table: Mapping[str, Any]) -> str:
    """The text. Values first, then tables, then lists of tables, as TOML wants it; None vanishes."""
    return "\n".join(_lines(table, ())).strip() + "\n"


def _lines(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    tables = {name: value for name, value in table.items() if _is_table(value)}
    for name, value in table.items():
        if name not in tables and value is not None:
            yield f"{_key(name)} = {_value(value)}"
    for name, value in tables.items():
        inner = (*path, name)
        title = ".".join(map(_key, inner))
        if isinstance(value, Mapping):
            values = [one for one in value.values() if not _is_table(one)]
            yield ""
            if values or not value:
                yield f"[{title}]"
            yield from _lines(value, inner)
        else:
            for one in value:
                yield from ("", f"[[{title}]]")
                yield from _lines(one, inner)


def _is_table(value: object) -> bool:
    """Whether it gets a head of its own; short tables of plain values stay in their line."""
    if isinstance(value, Mapping):
        return len(value) > 3 or any(isinstance(one, Mapping | list) for one in value.values())
    return isinstance(value, list) and bool(value) and all(isinstance(one, Mapping) for one in value)


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    # JSON's strings, numbers, true and false are TOML's.
    return json.dumps(value, ensure_ascii=False)
