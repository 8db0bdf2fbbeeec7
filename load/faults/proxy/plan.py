"""What is to go wrong on which connection: the words of a plan, dealt to connections by a seed.

    drop 5                       chunk 5 of each connection's first stream that has one
    drop; stall 400; clean       one of the three for each connection, all of them in every three connections
    drop 3 + stall 6 400         both on one connection
    2: cut 5 rst; clean          connection 2 is cut, all others are left alone

A number of a chunk that is left out is drawn. Seed and number of the connection decide everything.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from load.faults.proxy.refused import Refused

Mode: TypeAlias = Literal["tcp", "ws", "sse"]

CHUNKS: Final = 8
"""So many chunks a stream is taken to have where the number of one is drawn."""
ERROR_CODE: Final = "internal"


@dataclass(frozen=True, slots=True)
class Operation:
    """One fault. chunk: 0 where it belongs to no single one. what: its word. amount: ms, a count, a status or
    a close code. other: the close code that replaces `amount`."""

    kind: str
    chunk: int = 0
    what: str = ""
    amount: int = 0
    other: int = 0

    @property
    def holds_back(self) -> int | None:
        """The chunk that it makes late by `amount`; None where it makes none late."""
        return {"delay": 1, "stall": self.chunk}.get(self.kind)

    def __str__(self) -> str:
        parts = (self.kind, self.chunk, self.what, self.amount, self.other)
        return " ".join(str(part) for part in parts if part)


@dataclass(frozen=True, slots=True)
class Form:
    """How an operation is written: behind the chunk, `what` is one of these words, then come numbers."""

    chunk: bool
    words: tuple[str, ...] = ()
    amounts: int = 0
    modes: tuple[Mode, ...] = ("ws", "sse")
    first: int = 1
    """Chunk 1 has no gap before it, and no chunk behind chunk 0."""


FORMS: Final = {
    "stall": Form(True, amounts=1, first=2),
    "delay": Form(False, amounts=1),
    "drop": Form(True),
    "duplicate": Form(True),
    "reorder": Form(True),
    "corrupt": Form(True),
    "cut": Form(True, ("rst", "fin")),
    "close": Form(True, amounts=1),
    "late": Form(True),
    "mute": Form(True),
    "grow": Form(False, amounts=1),
    "inject": Form(True, ("error", "badjson", "badutf8", "ping", "comment")),
    "refuse": Form(False, amounts=1),
    "recode": Form(False, amounts=2, modes=("ws",)),
    "split": Form(True, amounts=1),
    "coalesce": Form(True, amounts=1),
}
ONLY: Final[dict[str, Mode]] = {"ping": "ws", "comment": "sse"}
CLEAN: Final = "clean"

Draw: TypeAlias = Callable[[int], int]
"""A drawn chunk, at least that one."""


@dataclass(frozen=True, slots=True)
class Item:
    """What one connection gets. connection: None for any."""

    connection: int | None
    operations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The operations of every connection; `Plan.parse` makes it."""

    text: str
    mode: Mode
    seed: int
    chunks: int
    items: tuple[Item, ...]

    @classmethod
    def parse(cls, text: str, mode: Mode, seed: int = 0, chunks: int = CHUNKS) -> Plan:
        """Raises Refused for what is no plan, or none for this mode."""
        if text.strip() and mode == "tcp":
            raise Refused("a plan needs --mode ws or sse")
        if chunks < 4:
            raise Refused("streams of fewer than 4 chunks leave nothing to draw")
        items = tuple(_item(part) for part in text.split(";") if part.strip())
        for item in items:
            for operation in item.operations:
                parse_operation(operation, mode, lambda first: first)
        return cls(text.strip(), mode, seed, chunks, items)

    def deal(self, connection: int) -> tuple[Operation, ...]:
        """What goes wrong on this connection; they count from 1."""
        named = [item for item in self.items if item.connection == connection]
        free = [item for item in self.items if item.connection is None]
        if not named and not free:
            return ()
        item = named[0] if named else self._hand(free, connection)
        # A string seeds the same in every process and version, a tuple does not.
        draws = random.Random(f"{self.seed}/{connection}")

        def draw(first: int) -> int:
            # Two before the end: there is always a chunk to change places with.
            return draws.randint(first, self.chunks - 2)

        return tuple(parse_operation(text, self.mode, draw) for text in item.operations)

    def _hand(self, items: list[Item], connection: int) -> Item:
        """Rounds of all items, each in an order of its own: every one comes as often as the others."""
        turn, place = divmod(connection - 1, len(items))
        order = list(range(len(items)))
        random.Random(f"{self.seed}/turn {turn}").shuffle(order)
        return items[order[place]]


def _item(text: str) -> Item:
    head, colon, rest = text.partition(":")
    if not colon:
        head, rest = "", text
    elif not head.strip().isdigit():
        raise Refused(f"{head.strip()!r} is no number of a connection")
    operations = tuple(part.strip() for part in rest.split("+"))
    if operations == (CLEAN,):
        operations = ()
    return Item(int(head) if colon else None, operations)


def parse_operation(text: str, mode: Mode, draw: Draw) -> Operation:
    """One operation of a plan. Raises Refused."""
    kind, *words = text.split() or [""]
    form = FORMS.get(kind)
    if form is None:
        raise Refused(f"{kind!r} is no operation: {', '.join(FORMS)}")
    if mode not in form.modes:
        raise Refused(f"{kind} has no meaning in mode {mode}")
    what = ""
    for word in words:
        if word in form.words:
            what = word
    numbers = [word for word in words if word != what]
    if any(not number.isdigit() for number in numbers) or bool(form.words) != bool(what):
        raise Refused(f"{text!r} is not {_usage(kind, form)}")
    if ONLY.get(what, mode) != mode:
        raise Refused(f"{kind} {what} has no meaning in mode {mode}")
    values = [int(number) for number in numbers]
    if form.chunk and len(values) == form.amounts:
        values.insert(0, draw(form.first))
    if len(values) != form.chunk + form.amounts:
        raise Refused(f"{text!r} is not {_usage(kind, form)}")
    chunk = values.pop(0) if form.chunk else 0
    if form.chunk and chunk < form.first:
        raise Refused(f"{kind} needs a chunk from {form.first} on")
    if 0 in values:
        raise Refused(f"{text!r}: 0 changes nothing")
    return Operation(kind, chunk, what, *values)


def _usage(kind: str, form: Form) -> str:
    words = f" {'|'.join(form.words)}" if form.words else ""
    return f"{kind}{' [k]' if form.chunk else ''}{words}{' N' * form.amounts}"
