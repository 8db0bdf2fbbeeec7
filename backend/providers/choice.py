"""Who answers a model, in which order, and who is asked when one of them fails.

Embedded models are answered here; all others by the entries of `PROVIDERS` that serve them, in their order.
Until the first token the same one is asked again, or the next one, as the failure advises (`failures.Then`).
The clocks of the run go on meanwhile: they know nothing of attempts.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Self

import anyio

from backend.providers.base import Ask, Failed, Piece, Provider
from backend.providers.embedded import EmbeddedProvider
from backend.providers.failures import AttemptFailed, Then
from backend.providers.openai import Endpoint, OpenAIClient
from backend.settings import ProviderEntry, Settings


class Providers:
    """All of the process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._entries = [(entry, Endpoint.of(entry)) for entry in settings.providers]
        self._client: OpenAIClient | None = None

    async def __aenter__(self) -> Self:
        if self._entries:
            self._client = OpenAIClient(self._settings)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._client is not None:
            await self._client.aclose()

    def choose(self, model: str) -> Provider | None:
        """Who answers one run with that model; None if nobody does."""
        if model.startswith("embedded/"):
            return EmbeddedProvider()
        endpoints = [endpoint for entry, endpoint in self._entries if serves(entry, model)]
        if self._client is None or not endpoints:
            return None
        return Chain(self._client, endpoints, self._settings)


def serves(entry: ProviderEntry, model: str) -> bool:
    """Whether one of its names is the model's, or a beginning of it that ends with `*`."""
    return any(model.startswith(name[:-1]) if name.endswith("*") else model == name for name in entry.models)


class Chain:
    """The candidates of one run, asked one behind the other until one of them speaks."""

    def __init__(self, client: OpenAIClient, endpoints: Sequence[Endpoint], settings: Settings) -> None:
        self.name = endpoints[0].name
        self.failed: list[Failed] = []
        self.began_ns: int | None = None
        self._client = client
        self._endpoints = endpoints
        self._attempts = settings.provider_max_attempts
        self._longest_pause_s = settings.retry_after_cap

    async def answer(self, ask: Ask) -> AsyncGenerator[Piece, None]:
        following = iter(self._endpoints)
        endpoint, asked = next(following), 0
        while True:
            self.name, self.began_ns = endpoint.name, time.monotonic_ns()
            asked += 1
            pause_s = 0.0
            try:
                async with aclosing(self._client.attempt(endpoint, ask)) as pieces:
                    async for piece in pieces:
                        yield piece
                return
            except AttemptFailed as failure:  # P20
                self.failed.append(Failed(endpoint.name, failure.code, self.began_ns, time.monotonic_ns()))
                self.began_ns = None
                if self._again(failure, asked):
                    pause_s = failure.retry_after_s or 0.0
                else:
                    another = None if failure.then is Then.STOP else next(following, None)
                    if another is None:
                        raise failure.problem() from failure  # P1 P2 P3 P4 P5
                    endpoint, asked = another, 0  # P20
            await anyio.sleep(pause_s)

    def _again(self, failure: AttemptFailed, asked: int) -> bool:
        return (
            failure.then is Then.AGAIN
            and asked < self._attempts
            and (failure.retry_after_s or 0.0) <= self._longest_pause_s
        )
