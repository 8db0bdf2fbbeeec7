"""The frames a client may send, and how a bad one is told from a bad value in a good one.

`malformed_frame` is a client that does not speak the protocol (no JSON, unknown type or field, wrong type);
`invalid_request` is a value that a person may have entered.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias

import orjson
from pydantic import Field

from backend.api.body import Schema, validate
from backend.api.chat import Message, RequestId
from backend.errors import ErrorCode, Finding, Problem


class Chat(Message):
    type: Literal["chat"] = "chat"
    action: Annotated[str, Field(max_length=40)] = "stream_chat"


class Cancel(Schema):
    type: Literal["cancel"]
    execution_id: Annotated[str, Field(max_length=64)] | None = None
    request_id: RequestId | None = None


class Resume(Schema):
    type: Literal["resume"]
    execution_id: Annotated[str, Field(max_length=64)]
    last_seq: Annotated[int, Field(ge=0)]


class Ping(Schema):
    type: Literal["ping"]
    nonce: Annotated[str, Field(max_length=64)] | None = None


ClientFrame: TypeAlias = Chat | Cancel | Resume | Ping

_MODELS: Final[dict[str, type[Chat] | type[Cancel] | type[Resume] | type[Ping]]] = {
    "chat": Chat,
    "cancel": Cancel,
    "resume": Resume,
    "ping": Ping,
}
_SHAPE: Final = frozenset({"missing", "extra_forbidden"})


def read_frame(text: str) -> ClientFrame:
    """The frame; raises `malformed_frame` or `invalid_request`."""
    try:
        value: Any = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise malformed("The frame is not JSON") from None  # F1 F7
    if not isinstance(value, dict):
        raise malformed("The frame is not an object")  # F1
    kind = value.get("type", "chat" if "message" in value else None)
    model = _MODELS.get(kind) if isinstance(kind, str) else None
    if model is None:
        raise malformed(
            "The type of the frame is not known", Finding("/type", "unknown", "is not known")
        )  # F1
    try:
        frame = validate(model, value)
    except Problem as problem:
        if model is not Chat or any(_is_shape(finding) for finding in problem.errors):
            raise malformed("A field of the frame is not acceptable", *problem.errors) from None  # F1 C5
        raise
    if isinstance(frame, Cancel) and (frame.execution_id is None) == (frame.request_id is None):
        raise malformed("A cancel names its execution_id or its request_id")  # F1
    return frame


def malformed(detail: str, *errors: Finding) -> Problem:
    return Problem(ErrorCode.MALFORMED_FRAME, detail, errors=errors)


def request_id_of(text: str) -> str | None:
    """The `request_id` of a frame that was refused, so that its client knows which one is meant."""
    try:
        value: Any = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    found = value.get("request_id") if isinstance(value, dict) else None
    return found if isinstance(found, str) and 1 <= len(found) <= 64 else None


def _is_shape(finding: Finding) -> bool:
    return finding.code in _SHAPE or finding.code.endswith("_type")
