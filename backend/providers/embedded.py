"""The model that needs no network: `embedded/markov-1` and `embedded/echo-1`.

The text is a pure function of messages, model and seed, on every Python alike, and each piece has an absolute
due time (start + first token + n intervals), so a late piece delays none after it. There are no fault modes:
a slow agent is one whose settings say so.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import dataclass

import anyio

from backend.providers.base import Ask, Failed, Piece, Said, Usage, estimated_tokens

# Each word with the words that may follow it; after a word that is not here a sentence begins.
_FOLLOWERS: Mapping[str, Sequence[str]] = {
    "": ("the", "a", "each", "every", "this", "one", "no", "another"),
    "the": ("stream", "agent", "answer", "token", "queue", "clock", "reader", "request"),
    "a": ("stream", "slow", "token", "reader", "request", "small", "quiet", "clock"),
    "each": ("token", "answer", "request", "reader"),
    "every": ("stream", "answer", "clock", "reader"),
    "this": ("agent", "answer", "stream", "request"),
    "one": ("token", "reader", "answer", "clock"),
    "no": ("token", "request", "reader", "answer"),
    "another": ("agent", "request", "stream", "reader"),
    "slow": ("reader", "stream", "answer", "request"),
    "small": ("token", "queue", "answer", "request"),
    "quiet": ("queue", "stream", "agent", "clock"),
    "stream": ("waits", "begins", "ends.", "carries", "and"),
    "agent": ("waits", "answers.", "reads", "begins", "and"),
    "answer": ("ends.", "begins", "waits", "and", "arrives."),
    "token": ("arrives.", "waits", "follows", "and", "ends."),
    "queue": ("drains.", "waits", "grows", "and"),
    "clock": ("runs", "waits", "ends.", "and"),
    "reader": ("waits", "reads", "follows", "and", "leaves."),
    "request": ("arrives.", "waits", "begins", "ends.", "and"),
    "waits": ("for", "until", "and", "quietly."),
    "begins": ("with", "and", "again."),
    "carries": ("the", "a", "each", "another"),
    "reads": ("the", "a", "each", "every"),
    "follows": ("the", "a", "another", "each"),
    "grows": ("with", "and", "slowly."),
    "runs": ("until", "with", "and", "on."),
    "for": ("the", "a", "another", "each"),
    "with": ("the", "a", "every", "one"),
    "until": ("the", "a", "another", "every"),
    "and": ("the", "a", "another", "each"),
}
_MIX = 0x9E3779B97F4A7C15
_WORD = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class EmbeddedOptions:
    """`configuration.embedded` of an agent."""

    tokens: int = 24
    first_token_ms: int = 40
    interval_ms: int = 20
    seed: int = 0

    @classmethod
    def of(cls, options: Mapping[str, object]) -> EmbeddedOptions:
        """The options with defaults for what is absent; the schema layer has checked types and bounds."""
        known = {
            name: value
            for name in ("tokens", "first_token_ms", "interval_ms", "seed")
            if isinstance(value := options.get(name), int)
        }
        return cls(**known)


class EmbeddedProvider:
    """Answers one run."""

    name = "embedded"
    failed: Sequence[Failed] = ()

    def __init__(self) -> None:
        self.began_ns: int | None = None

    async def answer(self, ask: Ask) -> AsyncGenerator[Piece, None]:
        self.began_ns = time.monotonic_ns()
        options = EmbeddedOptions.of(ask.options)
        words = pieces_of(ask, options)
        due = anyio.current_time() + options.first_token_ms / 1000
        interval_s = options.interval_ms / 1000
        sent = 0
        for word in words:
            # Suspends also when the time has passed: no answer may hold the loop from end to end.
            await anyio.sleep_until(due)
            if sent == ask.max_tokens:
                yield Piece(finish="length", usage=usage_of(ask.messages, sent))
                return
            yield Piece(word)
            sent += 1
            due += interval_s
        if sent == 0:
            await anyio.sleep_until(due)
        yield Piece(finish="stop", usage=usage_of(ask.messages, sent))


def pieces_of(ask: Ask, options: EmbeddedOptions) -> Iterator[str]:
    """The deltas of the whole answer, whatever `max_tokens` says."""
    if ask.model == "embedded/echo-1":
        last = next((said.content for said in reversed(ask.messages) if said.author == "user"), "")
        return (match.group() for match in re.finditer(r"\s*\S+\s*", last))
    return _markov(_key(ask, options.seed), options.tokens)


def usage_of(messages: Sequence[Said], completion_tokens: int) -> Usage:
    characters = sum(len(said.content) for said in messages)
    return Usage(estimated_tokens(characters), completion_tokens, estimated=False)


def _key(ask: Ask, seed: int) -> int:
    digest = hashlib.blake2b(digest_size=8)
    for part in (
        ask.model,
        str(seed),
        *(text for said in ask.messages for text in (said.author, said.content)),
    ):
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return int.from_bytes(digest.digest(), "big")


def _markov(key: int, tokens: int) -> Iterator[str]:
    """Words from the chain, drawn by splitmix64: `random` does not promise the same draws on each Python."""
    word, state = "", key
    for number in range(tokens):
        state = (state + _MIX) & _WORD
        mixed = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 & _WORD
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB & _WORD
        draw = mixed ^ (mixed >> 31)
        starts = word not in _FOLLOWERS
        followers = _FOLLOWERS["" if starts else word]
        word = followers[draw % len(followers)]
        shown = word.capitalize() if starts or number == 0 else word
        yield shown if number == 0 else f" {shown}"
