"""What a request for a completion asks for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wanted:
    """said: the texts of the conversation, oldest first. most: tokens, None without a limit."""

    model: str
    said: tuple[str, ...]
    most: int | None
    stream: bool
    usage: bool
    """Also in a stream, where only who asks for it is told."""

    @property
    def last(self) -> str:
        """The message to be answered."""
        return self.said[-1]

    @property
    def word(self) -> str:
        """The first word of the message to be answered; empty if it has none."""
        return next(iter(self.last.split(maxsplit=1)), "")

    @property
    def prompt_tokens(self) -> int:
        return -(-sum(map(len, self.said)) // 4)


def wanted(body: bytes) -> Wanted:
    """Raises `ValueError`; the message says what is missing."""
    asked = json.loads(body)
    if not isinstance(asked, Mapping) or not isinstance(asked.get("model"), str):
        raise ValueError("you must provide a model parameter")
    messages = asked.get("messages")
    if not isinstance(messages, list) or not messages:
        raise ValueError("'messages' must be a list that is not empty")
    most = asked.get("max_completion_tokens", asked.get("max_tokens"))
    stream = asked.get("stream") is True
    options = asked.get("stream_options")
    return Wanted(
        asked["model"],
        tuple(map(_text, messages)),
        most if isinstance(most, int) else None,
        stream,
        not stream or (isinstance(options, Mapping) and options.get("include_usage") is True),
    )


def _text(message: object) -> str:
    """A message's text, which may be cut into parts."""
    if not isinstance(message, Mapping) or "role" not in message:
        raise ValueError("a message has a role and a content")
    content = message.get("content")
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
    return content if isinstance(content, str) else ""
