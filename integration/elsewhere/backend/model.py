"""The model behind the desk, asked with the vendor's own client."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import openai

PATIENCE_S = float(os.environ.get("HELPDESK_PATIENCE_S", "1.0"))


class Trouble(Exception):
    """kind: what the visitor is told."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


def client() -> openai.AsyncOpenAI:
    """Set up by OPENAI_BASE_URL and OPENAI_API_KEY."""
    return openai.AsyncOpenAI(timeout=PATIENCE_S, max_retries=0)


async def words(asked: openai.AsyncOpenAI, model: str, question: str) -> AsyncIterator[str]:
    """The answer, piece by piece. Raises Trouble."""
    try:
        stream = await asked.chat.completions.create(
            model=model, messages=[{"role": "user", "content": question}], stream=True
        )
        finished = False
        async for chunk in stream:
            for choice in chunk.choices:
                if choice.delta.content:
                    yield choice.delta.content
                finished |= choice.finish_reason is not None
    except openai.APITimeoutError as error:
        raise Trouble("model_slow") from error
    except openai.RateLimitError as error:
        raise Trouble("model_busy") from error
    except openai.APIStatusError as error:
        raise Trouble("model_failed") from error
    except openai.APIConnectionError as error:
        raise Trouble("model_gone") from error
    except openai.APIError as error:
        raise Trouble("model_failed") from error
    if not finished:
        raise Trouble("model_gone")
