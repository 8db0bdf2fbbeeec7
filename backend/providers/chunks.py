"""One event of a chat completion that is streamed, read and checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import orjson

from backend.providers.base import FinishReason, Usage
from backend.providers.failures import reported
from backend.providers.sse import Malformed

Reason = FinishReason | Literal["content_filter"]
_MOST_TOKENS: Final = 2**31 - 1  # what a column holds


@dataclass(frozen=True, slots=True)
class Chunk:
    text: str
    finish: Reason | None
    usage: Usage | None  # None also when what stands there is of no use


def chunk_of(data: str) -> Chunk:
    """Raises `Malformed` for what is no chunk, and `AttemptFailed` for an error that the provider reports."""
    try:
        event = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise Malformed("an event is not JSON") from None  # P12
    if not isinstance(event, dict):
        raise Malformed("an event is not an object")
    if event.get("error"):
        raise reported(event["error"])  # P15
    choices = event.get("choices")
    if not isinstance(choices, list):
        raise Malformed("an event without choices")
    usage = event.get("usage")
    text, finish = _choice(choices[0]) if choices else ("", None)
    return Chunk(text, finish, None if usage is None else _usage(usage))


def _choice(choice: object) -> tuple[str, Reason | None]:
    if not isinstance(choice, dict):
        raise Malformed("a choice is not an object")
    delta = choice.get("delta")
    content = delta.get("content") if isinstance(delta, dict) else None
    if not isinstance(content or "", str) or not isinstance(delta or {}, dict):
        raise Malformed("a delta is not one")
    text: str = content or ""
    if "\x00" in text:
        raise Malformed("U+0000 in a text")  # a database could not keep it
    reason = choice.get("finish_reason")
    if reason is None or reason == "length" or reason == "content_filter":
        return text, reason
    return text, "stop"  # also by any other name: the answer is whole


def _usage(usage: object) -> Usage | None:
    """The provider's own figures, if they can be true."""
    if not isinstance(usage, dict):
        return None
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
    total = usage.get("total_tokens")
    if type(prompt) is not int or type(completion) is not int:
        return None
    if min(prompt, completion) < 0 or max(prompt, completion) > _MOST_TOKENS:
        return None
    if total is not None and total != prompt + completion:
        return None
    return Usage(prompt, completion, estimated=False)  # P18
