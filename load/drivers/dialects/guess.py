"""From one recorded answer to a proposal for its dialect, and what the recording could not show."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from load.drivers.dialects.rules import Message, place

KIND_NAMES: Final = ("type", "event", "op", "kind", "object", "status")
ERROR_WORDS: Final = ("error", "failed", "failure")
TIMESTAMP: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:")
DONE: Final = b"[DONE]"


@dataclass(slots=True)
class Guess:
    """events: the rules, as a configuration holds them. seq, first_seq: of numbered messages. doubts: what a
    person should look at, a sentence each."""

    events: list[dict[str, Any]] = field(default_factory=list)
    seq: str | None = None
    first_seq: int = 1
    doubts: list[str] = field(default_factory=list)


def guess(messages: Sequence[Message]) -> Guess | None:
    """None where nothing looks like an answer in pieces."""
    marked = bool(messages) and messages[-1].raw.strip() == DONE
    readable = [message for message in messages if isinstance(message.fields, dict)]
    kind_at = _kind_place(readable)
    kinds = [_kind(message, kind_at) for message in readable]
    found = _chunks(readable, kinds)
    if found is None:
        return None
    chunk_kind, text_at = found
    made = Guess()
    made.seq, made.first_seq = _numbers(readable)
    text = "".join(str(place(text_at)(m)) for m, k in zip(readable, kinds, strict=True) if k == chunk_kind)
    first, last = readable[0], readable[-1]
    id_at = _shared_id(first, last)
    named = {"id": id_at} if id_at else {}
    if kinds[0] != chunk_kind:
        made.events.append({"is": "accepted", "when": {kind_at: kinds[0]}, **named})
    when: dict[str, Any] = {"when": {kind_at: chunk_kind}} if chunk_kind else {}
    of_kind = [message for message, kind in zip(readable, kinds, strict=True) if kind == chunk_kind]
    if not all(place(text_at)(message) for message in of_kind):
        when["has"] = [text_at]
    made.events.append({"is": "delta", **when, "text": text_at})
    made.events += _ends(last, kinds[-1], chunk_kind, kind_at, text, named, marked=marked)
    if not any(rule["is"] == "finished" for rule in made.events):
        made.doubts.append("no message marks the end: whether an answer was cut off is not checkable")
    if made.seq is None:
        made.doubts.append("messages have no numbers: lost, doubled and reordered chunks are not checkable")
    made.events.append(_error(kind_at, last))
    made.doubts.append('no error was seen: look at the event with is = "errored"')
    return made


def _kind_place(messages: Sequence[Message]) -> str:
    """Where messages say what they are."""
    if any(message.event not in ("", "message") for message in messages):
        return "@event"
    for name in KIND_NAMES:
        if messages and all(isinstance(message.fields.get(name), str) for message in messages):
            return name
    return ""


def _kind(message: Message, kind_at: str) -> str:
    if kind_at == "@event":
        return message.event
    return str(message.fields.get(kind_at, "")) if kind_at else ""


def _chunks(messages: Sequence[Message], kinds: Sequence[str]) -> tuple[str, str] | None:
    """The kind of message that carries text, and where: the text that varies most."""
    for kind, count in Counter(kinds).most_common():
        if count < 2:
            break
        of_kind = [message for message, one in zip(messages, kinds, strict=True) if one == kind]
        places = Counter(
            path for message in of_kind for path, value in leaves(message.fields) if isinstance(value, str)
        )
        best = max(places, key=lambda path: (_variety(of_kind, path), -len(path)), default=None)
        if best is not None and _variety(of_kind, best) >= 2:
            return kind, best
    return None


def _variety(messages: Sequence[Message], path: str) -> int:
    values = [value for message in messages if isinstance(value := place(path)(message), str) and value]
    if any(TIMESTAMP.match(value) for value in values):
        return 0
    return len(set(values))


def _numbers(messages: Sequence[Message]) -> tuple[str | None, int]:
    """Where every message has a number that is one more than the last."""
    if len(messages) < 3:
        return None, 1
    for path, value in leaves(messages[0].fields):
        if type(value) is int:
            values = [place(path)(message) for message in messages]
            if values == list(range(value, value + len(values))):
                return path, value
    return None, 1


def _shared_id(first: Message, last: Message) -> str | None:
    """A text that the first and the last message have in common and that looks like an id."""
    for path, value in leaves(first.fields):
        if isinstance(value, str) and len(value) >= 6 and " " not in value and place(path)(last) == value:
            return path
    return None


def _ends(
    last: Message, kind: str, chunk_kind: str, kind_at: str, text: str, named: dict[str, str], *, marked: bool
) -> Iterator[dict[str, Any]]:
    whole = next((path for path, value in leaves(last.fields) if value == text), None)
    said = named | ({"text": whole} if whole else {})
    if marked:
        yield {"is": "finished", "when": {"@raw": DONE.decode()}}
    elif kind != chunk_kind:
        yield {"is": "finished", "when": {kind_at: kind}, **said}
    else:
        flag = next((path for path, value in leaves(last.fields) if value is True), None)
        if flag is not None:
            yield {"is": "finished", "when": {flag: True}, **said}


def _error(kind_at: str, last: Message) -> dict[str, Any]:
    code = ["error.code", "error.type", "error", "code"]
    return (
        {"is": "errored", "when": {kind_at: "error"}, "code": code}
        if kind_at
        else {"is": "errored", "has": ["error"], "code": code}
    )


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every path to a value that is no list or table, in order."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from leaves(inner, f"{path}.{number}" if path else str(number))
    else:
        yield path, value
