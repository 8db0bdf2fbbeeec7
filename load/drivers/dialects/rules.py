"""What one kind of message means: conditions on its places, and the event it becomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Final, TypeAlias, get_args

import orjson

from load.metrics.events import (
    Accepted,
    Beat,
    Cancelled,
    Delta,
    Errored,
    Event,
    Finish,
    Finished,
    Garbled,
    Kind,
)

Stamp: TypeAlias = tuple[int, int, int]
"""(arrived at, read at, mates) of a message."""

FIELDS: Final[Mapping[str, frozenset[str]]] = {
    "accepted": frozenset({"id", "session"}),
    "delta": frozenset({"text", "kind"}),
    "usage": frozenset({"tokens"}),
    "finish": frozenset({"reason"}),
    "finished": frozenset({"text", "id", "session", "reason", "tokens"}),
    "errored": frozenset({"code", "id", "partial"}),
    "cancelled": frozenset({"reason", "id", "partial"}),
}
"""What a rule of each kind may name; `delta` needs `text`."""
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
NOT_THERE: Final[tuple[object, ...]] = (None, "", [], {})


@dataclass(slots=True)
class Message:
    """One incoming message. fields: its JSON; None where it is none. event, id: of a server-sent event.

    Immutable by rule: frozen it would cost four times as much, once for every chunk."""

    raw: bytes
    fields: Any
    event: str = ""
    id: str = ""

    @property
    def name(self) -> str:
        """What it calls itself, for signs of life."""
        kind = self.fields.get("type") if isinstance(self.fields, dict) else None
        return kind if isinstance(kind, str) else self.event or "unknown"


Step: TypeAlias = str | int
Value: TypeAlias = Callable[[Message], Any]


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One kind of message. fields: an event's field -> the places where it may be, the first counts."""

    kind: str
    when: tuple[tuple[Value, object], ...]
    has: tuple[Value, ...]
    fields: Mapping[str, tuple[Value, ...]]
    of: Kind = "answer"

    def fits(self, message: Message) -> bool:
        """Whether the rule speaks about this message."""
        for value, wanted in self.when:
            if value(message) != wanted:
                return False
        for value in self.has:
            found = value(message)
            if not found and found in NOT_THERE:
                return False
        return True

    def field(self, name: str, message: Message) -> Any:
        """None where it is not."""
        for value in self.fields.get(name, ()):
            found = value(message)
            if found is not None:
                return found
        return None

    def reader(self, name: str) -> Value:
        """`field` of that name, worked out for many messages."""
        places = self.fields[name]
        return places[0] if len(places) == 1 else partial(self.field, name)


def event_of(rule: Rule, message: Message, stamp: Stamp, seq: int | None) -> Event:
    at, read_at, mates = stamp
    match rule.kind:
        case "accepted":
            return Accepted(at, _text(rule, "id", message), seq, _text(rule, "session", message))
        case "delta":
            text = rule.field("text", message)
            if not isinstance(text, str):
                return Garbled(at, f"no text in {message.raw[:64]!r}")
            if not text:
                return Beat(at, "empty", seq=seq)
            return Delta(at, read_at, seq, text, rule.of, mates)
        case "usage":
            return Beat(at, "usage", seq=seq)
        case "finish":
            return Finish(at, _text(rule, "reason", message) or "")
        case "finished":
            tokens = rule.field("tokens", message)
            return Finished(
                at,
                text=_text(rule, "text", message),
                seq=seq,
                id=_text(rule, "id", message),
                session_id=_text(rule, "session", message),
                reason=_text(rule, "reason", message),
                tokens=tokens if type(tokens) is int else None,
            )
        case "errored":
            code = rule.field("code", message)
            return Errored(
                at,
                "unknown" if code is None else str(code),
                seq=seq,
                id=_text(rule, "id", message),
                partial=_text(rule, "partial", message),
            )
        case _:
            return Cancelled(
                at,
                reason=_text(rule, "reason", message),
                seq=seq,
                id=_text(rule, "id", message),
                partial=_text(rule, "partial", message),
            )


def _text(rule: Rule, name: str, message: Message) -> str | None:
    found = rule.field(name, message)
    return found if isinstance(found, str) else None


def parse(raw: bytes, event: str = "", id_: str = "") -> Message:
    """A message as it came; what is no JSON has no fields."""
    try:
        fields = orjson.loads(raw)
    except orjson.JSONDecodeError:
        fields = None
    return Message(raw, fields, event, id_)


@cache
def place(path: str) -> Value:
    """A function that finds the value at `path`; None where there is none. The same one for the same path."""
    if path == "@raw":
        return lambda message: message.raw.decode(errors="replace")
    if path == "@event":
        return lambda message: message.event
    if path == "@id":
        return lambda message: message.id
    steps: tuple[Step, ...] = tuple(int(step) if step.isdecimal() else step for step in path.split("."))
    if isinstance(steps[0], str) and len(steps) == 1:
        return _at_the_top(steps[0])

    def find(message: Message) -> Any:
        found = message.fields
        for step in steps:
            if isinstance(step, str) and isinstance(found, dict):
                found = found.get(step)
            elif isinstance(step, int) and isinstance(found, list) and step < len(found):
                found = found[step]
            else:
                return None
        return found

    return find


def _at_the_top(name: str) -> Value:
    def find(message: Message) -> Any:
        fields = message.fields
        return fields.get(name) if isinstance(fields, dict) else None

    return find
