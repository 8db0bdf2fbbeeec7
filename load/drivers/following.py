"""From the messages of a dialect to the events of one stream, over every wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from load.drivers.base import Emit, Turn
from load.drivers.dialects.mapping import TERMINAL, Dialect, mates_of
from load.drivers.dialects.rules import Message, Rule
from load.drivers.watchdog import Wait
from load.metrics.events import (
    Accepted,
    Beat,
    Closed,
    Delta,
    Errored,
    Event,
    Finish,
    Finished,
    Garbled,
    Stray,
)


def values_of(turn: Turn, values: Mapping[str, str], id_: str | None = None) -> dict[str, Any]:
    """What the places of a template are filled with."""
    said = [*turn.history, ("user", turn.prompt)]
    return {
        **values,
        "prompt": turn.prompt,
        "messages": [{"role": role, "content": content} for role, content in said],
        "session": turn.session_id,
        "seed": str(turn.seed),
        "id": id_,
    }


class Answer:
    """One stream on its way: takes the messages of each read, emits what they mean.

    id: by the peer's own word. chunks: so many have come. ended: a terminal event was emitted.
    """

    __slots__ = (
        "_dialect",
        "_emit",
        "_finishing",
        "_tokens",
        "_turn",
        "_wait",
        "chunks",
        "ended",
        "id",
        "sent_at",
    )

    def __init__(self, dialect: Dialect, turn: Turn, emit: Emit, wait: Wait, sent_at: int) -> None:
        self._dialect = dialect
        self._turn = turn
        self._emit = emit
        self._wait = wait
        self._finishing = False
        self._tokens: int | None = None
        self.id: str | None = None
        self.chunks = 0
        self.ended = False
        self.sent_at = sent_at

    def take(self, messages: Sequence[Message | None], at: int, read_at: int) -> None:
        """All messages of one read, those behind a terminal one included. None: a comment."""
        dialect, mates = self._dialect, 1
        fitting = [[] if one is None else dialect.fitting(one) for one in messages]
        if len(messages) > 1:
            mates = mates_of(fitting)
        for message, rules in zip(messages, fitting, strict=True):
            if message is None:
                self._emit(Beat(at, "comment"))
            elif message.fields is None and dialect.framing != "text" and not rules:
                self._emit(Garbled(at, f"no JSON: {message.raw[:64]!r}"))
            elif self._is_ours(message, at):
                self._one(message, rules, (at, read_at, mates))

    def _is_ours(self, message: Message, at: int) -> bool:
        named = self._dialect.stream_of(message)
        if named is None or self.id is None or named == self.id:
            return True
        self._emit(Stray(at, named))
        return False

    def _one(self, message: Message, rules: Sequence[Rule], stamp: tuple[int, int, int]) -> None:
        dialect = self._dialect
        self.id = self.id or dialect.stream_of(message)
        for rule in rules:
            if rule.kind == "usage":
                tokens = rule.field("tokens", message)
                self._tokens = tokens if type(tokens) is int else self._tokens
        for event in dialect.events_of(message, rules, stamp):
            if isinstance(event, Finished):
                self._finished(event)
            elif not self.ended or not isinstance(event, Beat | Finish):
                self._emit(event)
                self._went_on(event)
        if any(rule.kind in TERMINAL for rule in rules):
            self.ended = True

    def _went_on(self, event: Event) -> None:
        if self.ended:
            return
        if isinstance(event, Accepted):
            self.id = event.id or self.id
            self._wait.start("first_delta", self.sent_at, self._turn.limits.first_delta_ns)
        elif isinstance(event, Delta):
            self.chunks += 1
            self._wait.start("gap", event.at, self._turn.limits.gap_ns)
        elif isinstance(event, Finish):
            self._finishing = True
        elif isinstance(event, Errored):
            self.ended = True

    def _finished(self, event: Finished) -> None:
        """A marker behind an error says nothing; one without the announcement that belongs to it, no end."""
        if self.ended:
            if event.id is not None or event.text is not None:
                self._emit(event)
            return
        self.ended = True
        if self._dialect.marks_twice and not self._finishing:
            self._emit(Closed(event.at, True, None, "peer", "unfinished"))
        else:
            self._emit(event if event.tokens is not None else replace(event, tokens=self._tokens))
