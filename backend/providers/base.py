"""What a run asks of a model, and what it gets back piece by piece."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from backend.errors import ErrorCode

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


@dataclass(frozen=True, slots=True)
class Failed:
    """An attempt that ended before its first token, on the monotonic clock."""

    provider: str
    code: ErrorCode
    began_ns: int
    ended_ns: int


class Provider(Protocol):
    """Whoever answers one run. Closing the generator ends the work behind it."""

    @property
    def name(self) -> str:
        """Who is asked at this moment, or was asked last."""
        ...

    @property
    def failed(self) -> Sequence[Failed]:
        """The attempts that came to nothing."""
        ...

    @property
    def began_ns(self) -> int | None:
        """When the attempt began that answers now, or did; None: there is none."""
        ...

    def answer(self, ask: Ask) -> AsyncGenerator[Piece, None]:
        """The pieces of the answer; raises the `Problem` by which it ends early."""
        ...


def estimated_tokens(characters: int) -> int:
    """Tokens of a text by the rule of thumb of four characters each, rounded up."""
    return -(-characters // 4)
