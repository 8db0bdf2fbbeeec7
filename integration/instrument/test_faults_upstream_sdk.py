"""The scripted provider, used by a vendor's own client: what it accepts, a provider of ours must accept."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest
from openai import OpenAI
from openai.types import Model
from openai.types.chat import (
    ChatCompletion,
    ChatCompletionStreamOptionsParam,
    ChatCompletionUserMessageParam,
)
from openai.types.chat.chat_completion_chunk import ChatCompletionChunk

from integration.timing import PATIENCE_S
from integration.upstream import Upstream, scripted

SAID: list[ChatCompletionUserMessageParam] = [{"role": "user", "content": "Tell me a story"}]
USAGE = {"completion_tokens": 5, "prompt_tokens": 4, "total_tokens": 9}
MODEL = "sim:ttft=5,n=5,gap=2,size=4,seed=7"


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    with scripted(tmp_path_factory.mktemp("upstream")) as running:
        yield running


@pytest.fixture(scope="module")
def sdk(upstream: Upstream) -> Iterator[OpenAI]:
    """The client, which compares answers with its types, and tries nothing again."""
    with OpenAI(
        base_url=upstream.base_url,
        api_key="sk-test-0001",
        timeout=PATIENCE_S,
        max_retries=0,
        _strict_response_validation=True,
    ) as client:
        yield client


def streamed(sdk: OpenAI, model: str, *, usage: bool = False) -> list[ChatCompletionChunk]:
    """All chunks of an answer."""
    options: ChatCompletionStreamOptionsParam = {"include_usage": usage}
    stream = sdk.chat.completions.create(model=model, messages=SAID, stream=True, stream_options=options)
    with stream:
        return list(stream)


def text_of(chunks: list[ChatCompletionChunk]) -> str:
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


def whole(sdk: OpenAI, model: str) -> ChatCompletion:
    return sdk.chat.completions.create(model=model, messages=SAID)


def test_a_stream(sdk: OpenAI) -> None:
    """Chunks of one id, a role first, then five texts, then the reason."""
    chunks = streamed(sdk, MODEL)
    deltas = [chunk.choices[0].delta for chunk in chunks]

    assert {chunk.id for chunk in chunks} == {chunks[0].id}
    assert {(chunk.object, chunk.model) for chunk in chunks} == {("chat.completion.chunk", MODEL)}
    assert [delta.role for delta in deltas] == ["assistant", *[None] * 6]
    assert [len(delta.content or "") for delta in deltas] == [0, 4, 4, 4, 4, 4, 0]
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [*[None] * 6, "stop"]
    assert [chunk.usage for chunk in chunks] == [None] * 7


def test_usage_comes_in_a_chunk_of_its_own_when_it_is_asked_for(sdk: OpenAI) -> None:
    """The last one, without choices."""
    *rest, last = streamed(sdk, MODEL, usage=True)

    assert last.choices == []
    assert last.usage is not None
    assert last.usage.to_dict() == USAGE
    assert [chunk.usage for chunk in rest] == [None] * 7


def test_without_a_stream_the_same_text_is_one_answer(sdk: OpenAI) -> None:
    """With reason and usage."""
    answer = whole(sdk, MODEL)
    [choice] = answer.choices

    assert choice.message.content == text_of(streamed(sdk, MODEL))
    assert choice.message.role == "assistant"
    assert (choice.finish_reason, choice.index) == ("stop", 0)
    assert (answer.object, answer.model) == ("chat.completion", MODEL)
    assert answer.usage is not None
    assert answer.usage.to_dict() == USAGE


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
def test_a_limit_ends_an_answer(sdk: OpenAI, limit: str) -> None:
    """Two of five tokens, and the reason is `length`; both names of the limit are known."""
    stream = sdk.chat.completions.create(model=MODEL, messages=SAID, stream=True, extra_body={limit: 2})
    with stream:
        chunks = list(stream)

    assert [len(chunk.choices[0].delta.content or "") for chunk in chunks] == [0, 4, 4, 0]
    assert chunks[-1].choices[0].finish_reason == "length"


def test_a_message_in_parts(sdk: OpenAI) -> None:
    """Is the message that the parts make together: a model that listens answers the same."""
    parts: list[ChatCompletionUserMessageParam] = [
        {
            "role": "user",
            "content": [{"type": "text", "text": "Tell me"}, {"type": "text", "text": " a story"}],
        }
    ]
    model = "sim:ttft=1,n=5,gap=1,seed=msg"
    answer = sdk.chat.completions.create(model=model, messages=parts)

    assert answer.choices[0].message.content == whole(sdk, model).choices[0].message.content


def test_models(sdk: OpenAI, upstream: Upstream) -> None:
    """The list has `sim:` and each stored script."""
    upstream.put("listed", [["delta", "Hello"], ["finish", "stop"], ["done"]])
    models = list(sdk.models.list())

    assert {type(model) for model in models} == {Model}
    assert {model.id for model in models} >= {"sim:", "script:listed"}


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (409, openai.ConflictError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_a_refusal_is_the_error_of_its_status(
    sdk: OpenAI, status: int, error: type[openai.APIStatusError], stream: bool
) -> None:
    """With the message and the type of the body."""
    with pytest.raises(error) as refused:
        sdk.chat.completions.create(model=f"sim:fail={status}", messages=SAID, stream=stream)

    assert type(refused.value) is error
    assert refused.value.status_code == status
    assert refused.value.body == {
        "message": "as asked",
        "type": refused.value.type,
        "param": None,
        "code": None,
    }


def test_an_unknown_model_is_not_found(sdk: OpenAI) -> None:
    """As is a script that nobody has stored."""
    codes = []
    for model in ("gpt-0", "script:nobody"):
        with pytest.raises(openai.NotFoundError) as refused:
            streamed(sdk, model)
        codes.append(refused.value.code)

    assert codes == ["model_not_found"] * 2


def test_a_request_without_messages_is_bad(sdk: OpenAI) -> None:
    """The error says what is missing."""
    with pytest.raises(openai.BadRequestError, match="'messages'"):
        sdk.chat.completions.create(model=MODEL, messages=[], stream=True)


def test_retry_after_is_obeyed(sdk: OpenAI, upstream: Upstream) -> None:
    """A client that may try once more waits the second it was told to, and is served."""
    refusal = [
        "status",
        429,
        {"Retry-After": "1"},
        {"error": {"message": "busy", "type": "rate_limit_error"}},
    ]
    model = upstream.put("busy", [refusal], [["delta", "Hello"], ["finish", "stop"], ["done"]])
    chunks = streamed(sdk.with_options(max_retries=1), model)
    first, second = upstream.ended("busy", 2)

    assert text_of(chunks) == "Hello"
    assert second["received_at_ns"] - first["received_at_ns"] >= 1_000_000_000


def test_an_error_inside_a_stream(sdk: OpenAI) -> None:
    """Is raised behind the two chunks that came before it."""
    model = "sim:ttft=1,n=9,gap=1,fail=errorevent@2"
    with sdk.chat.completions.create(model=model, messages=SAID, stream=True) as stream:
        seen = [next(stream) for _ in range(3)]
        with pytest.raises(openai.APIError, match="as asked") as failed:
            next(stream)

    assert len(text_of(seen)) == 12
    assert failed.value.type == "server_error"


def test_an_error_without_a_stream_is_a_status(sdk: OpenAI) -> None:
    """Nothing was sent yet, so the same failure is an ordinary 500."""
    with pytest.raises(openai.InternalServerError, match="as asked"):
        whole(sdk, "sim:ttft=1,n=9,gap=1,fail=errorevent@2")


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_a_reset_is_a_lost_connection(sdk: OpenAI, upstream: Upstream, stream: bool) -> None:
    """In the middle of an answer, or instead of one."""
    model = f"sim:ttft=1,n=9,gap=1,fail=reset@2,tag=sdk-{stream}"
    with pytest.raises(openai.APIConnectionError):
        streamed(sdk, model) if stream else whole(sdk, model)

    assert [entry["ended"] for entry in upstream.ended(model, 1)] == ["rst"]


def test_a_client_that_leaves_is_seen(sdk: OpenAI, upstream: Upstream) -> None:
    """Closing the stream closes the connection; the journal knows."""
    model = "sim:ttft=1,n=2,gap=1,fail=stall@1,tag=sdk-left"
    with sdk.chat.completions.create(model=model, messages=SAID, stream=True) as stream:
        next(stream)
    [entry] = upstream.ended(model, 1)

    assert entry["ended"] == "peer"
    assert entry["key"] == "0001"
