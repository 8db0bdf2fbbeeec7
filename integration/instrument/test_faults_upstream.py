"""The scripted provider, asked over a real socket as a backend would ask it."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from integration.timing import PATIENCE_S, eventually
from load.target.child import Child

ROOT = Path(__file__).parents[2]
TEXT = "Tell me a story"


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    """A running one, and a client of it."""
    child = Child(
        "upstream",
        [sys.executable, "-m", "load.faults.upstream"],
        log=tmp_path_factory.mktemp("upstream") / "log",
        cwd=ROOT,
        env=os.environ,
    )
    try:
        url = str(child.ready_line(PATIENCE_S)["listening"])
        with httpx2.Client(base_url=url, timeout=PATIENCE_S, trust_env=False) as client:
            yield client
    finally:
        child.stop(5)


def ask(client: httpx2.Client, model: str, **more: Any) -> httpx2.Response:
    """One streamed completion, read to its end."""
    body = {"model": model, "stream": True, "messages": [{"role": "user", "content": TEXT}], **more}
    headers = {"authorization": "Bearer sk-test-0001"}
    return client.post("/v1/chat/completions", json=body, headers=headers)


def events(response: httpx2.Response) -> list[str]:
    """The data of each event."""
    return [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: ")]


def deltas(response: httpx2.Response) -> list[str]:
    """The non-empty texts, in order."""
    choices = [json.loads(event)["choices"] for event in events(response) if event != "[DONE]"]
    return [text for choice in choices if choice and (text := choice[0]["delta"].get("content"))]


def journal(client: httpx2.Client, model: str) -> list[dict[str, Any]]:
    """What was asked for under this name."""
    entries: list[dict[str, Any]] = client.get("/__admin/journal", params={"id": model}).json()
    return entries


def test_a_plain_answer(upstream: httpx2.Client) -> None:
    """Five deltas of four bytes, a reason and the end marker; the journal has a time for each."""
    model = "sim:ttft=5,n=5,gap=2,size=4,tag=plain"
    response = ask(upstream, model)
    entry = journal(upstream, model)[-1]

    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/event-stream")
    assert [len(text) for text in deltas(response)] == [4] * 5
    assert events(response)[-1] == "[DONE]"
    assert (entry["ended"], entry["tokens"], entry["key"]) == ("done", 5, "0001")
    assert entry["seed_word"] == "Tell"
    assert entry["text_sha256"] == hashlib.sha256("".join(deltas(response)).encode()).hexdigest()
    times = [entry["received_at_ns"], *entry["written_ns"], entry["ended_at_ns"]]
    assert times == sorted(times)
    assert len(times) == 7


def test_the_journal_comes_in_pages(upstream: httpx2.Client) -> None:
    """Numbers go on from page to page; behind the last entry there is an empty one."""
    for number in range(3):
        ask(upstream, f"sim:ttft=1,n=1,gap=1,tag=page-{number}")
    requests = upstream.get("/__admin/stats").json()["requests"]

    def page(after: int) -> list[int]:
        query = {"after": after, "limit": 2}
        return [one["number"] for one in upstream.get("/__admin/journal", params=query).json()]

    assert page(requests - 3) == [requests - 2, requests - 1]
    assert page(requests - 1) == [requests]
    assert page(requests) == []


def test_the_same_name_gives_the_same_text(upstream: httpx2.Client) -> None:
    """The text is a function of the name; another seed gives another."""
    first = deltas(ask(upstream, "sim:ttft=1,n=8,gap=1,seed=7"))

    assert deltas(ask(upstream, "sim:ttft=1,n=8,gap=1,seed=7")) == first
    assert deltas(ask(upstream, "sim:ttft=1,n=8,gap=1,seed=8")) != first


@pytest.mark.parametrize("status", [400, 401, 429, 500, 503])
def test_a_status_instead_of_an_answer(upstream: httpx2.Client, status: int) -> None:
    """Answered at once, with an error body."""
    response = ask(upstream, f"sim:fail={status}")

    assert response.status_code == status
    assert "error" in response.json()


def test_once_means_the_first_request_of_a_name(upstream: httpx2.Client) -> None:
    """The second is served."""
    model = "sim:ttft=1,n=2,gap=1,fail=once-503,tag=again"

    assert ask(upstream, model).status_code == 503
    assert len(deltas(ask(upstream, model))) == 2


def test_an_end_without_a_marker(upstream: httpx2.Client) -> None:
    """All text came, `[DONE]` did not."""
    response = ask(upstream, "sim:ttft=1,n=3,gap=1,fail=nodone")

    assert len(deltas(response)) == 3
    assert "[DONE]" not in events(response)


def test_an_answer_with_a_pause(upstream: httpx2.Client) -> None:
    """All text comes, the third delta 100 ms later."""
    model = "sim:ttft=1,n=4,gap=1,fail=pause@2,tag=pausing"
    response = ask(upstream, model)
    written_ns = journal(upstream, model)[-1]["written_ns"]
    gaps_ms = [(after - before) / 1e6 for before, after in itertools.pairwise(written_ns)]

    assert len(deltas(response)) == 4
    assert [gap_ms >= 100 for gap_ms in gaps_ms] == [False, True, False]


@pytest.mark.parametrize("kind", ["reset", "truncate"])
def test_an_answer_that_breaks_off(upstream: httpx2.Client, kind: str) -> None:
    """After two deltas the connection is gone, in the middle of the body."""
    model = f"sim:ttft=1,n=9,gap=1,fail={kind}@2,tag=broken"

    with pytest.raises(httpx2.TransportError):
        ask(upstream, model)

    assert journal(upstream, model)[-1]["tokens"] == 2


def test_a_client_that_leaves_is_in_the_journal(upstream: httpx2.Client) -> None:
    """When the peer closed, and that nothing is open any more."""
    model = "sim:ttft=1,n=2,gap=1,fail=stall@1,tag=left"
    body = {"model": model, "stream": True, "messages": [{"role": "user", "content": TEXT}]}
    with upstream.stream("POST", "/v1/chat/completions", json=body) as response:
        asked_ns = time.perf_counter_ns()
        next(response.iter_raw())

    entry = eventually(
        lambda: next((one for one in journal(upstream, model) if one["peer_closed_at_ns"]), None), "the end"
    )
    assert entry is not None
    assert entry["ended"] == "peer"
    assert entry["peer_closed_at_ns"] >= asked_ns
    assert upstream.get("/__admin/stats").json()["open_streams"] == 0


def test_a_script_is_played_as_written(upstream: httpx2.Client) -> None:
    """Request n plays entry n, the last one again and again."""
    played = [
        [["status", 503, {"Retry-After": "1"}, {"error": {"message": "busy"}}]],
        [
            ["sse_open", {}],
            ["role"],
            ["delta", "Hel"],
            ["comment"],
            ["delta", "lo"],
            ["finish", "stop"],
            ["done"],
        ],
    ]
    put = upstream.put("/__admin/scripts/greeting", json=played)
    first, second, third = (ask(upstream, "script:greeting") for _ in range(3))

    assert put.status_code == 200
    assert (first.status_code, first.headers["retry-after"]) == (503, "1")
    assert deltas(second) == ["Hel", "lo"]
    assert deltas(third) == ["Hel", "lo"]
    assert [entry["ended"] for entry in journal(upstream, "greeting")] == ["done"] * 3


def test_an_unknown_operation_is_refused(upstream: httpx2.Client) -> None:
    """With its name, before anything is asked for."""
    response = upstream.put("/__admin/scripts/wrong", json=[[["fly"]]])

    assert response.status_code == 422
    assert "fly" in response.text


def test_an_answer_in_pieces(upstream: httpx2.Client) -> None:
    """Behind `chunk_split 1` each byte is a chunk of its own, also those of one character."""
    told = json.dumps("é€😀", ensure_ascii=False).encode()
    split = [["chunk_split", 1], ["raw", base64.b64encode(told).decode()], ["chunk_split", 0], ["done"]]
    upstream.put("/__admin/scripts/split", json=[split])
    body = {"model": "script:split", "stream": True, "messages": [{"role": "user", "content": TEXT}]}
    with upstream.stream("POST", "/v1/chat/completions", json=body) as response:
        read = list(response.iter_raw())

    assert read == [*(bytes([byte]) for byte in told), b"data: [DONE]\n\n"]


def test_an_answer_at_a_rate(upstream: httpx2.Client) -> None:
    """Behind `rate` no faster: 200 bytes at 1000 a second take 0.2 s."""
    slow = [
        ["rate", 1000],
        ["raw", base64.b64encode(b": " + b"x" * 196 + b"\n\n").decode()],
        ["rate", 0],
        ["done"],
    ]
    upstream.put("/__admin/scripts/slow", json=[slow])
    began = time.monotonic()
    response = ask(upstream, "script:slow")

    assert events(response) == ["[DONE]"]
    assert time.monotonic() - began >= 0.2


def test_a_sim_that_splits(upstream: httpx2.Client) -> None:
    """`fail=split` gives wide characters, and each byte by itself."""
    body = {
        "model": "sim:ttft=1,n=2,gap=1,fail=split",
        "stream": True,
        "messages": [{"role": "user", "content": TEXT}],
    }
    with upstream.stream("POST", "/v1/chat/completions", json=body) as response:
        read = list(response.iter_raw())

    assert {len(one) for one in read} == {1}
    assert "é€😀".encode() in b"".join(read)
