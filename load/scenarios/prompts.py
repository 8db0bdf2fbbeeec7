"""What users say: the shipped conversations, or a file of the user's own.

A file is JSONL or one JSON list. Each line or entry holds one of

    {"message": "…"} or {"prompt": "…"}                          one message
    {"messages": ["…", "…"]}                                     a conversation: what the user says, in turn
    {"messages": [{"role": "user", "content": "…"}, …]}          chat completions: the user's side is taken
    {"conversations": [{"from": "human", "value": "…"}, …]}      ShareGPT: the human's side is taken

What the user wrote by hand must be right, line by line. Published data sets (the two last forms) always
hold some entries nobody can send – no human side, a message too long – and those are passed over.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import gcd
from pathlib import Path
from typing import Final

from load.errors import UsageError

SHIPPED: Final = Path(__file__).with_name("prompts.jsonl")
MAX_MESSAGE_CHARS: Final = 16_000
"""The contract's limit (docs/protocol.md)."""
HUMAN: Final = ("human", "user")


@dataclass(frozen=True, slots=True)
class Conversation:
    """turns: what the user says, one message after each answer; at least one."""

    turns: tuple[str, ...]


class PromptSource:
    """Conversations for one user, in an order that the seed and the user's number decide.

    A pass gives every conversation once; the next pass has another order.
    """

    def __init__(self, conversations: Sequence[Conversation], seed: int, user: int = 0) -> None:
        self._conversations = conversations
        self._random = random.Random(f"{seed}/{user}/prompts")
        self._order = self._passes()

    def next(self) -> Conversation:
        """The next conversation; there is always one."""
        return self._conversations[next(self._order)]

    def _passes(self) -> Iterator[int]:
        """Indices, walked by a stride coprime to their number: no list for each user of a large file."""
        count = len(self._conversations)
        strides = [stride for stride in range(1, min(count, 1000) + 1) if gcd(stride, count) == 1]
        while True:
            at, stride = self._random.randrange(count), self._random.choice(strides)
            for _ in range(count):
                yield at
                at = (at + stride) % count


class _Unusable(Exception):
    """A part of an entry that cannot be sent. mend: what to do about it."""

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(f"{what}; {mend}")


def load_prompts(path: Path | None = None) -> tuple[Conversation, ...]:
    """The conversations of `path`, in the file's order; None for the shipped ones.

    Raises UsageError with file, line or entry, what is wrong and what to do.
    """
    path = path or SHIPPED
    found: list[Conversation] = []
    for place, entry in _entries(path):
        try:
            conversation = _conversation(entry)
        except _Unusable as wrong:
            raise UsageError(f"{path}, {place}: {wrong}") from wrong
        if conversation is not None:
            found.append(conversation)
    if not found:
        raise UsageError(f'{path}: holds no message; write one {{"message": "…"}} a line')
    return tuple(found)


def _entries(path: Path) -> Iterator[tuple[str, object]]:
    """(`line 3`, its value) of JSONL, (`entry 3`, its value) of a JSON list."""
    try:
        data = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; name a file that can be read") from error
    if data.lstrip().startswith(b"["):
        for number, entry in enumerate(_parsed(path, 1, data), 1):
            yield f"entry {number}", entry
        return
    for number, line in enumerate(data.split(b"\n"), 1):
        if line.strip():
            yield f"line {number}", _parsed(path, number, line)


def _parsed(path: Path, line: int, data: bytes) -> list[object]:
    try:
        parsed: list[object] = json.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        line += data.count(b"\n", 0, error.start)
        raise UsageError(f"{path}, line {line}: is not UTF-8; save the file as UTF-8") from error
    except json.JSONDecodeError as error:
        raise UsageError(
            f"{path}, line {line + error.lineno - 1}: is not JSON ({error.msg} at column {error.colno});"
            ' write one {"message": "…"} a line, or one JSON list'
        ) from error
    except RecursionError as error:
        raise UsageError(f"{path}, line {line}: is nested too deeply; remove it") from error
    return parsed


def _conversation(entry: object) -> Conversation | None:
    """None for an entry of a published data set that nobody can send."""
    form = '{"message": "…"}, {"messages": ["…"]}, {"prompt": "…"} or {"conversations": […]}'
    if not isinstance(entry, dict):
        raise _Unusable(f"is {_kind(entry)}", f"write {form}")
    for key in ("message", "prompt"):
        if key in entry:
            return Conversation((_message(f'"{key}"', entry[key]),))
    for key in ("messages", "conversations"):
        if key in entry:
            return _turns(key, entry[key])
    raise _Unusable(
        f"has none of the known keys but {', '.join(map(str, entry)) or 'nothing'}", f"write {form}"
    )


def _turns(key: str, turns: object) -> Conversation | None:
    if not isinstance(turns, list):
        raise _Unusable(f'"{key}" is {_kind(turns)}', "write a list of what the user says")
    if key == "messages" and not any(isinstance(turn, dict) for turn in turns):
        if not turns:
            raise _Unusable('"messages" is empty', "write at least one, or remove the line")
        return Conversation(tuple(_message(f"message {n}", turn) for n, turn in enumerate(turns, 1)))
    said = [text for number, turn in enumerate(turns, 1) if (text := _human(key, number, turn)) is not None]
    try:
        return Conversation(tuple(_message("", text) for text in said)) if said else None
    except _Unusable:
        return None


def _human(key: str, number: int, turn: object) -> object | None:
    """What the user said in this turn; None when it is somebody else's."""
    who, what = ("from", "value") if key == "conversations" else ("role", "content")
    if not isinstance(turn, dict) or who not in turn or what not in turn:
        raise _Unusable(
            f'turn {number} of "{key}" lacks "{who}" and "{what}"', f'write {{"{who}": "…", "{what}": "…"}}'
        )
    return turn[what] if turn[who] in HUMAN else None


def _message(name: str, text: object) -> str:
    """`text`, if it can be sent as one message."""
    if not isinstance(text, str):
        raise _Unusable(f"{name} is {_kind(text)}", "write it as a string")
    if not text.strip():
        raise _Unusable(f"{name} is empty", "write something, or remove the line")
    if len(text) > MAX_MESSAGE_CHARS:
        raise _Unusable(
            f"{name} has {len(text):,} characters, at most {MAX_MESSAGE_CHARS:,} can be sent", "shorten it"
        )
    if "\0" in text:
        raise _Unusable(f"{name} holds U+0000, which cannot be sent", "remove it")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise _Unusable(f"{name} holds half of a surrogate pair, which is no text", "write both halves")
    return text


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
