"""A dialect made ready for the messages of a load: what does not depend on the message is worked out once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from load.drivers.dialects.mapping import CLOSING, TERMINAL, Dialect
from load.drivers.dialects.rules import Message, Rule, Stamp, Value, event_of
from load.metrics.events import Beat, Event, Kind


@dataclass(frozen=True, slots=True)
class Meaning:
    """What all messages mean that the same rules fit.

    chunk: text is among it. closing: it says that the answer is over, and nothing else. terminal: nothing
    comes behind it. text, kind: of a chunk and nothing else; text is None for all other meanings.
    """

    rules: tuple[Rule, ...]
    chunk: bool
    closing: bool
    terminal: bool
    text: Value | None
    kind: Kind

    @classmethod
    def of(cls, rules: tuple[Rule, ...]) -> Meaning:
        """What they say together."""
        kinds = {rule.kind for rule in rules}
        alone = rules[0] if len(rules) == 1 and kinds == {"delta"} else None
        return cls(
            rules,
            chunk="delta" in kinds,
            closing=bool(kinds) and kinds <= CLOSING,
            terminal=not kinds.isdisjoint(TERMINAL),
            text=None if alone is None else alone.reader("text"),
            kind="answer" if alone is None else alone.of,
        )


NOTHING: Final = Meaning.of(())


class Speech:
    """Rules that ask the same place for different values are not all asked: its value tells which."""

    __slots__ = ("_asked", "_at", "_first", "_meanings", "_seq", "_stream", "dialect")

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self._seq = dialect.seq
        self._first = dialect.first_seq
        self._stream = dialect.stream
        self._meanings: dict[tuple[Rule, ...], Meaning] = {}
        self._at, values = _fork(dialect.rules)
        # value -> the rules that can fit, and their meaning where the value alone decides; None: any other.
        self._asked = {value: self._candidates(value) for value in (*values, None)}

    def meaning(self, message: Message) -> Meaning:
        """What a message is."""
        value = None if self._at is None else self._at(message)
        try:
            rules, decided = self._asked.get(value) or self._asked[None]
        except TypeError:  # a list or an object, for which no rule asks
            rules, decided = self._asked[None]
        if decided is not None:
            return decided
        return self._meaning(tuple([rule for rule in rules if rule.fits(message)]))

    def number(self, message: Message) -> int | None:
        """Its place in the stream, from 1 on; None where it has none."""
        if self._seq is None:
            return None
        found = self._seq(message)
        return found - self._first + 1 if type(found) is int else None

    def stream_of(self, message: Message) -> str | None:
        """The id of the stream that a message belongs to."""
        found = None if self._stream is None else self._stream(message)
        return found if isinstance(found, str) else None

    def events_of(self, message: Message, meaning: Meaning, stamp: Stamp) -> Iterator[Event]:
        """The events of one message."""
        number = self.number(message)
        for rule in meaning.rules:
            yield event_of(rule, message, stamp, number)
            number = None  # one message has one number
        if not meaning.rules:
            yield Beat(stamp[0], message.name, seq=number)

    def _candidates(self, value: object) -> tuple[tuple[Rule, ...], Meaning | None]:
        at = self._at
        rules = tuple(
            rule
            for rule in self.dialect.rules
            if all(place is not at or wanted == value for place, wanted in rule.when)
        )
        decided = all(not rule.has and all(place is at for place, _ in rule.when) for rule in rules)
        return rules, self._meaning(rules) if decided else None

    def _meaning(self, rules: tuple[Rule, ...]) -> Meaning:
        found = self._meanings.get(rules)
        if found is None:
            found = self._meanings[rules] = Meaning.of(rules)
        return found


def _fork(rules: Sequence[Rule]) -> tuple[Value | None, set[object]]:
    """The place that most rules ask for a value, and the values; None where no two ask for the same."""
    asked: dict[Value, list[object]] = defaultdict(list)
    for rule in rules:
        for place, wanted in rule.when:
            asked[place].append(wanted)
    simple = {place: wanted for place, wanted in asked.items() if not any(map(_is_compound, wanted))}
    if not simple:
        return None, set()
    place = max(simple, key=lambda one: len(simple[one]))
    return (place, set(simple[place])) if len(simple[place]) > 1 else (None, set())


def _is_compound(value: object) -> bool:
    return isinstance(value, list | dict)


def mates_of(meanings: Sequence[Meaning]) -> int:
    """How many chunks share the stamp of one read, from what each of its messages means, in order.

    What ends the answer directly behind the last chunk does not count; any other message does, since the
    stamp may be its own.
    """
    chunks = [number for number, one in enumerate(meanings) if one.chunk]
    if len(chunks) != 1:
        return max(1, len(chunks))
    return 1 if all(one.closing for one in meanings[chunks[0] + 1 :]) else 2
