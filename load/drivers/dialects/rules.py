"""What one kind of message means: conditions on its places, and the event it becomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

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
KINDS: Final = ("answer", "reasoning", "tool")


@dataclass(frozen=True, slots=True)
class Message:
    """One incoming message. fields: its JSON; None where it is none. event, id: of a server-sent event."""

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


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of message. fields: an event's field -> the places where it may be, the first counts."""

    kind: str
    when: tuple[tuple[Value, object], ...]
    has: tuple[Value, ...]
    fields: Mapping[str, tuple[Value, ...]]
    of: str = "answer"

    def fits(self, message: Message) -> bool:
        """Whether the rule speaks about this message."""
        return all(value(message) == wanted for value, wanted in self.when) and all(
            value(message) not in (None, "", [], {}) for value in self.has
        )

    def field(self, name: str, message: Message) -> Any:
        """None where it is not."""
        for value in self.fields.get(name, ()):
            found = value(message)
            if found is not None:
                return found
        return None


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
            return Delta(at, read_at, seq, text, rule.of, mates)  # type: ignore[arg-type]  # one of KINDS
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


def place(path: str) -> Value:
    """A function that finds the value at `path`; None where there is none."""
    if path == "@raw":
        return lambda message: message.raw.decode(errors="replace")
    if path == "@event":
        return lambda message: message.event
    if path == "@id":
        return lambda message: message.id
    steps: tuple[Step, ...] = tuple(int(step) if step.isdecimal() else step for step in path.split("."))

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
