"""What a run asks of a model, and what it gets back piece by piece."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class Said:
    """One message of the conversation, oldest first."""

    author: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Usage:
    prompt_tokens: int
    completion_tokens: int
    estimated: bool  # counted by characters here, because the provider gave no usable figure


@dataclass(frozen=True, slots=True)
class Ask:
    """One answer to be generated; `options` is the agent's own configuration, unread by the run."""

    model: str
    messages: tuple[Said, ...]
    max_tokens: int
    temperature: float | None
    options: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Piece:
    """One step of an answer; `finish` stands on the last. Empty text is no content for any clock."""

    text: str = ""
    finish: FinishReason | None = None
    usage: Usage | None = None


class Provider(Protocol):
    """A source of answers. Closing the generator ends the work behind it."""

    @property
    def name(self) -> str: ...

    def serves(self, model: str) -> bool: ...

    def answer(self, ask: Ask) -> AsyncGenerator[Piece, None]: ...


def estimated_tokens(characters: int) -> int:
    """Tokens of a text by the rule of thumb of four characters each, rounded up."""
    return -(-characters // 4)
