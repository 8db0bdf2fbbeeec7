"""One request to an OpenAI-compatible provider, and the answer that it streams.

    until the first token   any failure is an `AttemptFailed`: somebody may be asked again
    from then on            a `Problem`: what was said was said, and nothing is asked twice

No clock runs here but those of connecting and of the good-bye: what comes on the wire besides content
(comments, roles, keep-alive) would wind any other.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final, Self

import aiohttp
import anyio
import orjson

from backend import telemetry
from backend.errors import ErrorCode, Problem
from backend.providers.base import Ask, Piece, Usage, estimated_tokens
from backend.providers.chunks import Chunk, chunk_of
from backend.providers.failures import AttemptFailed, Then, broken, lost, refused, retry_after
from backend.providers.sse import Decoder, Malformed
from backend.settings import ProviderEntry, Settings

# The answer is whole by then: for its usage and end mark, and then for the end of the body (with which the
# connection can be used again), a client is not kept waiting for long.
_TAIL_S: Final = 0.5
_END_S: Final = 0.05

_LOSSES: Final[tuple[tuple[type[aiohttp.ClientError], str], ...]] = (
    (aiohttp.ClientConnectorError, "no connection"),
    (aiohttp.ConnectionTimeoutError, "no connection in time"),
    (aiohttp.ClientError, "connection lost"),
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an entry of the settings leads; only the headers know its key."""

    name: str
    url: str
    headers: Mapping[str, str] = field(repr=False)

    @classmethod
    def of(cls, entry: ProviderEntry) -> Self:
        headers = {
            "Accept": "text/event-stream",
            "Accept-Encoding": "identity",
            "Content-Type": "application/json",
        }
        if entry.api_key is not None:
            headers["Authorization"] = f"Bearer {entry.api_key.get_secret_value()}"
        return cls(entry.name, f"{entry.base_url.rstrip('/')}/chat/completions", headers)


class OpenAIClient:
    """Asks any provider of that kind, over one pool of connections; made where the event loop runs.

    No redirects, no proxies of the environment, no decompression, and no cookies: all users would share them.
    """

    def __init__(self, settings: Settings) -> None:
        self._most_event_bytes = settings.max_event_bytes
        self._session = aiohttp.ClientSession(
            # As many connections as there are runs, and these are counted elsewhere.
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=settings.connect_timeout),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )

    async def aclose(self) -> None:
        await self._session.close()

    async def attempt(self, endpoint: Endpoint, ask: Ask) -> AsyncGenerator[Piece, None]:
        """Asks once. Leaving early closes the connection to the provider."""
        characters = 0
        try:
            async with self._session.post(
                endpoint.url, data=_body(ask), headers=endpoint.headers, allow_redirects=False
            ) as response:
                _check(response)
                stream = _Stream(response, self._most_event_bytes)
                async with aclosing(stream.chunks()) as chunks:
                    async for chunk in chunks:
                        if chunk.text:
                            characters += len(chunk.text)
                            yield Piece(chunk.text)
                        if chunk.finish is not None:
                            break
                    else:
                        raise lost("ended without a finish reason")  # P10
                    usage = await stream.tail(chunks, chunk.usage)
        except AttemptFailed as failure:
            if characters:
                raise Problem(
                    ErrorCode.PROVIDER_STREAM_INTERRUPTED, failure.detail
                ) from failure  # P9 P10 P15
            raise
        except Malformed as fault:
            if characters:
                raise Problem(ErrorCode.PROVIDER_PROTOCOL, str(fault)) from fault  # P12 P14
            raise broken(str(fault)) from fault  # P12 P14
        except aiohttp.ClientError as error:  # P1 P9 P10
            if characters:
                raise Problem(ErrorCode.PROVIDER_STREAM_INTERRUPTED) from error  # P9 P10
            raise lost(next(text for kind, text in _LOSSES if isinstance(error, kind))) from error
        if chunk.finish == "content_filter":
            if characters:
                raise Problem(ErrorCode.PROVIDER_BAD_REQUEST, "content filter")
            raise AttemptFailed(ErrorCode.PROVIDER_BAD_REQUEST, Then.STOP, "content filter")
        yield Piece(finish=chunk.finish, usage=usage or _estimated(ask, characters))  # P18


def _body(ask: Ask) -> bytes:
    body: dict[str, object] = {
        "model": ask.model,
        "messages": [{"role": said.author, "content": said.content} for said in ask.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": ask.max_tokens,
    }
    if ask.temperature is not None:
        body["temperature"] = ask.temperature
    return orjson.dumps(body)


def _check(response: aiohttp.ClientResponse) -> None:
    """Raises the failure of an answer that is no event stream; its body is not read."""
    headers = response.headers
    if response.status != 200:
        raise refused(response.status, retry_after(headers.get("retry-after")))  # P2 P3 P4 P5
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise broken("a compressed body")  # P23
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "text/event-stream":
        raise broken("not an event stream")  # P13


def _estimated(ask: Ask, characters: int) -> Usage:
    asked = sum(len(said.content) for said in ask.messages)
    return Usage(estimated_tokens(asked), estimated_tokens(characters), estimated=True)


class _Stream:
    """The body of one answer."""

    def __init__(self, response: aiohttp.ClientResponse, most_event_bytes: int) -> None:
        self._reads = response.content.iter_any()
        self._decoder = Decoder(most_event_bytes)
        self._done = False

    async def chunks(self) -> AsyncGenerator[Chunk, None]:
        """Until the end mark, or the end of the body."""
        async for read in self._reads:
            for data in self._decoder.feed(read):  # P17
                if data == "[DONE]":
                    self._done = True
                    with anyio.move_on_after(_END_S):
                        async for _ in self._reads:
                            pass
                    return
                yield chunk_of(data)

    async def tail(self, chunks: AsyncGenerator[Chunk, None], usage: Usage | None) -> Usage | None:
        """What comes behind the finish: the usage, if there is any."""
        with anyio.move_on_after(_TAIL_S):
            try:
                async for chunk in chunks:
                    usage = chunk.usage or usage
            except aiohttp.ClientError:
                pass  # P11
        if not self._done:
            telemetry.provider_missing_done_total.inc()  # P11
        return usage
