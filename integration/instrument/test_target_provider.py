"""The scripted provider as a run has it: started, asked, read, stopped."""

from __future__ import annotations

import gzip
import json
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest

from integration.timing import PATIENCE_S, eventually
from load.errors import InvalidRun
from load.target.provider import Provider

MODEL = "sim:ttft=1,n=3,gap=1,seed=msg"


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    running = Provider(tmp_path)
    yield running
    running.stop()


def ask(provider: Provider, message: str, model: str = MODEL) -> None:
    """One streamed completion, read as far as it goes."""
    body = {"model": model, "stream": True, "messages": [{"role": "user", "content": message}]}
    with suppress(httpx2.TransportError):
        httpx2.post(f"{provider.url}/v1/chat/completions", json=body, timeout=PATIENCE_S, trust_env=False)


def test_the_journal_is_read_whole_and_kept(provider: Provider, tmp_path: Path) -> None:
    """More entries than a page holds, oldest first; the file has what the provider told."""
    for number in range(3):
        ask(provider, f"word{number} and more")
    ask(provider, "cut short", f"{MODEL},fail=reset@2")
    journal = provider.end(tmp_path, page=2)

    words = ["word0", "word1", "word2", "cut"]
    assert [(one.word, len(one.written_ns), one.ended) for one in journal.entries] == [
        *((word, 3, "done") for word in words[:3]),
        ("cut", 2, "rst"),
    ]
    assert (journal.forgotten, journal.open_streams) == (0, 0)
    with gzip.open(tmp_path / "journal.jsonl.gz", "rt") as file:
        assert [json.loads(line)["seed_word"] for line in file] == words


def test_a_dead_provider_is_named_and_has_no_journal(provider: Provider, tmp_path: Path) -> None:
    """How it died; the run cannot tell what it was asked."""
    assert provider.death() is None
    os.kill(provider.pid, signal.SIGKILL)
    death = eventually(provider.death, "the death")

    assert str(death).startswith("the scripted provider died")
    assert str(death).endswith("(SIGKILL)")
    with pytest.raises(InvalidRun, match="the provider's journal cannot be read"):
        provider.end(tmp_path)


def test_nothing_listens_at_the_closed_address(provider: Provider) -> None:
    """It is held, so nobody else can begin to."""
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(provider.closed_url, trust_env=False)
