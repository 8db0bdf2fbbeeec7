"""Who may answer a model."""

from __future__ import annotations

import anyio
import pytest

from backend.providers.choice import Providers, serves
from backend.providers.openai import Endpoint
from backend.settings import ProviderEntry, Settings

KEY = "sk-0123456789"


def entry(*models: str, name: str = "main", base_url: str = "http://127.0.0.1:9/v1") -> ProviderEntry:
    return ProviderEntry.model_validate(
        {"name": name, "base_url": base_url, "models": models, "api_key": KEY}
    )


@pytest.mark.parametrize(
    ("models", "model", "served"),
    [
        (["gpt-5"], "gpt-5", True),
        (["gpt-5"], "gpt-5-mini", False),
        (["gpt-*"], "gpt-5", True),
        (["gpt-*"], "gpt-", True),
        (["gpt-*"], "gpt", False),
        (["gpt-*"], "my-gpt-5", False),
        (["a", "b*"], "bc", True),
        (["*"], "anything", True),
    ],
)
def test_serves(models: list[str], model: str, served: bool) -> None:
    """A name is exact, or with `*` behind it a beginning."""
    assert serves(entry(*models), model) is served


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("embedded/markov-1", "embedded"),  # never sent anywhere
        ("gpt-5", "first"),
        ("other", "second"),
        ("none", None),
    ],
)
def test_choose(model: str, name: str | None) -> None:
    """The first entry that serves the model begins; without one there is nobody."""
    settings = Settings(
        providers=(entry("gpt-*", "embedded/*", name="first"), entry("gpt-5", "other", name="second"))
    )

    async def chosen() -> str | None:
        async with Providers(settings) as providers:
            provider = providers.choose(model)
            return None if provider is None else provider.name

    assert anyio.run(chosen) == name


def test_nobody_is_configured() -> None:
    """A fresh install answers embedded models alone."""

    async def chosen() -> list[bool]:
        async with Providers(Settings()) as providers:
            return [providers.choose(model) is None for model in ("embedded/echo-1", "gpt-5")]

    assert anyio.run(chosen) == [False, True]


@pytest.mark.parametrize("base_url", ["http://h/v1", "http://h/v1/"])
def test_endpoint(base_url: str) -> None:
    """The path goes behind the base, and the key into a header that is not shown."""
    endpoint = Endpoint.of(entry("m", base_url=base_url))

    assert endpoint.url == "http://h/v1/chat/completions"
    assert endpoint.headers["Authorization"] == f"Bearer {KEY}"
    assert KEY not in repr(endpoint)
