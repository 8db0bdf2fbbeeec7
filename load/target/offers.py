"""Which paths of an OpenAPI document look like a chat, and what a request to them must hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

PROMPTS: Final = ("message", "prompt", "question", "query", "input", "text", "content", "q")
SESSIONS: Final = (
    "session_id",
    "thread_id",
    "conversation_id",
    "chat_id",
    "session",
    "thread",
    "conversation",
)
WORDS: Final = ("chat", "stream", "completion", "answer", "ask", "message", "generate", "respond")
STREAMING: Final = ("text/event-stream", "application/x-ndjson", "application/jsonl")


@dataclass(frozen=True, slots=True)
class Offer:
    """A path that takes a message. body: a request with places. doubts: fields that were filled by guess."""

    path: str
    body: Mapping[str, Any]
    rank: int
    doubts: tuple[str, ...] = field(default=())


def offers(openapi: Mapping[str, Any]) -> list[Offer]:
    """The likeliest first; empty where nothing takes a message."""
    found = list(_offers(openapi))
    return sorted(found, key=lambda offer: -offer.rank)


def _offers(openapi: Mapping[str, Any]) -> Iterator[Offer]:
    for path, operations in openapi.get("paths", {}).items():
        post = operations.get("post")
        if not isinstance(post, dict):
            continue
        schema = _schema(openapi, post.get("requestBody", {}).get("content", {}).get("application/json", {}))
        body, doubts, speaks = _body(openapi, schema)
        if not speaks:
            continue
        rank = sum(word in path.lower() for word in WORDS)
        answers = post.get("responses", {}).get("200", {}).get("content", {})
        rank += 5 * any(kind in answers for kind in STREAMING)
        yield Offer(path, body, rank, tuple(doubts))


def _schema(openapi: Mapping[str, Any], holder: Mapping[str, Any]) -> Mapping[str, Any]:
    schema = holder.get("schema", holder)
    if "$ref" in schema:
        found: Any = openapi
        for step in schema["$ref"].removeprefix("#/").split("/"):
            found = found.get(step, {})
        return _schema(openapi, found)
    return schema if isinstance(schema, dict) else {}


def _body(openapi: Mapping[str, Any], schema: Mapping[str, Any]) -> tuple[dict[str, Any], list[str], bool]:
    """The body, what is doubtful in it, and whether it holds a message at all."""
    properties: Mapping[str, Any] = schema.get("properties", {})
    needed = schema.get("required", [])
    body: dict[str, Any] = {}
    doubts: list[str] = []
    prompt = next((name for name in PROMPTS if name in properties), None)
    if prompt is not None:
        body[prompt] = "{prompt}"
    if "messages" in properties:
        body["messages"] = "{messages}"
    for name, holder in properties.items():
        if name in body:
            continue
        if name == "model":
            body[name] = "{model}"
        elif name in SESSIONS:
            body[name] = "{session}"
        elif name == "stream":
            body[name] = True
        elif name in needed:
            body[name] = _example(_schema(openapi, holder))
            doubts.append(f"{name} = {body[name]!r} in request.body is a guess")
    return body, doubts, prompt is not None or "messages" in properties


def _example(schema: Mapping[str, Any]) -> Any:
    for name in ("default", "const", "example"):
        if name in schema:
            return schema[name]
    for name in ("enum", "examples"):
        if schema.get(name):
            return schema[name][0]
    kinds = {
        "integer": max(1, int(schema.get("minimum", 1))),
        "number": 1.0,
        "boolean": True,
        "array": [],
        "object": {},
    }
    return kinds.get(str(schema.get("type")), "x")
