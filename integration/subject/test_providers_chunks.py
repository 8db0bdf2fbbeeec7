"""One event of a streamed chat completion, good or bad."""

from __future__ import annotations

import json

import pytest

from backend.providers.base import Usage
from backend.providers.chunks import Chunk, chunk_of
from backend.providers.failures import AttemptFailed
from backend.providers.sse import Malformed


def event(delta: object, finish: object = None, **more: object) -> str:
    return json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more})


@pytest.mark.parametrize(
    ("data", "chunk"),
    [
        (event({"content": "Hi"}), Chunk("Hi", None, None)),
        (event({"role": "assistant", "content": ""}), Chunk("", None, None)),
        (event({"content": None}), Chunk("", None, None)),
        (event({"tool_calls": [{"index": 0}]}), Chunk("", None, None)),
        (event(None, "stop"), Chunk("", "stop", None)),
        (event({}, "length"), Chunk("", "length", None)),
        (event({"content": "Hi"}, "stop"), Chunk("Hi", "stop", None)),
        (event({}, "content_filter"), Chunk("", "content_filter", None)),
        (event({}, "eos_token"), Chunk("", "stop", None)),  # an end by whatever name
        (event({"content": "Hi"}, error=None, usage=None), Chunk("Hi", None, None)),
        (json.dumps({"choices": []}), Chunk("", None, None)),
    ],
)
def test_chunk(data: str, chunk: Chunk) -> None:
    """Content, the finish, or nothing that concerns a run."""
    assert chunk_of(data) == chunk


@pytest.mark.parametrize(
    ("usage", "read"),
    [
        ({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}, Usage(3, 2, estimated=False)),
        ({"prompt_tokens": 0, "completion_tokens": 0}, Usage(0, 0, estimated=False)),
        ({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 6}, None),
        ({"prompt_tokens": -1, "completion_tokens": 2, "total_tokens": 1}, None),
        ({"prompt_tokens": 3}, None),
        ({"prompt_tokens": 3.0, "completion_tokens": 2}, None),
        ({"prompt_tokens": True, "completion_tokens": 2}, None),
        ({"prompt_tokens": "3", "completion_tokens": 2}, None),
        ({"prompt_tokens": 2**31 - 1, "completion_tokens": 0}, Usage(2**31 - 1, 0, estimated=False)),
        ({"prompt_tokens": 2**31, "completion_tokens": 0}, None),  # more than a column holds
        ({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 2**70}, None),
        ({}, None),
        ([], None),
        (7, None),
    ],
)
def test_usage(usage: object, read: Usage | None) -> None:
    """Figures that can be true, and no others."""
    assert chunk_of(json.dumps({"choices": [], "usage": usage})).usage == read


@pytest.mark.parametrize(
    "data",
    [
        "",
        "{",
        "[DONE",
        "[]",
        "null",
        '{"choices": NaN}',
        "{}",
        '{"choices": {}}',
        '{"choices": [7]}',
        '{"choices": null}',
        event("Hi"),
        event({"content": 7}),
        event({"content": ["Hi"]}),
        event({"content": {"text": "Hi"}}),
        event({"content": "\x00"}),
        r'{"choices": [{"delta": {"content": "\ud83d"}}]}',  # half a character
    ],
)
def test_malformed(data: str) -> None:
    """What is no chunk is a fault of the provider."""
    with pytest.raises(Malformed):
        chunk_of(data)


def test_reported_error() -> None:
    """An error that the provider reports is that error, whatever stands beside it."""
    with pytest.raises(AttemptFailed, match="provider_auth"):
        chunk_of(event({"content": "Hi"}, error={"code": 401}))
