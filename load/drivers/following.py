"""From the messages of a dialect to the events of one stream, over every wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from load.drivers.base import Emit, Turn
from load.drivers.dialects.rules import Message, Stamp
from load.drivers.dialects.speech import NOTHING, Meaning, Speech, mates_of
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

    id: by the peer's own word. chunks: so many have come. ended: a terminal event was emitted. former: the
    answer before on the same connection, whose late messages are its own.
    """

    __slots__ = (
        "_emit",
        "_finishing",
        "_speech",
        "_tokens",
        "_turn",
        "_wait",
        "chunks",
        "ended",
        "former",
        "id",
        "sent_at",
    )

    def __init__(
        self,
        speech: Speech,
        turn: Turn,
        emit: Emit,
        wait: Wait,
        sent_at: int,
        former: Answer | None = None,
    ) -> None:
        self._speech = speech
        self._turn = turn
        self._emit = emit
        self._wait = wait
        self._finishing = False
        self._tokens: int | None = None
        self.id: str | None = None
        self.chunks = 0
        self.ended = False
        self.sent_at = sent_at
        self.former = former

    def take(self, messages: Sequence[Message | None], at: int, read_at: int) -> None:
        """All messages of one read, those behind a terminal one included. None: a comment."""
        speech, mates = self._speech, 1
        meanings = [NOTHING if one is None else speech.meaning(one) for one in messages]
        if len(messages) > 1:
            mates = mates_of(meanings)
        for message, meaning in zip(messages, meanings, strict=True):
            if message is None:
                self._emit(Beat(at, "comment"))
                continue
            named = speech.stream_of(message)
            if meaning.text is not None and (named is None or named == self.id):
                text = meaning.text(message)
                if isinstance(text, str) and text:
                    self._chunk(Delta(at, read_at, speech.number(message), text, meaning.kind, mates))
                    continue
            self._other(message, meaning, named, (at, read_at, mates))

    def _chunk(self, delta: Delta) -> None:
        self._emit(delta)
        if not self.ended:
            self.chunks += 1
            self._wait.start("gap", delta.at, self._turn.limits.gap_ns)

    def _other(self, message: Message, meaning: Meaning, named: str | None, stamp: Stamp) -> None:
        """A message that is no ordinary chunk."""
        speech = self._speech
        if message.fields is None and speech.dialect.framing != "text" and not meaning.rules:
            self._emit(Garbled(stamp[0], f"no JSON: {message.raw[:64]!r}"))
            return
        if named is not None and named != self.id:
            if self.former is not None and named == self.former.id:
                self.former.take([message], stamp[0], stamp[1])
                return
            if self.id is not None:
                self._emit(Stray(stamp[0], named))
                return
        self.id = self.id or named
        for rule in meaning.rules:
            if rule.kind == "usage":
                tokens = rule.field("tokens", message)
                self._tokens = tokens if type(tokens) is int else self._tokens
        for event in speech.events_of(message, meaning, stamp):
            if isinstance(event, Delta):
                self._chunk(event)
            elif isinstance(event, Finished):
                self._finished(event)
            elif not self.ended:
                self._emit(event)
                self._went_on(event)
            elif not isinstance(event, Beat | Finish):
                self._emit(event)
        if meaning.terminal:
            self.ended = True

    def _went_on(self, event: Event) -> None:
        if isinstance(event, Accepted):
            self.id = event.id or self.id
            self._wait.start("first_delta", self.sent_at, self._turn.limits.first_delta_ns)
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
        if self._speech.dialect.marks_twice and not self._finishing:
            self._emit(Closed(event.at, True, None, "peer", "unfinished"))
        else:
            self._emit(event if event.tokens is not None else replace(event, tokens=self._tokens))
