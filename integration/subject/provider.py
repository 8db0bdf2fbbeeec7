"""A server between clients and a scripted provider, and turns that go wrong on the provider's side.

`play` runs many cases at the same time, each twice: over a WebSocket and as an HTTP chat, with a user, an
agent and a script of its own. Behind each comes a turn that must be served: on the same connection, or by
another user. What was seen from all sides is kept, for tests to look at.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import anyio
import anyio.to_thread
import httpx2
import psutil  # type: ignore[import-untyped]
from websockets.exceptions import WebSocketException

from integration.covered import Measured
from integration.proxied import proxied
from integration.subject import stage
from integration.subject.clients import Agent, Caller, Frame, Service, answer_of, say
from integration.subject.stage import assert_row, assert_whole, ended
from integration.upstream import Entry, Script, Upstream, scripted

FIRST_TOKEN_MS = 2500
INTER_CHUNK_MS = 800
TOTAL_MS = 4000
CONNECT_MS = 600
ATTEMPTS = 2
EVENT_BYTES = 8192
ANSWER_BYTES = 4000
SETTINGS = {
    "BACKEND_FIRST_TOKEN_TIMEOUT": "2.5",
    "BACKEND_INTER_CHUNK_TIMEOUT": "0.8",
    "BACKEND_TOTAL_DEADLINE": "4",
    "BACKEND_CONNECT_TIMEOUT": "0.6",
    "BACKEND_RETRY_AFTER_CAP": "1",
    "BACKEND_MAX_EVENT_BYTES": str(EVENT_BYTES),
    "BACKEND_MAX_RESPONSE_BYTES": str(ANSWER_BYTES),
    "BACKEND_MAX_CONNECTIONS": "10000",
}

AT_ONCE = 6
"""Cases that do not wait: the server's clocks must not be late because of what the tests ask of it."""

Via: TypeAlias = Literal["one", "two", "dead", "spare", "dns", "unanswered", "tls"]
"""The candidates for a model, by its prefix.

one         main
two         main, then backup
dead        a port where nobody listens
spare       the same, then backup
dns         a name that nobody has
unanswered  a machine that does not answer
tls         one that does not speak TLS when it should
"""

HELLO: Final[Script] = [["role"], ["delta", "Hel"], ["delta", "lo"]]
SERVED: Final[Script] = [*HELLO, ["finish", "stop"], ["usage", 7, 2], ["done"]]

Attempt: TypeAlias = tuple[str, str, int]
"""provider, outcome, tokens"""


def entries(upstream: Upstream, dead: str, unanswered: str) -> str:
    """`BACKEND_PROVIDERS`; the last four characters of its key tell who asked."""
    tls = upstream.base_url.replace("http://", "https://")
    providers = [
        ("main", upstream.base_url, ["one", "two"]),
        ("dead", f"http://{dead}/v1", ["dead", "spare"]),
        ("back", upstream.base_url, ["two", "spare"]),
        ("dns", "http://nobody.invalid/v1", ["dns"]),
        ("unanswered", f"http://{unanswered}/v1", ["unanswered"]),
        ("tls", tls, ["tls"]),
    ]
    return json.dumps(
        [
            {
                "name": name,
                "base_url": url,
                "models": [f"script:{prefix}.*" for prefix in prefixes],
                "api_key": f"sk-test-{name}",
            }
            for name, url, prefixes in providers
        ]
    )


@dataclass(frozen=True, slots=True)
class Stage:
    """The server under test and its provider."""

    service: Service
    upstream: Upstream
    quick: Agent


@contextmanager
def between(measured: Measured, folder: Path, name: str, settings: Mapping[str, str]) -> Iterator[Stage]:
    """A server with `entries`."""
    with ExitStack() as stack:
        upstream = stack.enter_context(scripted(folder))
        closed = stack.enter_context(socket.socket())
        # Bound without listening: nobody else gets this port, and who connects is refused.
        closed.bind(("127.0.0.1", 0))
        proxy = stack.enter_context(proxied(folder, "--fault", "unanswered"))
        providers = entries(upstream, f"127.0.0.1:{closed.getsockname()[1]}", proxy.address)
        all_settings = {**settings, "BACKEND_PROVIDERS": providers}
        service = stack.enter_context(stage.running(measured, name, all_settings))
        yield Stage(service, upstream, service.agent())


@dataclass(frozen=True, slots=True)
class Case:
    """scripts: what the first requests are answered with; each later one is `SERVED`."""

    name: str
    scripts: tuple[Script, ...]
    via: Via = "one"
    chat: Mapping[str, Any] = field(default_factory=dict)
    waits: bool = False
    """For a clock of the service or a pause, for a second or longer."""

    @property
    def reachable(self) -> bool:
        return self.via in ("one", "two", "spare")


@dataclass(frozen=True, slots=True)
class Seen:
    """One turn: its end as the client was told it, what is stored, and the provider's side of it."""

    frames: Sequence[Frame]
    """All of the WebSocket; for HTTP one: the body."""
    status: int | None
    """Of the HTTP answer."""
    headers: Mapping[str, str]
    row: dict[str, Any]
    attempts: Sequence[Attempt]
    stored: Sequence[tuple[str, str, bool]]
    """Messages: author, content, truncated."""
    requests: Sequence[Entry]
    told_ns: int
    """When the client had the end."""

    @property
    def end(self) -> Frame:
        """The problem of a failure; else the frame or the body."""
        last = self.frames[-1]
        problem: Frame = last.get("error", last)
        return problem

    @property
    def partial(self) -> str:
        text: str = self.frames[-1].get("partial", "")
        return text

    @property
    def text(self) -> str:
        """What was said before the end."""
        said: str = self.frames[-1].get("response", self.partial)
        return said

    @property
    def asked(self) -> list[tuple[str, str]]:
        """Each request: whose key came with it, and who ended it."""
        return [(entry["key"], entry["ended"]) for entry in self.requests]


@dataclass(frozen=True, slots=True)
class Played:
    """The same case twice."""

    ws: Seen
    http: Seen

    @property
    def both(self) -> tuple[Seen, Seen]:
        return self.ws, self.http


class Results:
    """By the name of the case; one that broke raises what it broke with."""

    def __init__(self) -> None:
        self.of: dict[str, dict[str, Seen | Exception]] = {}
        self.counted: dict[str, float] = {}
        """How much each counter of the server grew meanwhile."""
        self.grown_bytes = 0
        """By how much the server's memory was larger at its peak than before."""

    def __getitem__(self, name: str) -> Played:
        seen = self.of[name]
        for one in seen.values():
            if isinstance(one, Exception):
                raise one
        return Played(**seen)  # type: ignore[arg-type]


async def play(where: Stage, cases: Sequence[Case]) -> Results:
    """All of them: some at a time, those that only wait for a clock beside each other."""
    results = Results()
    service = where.service
    before, peak = service.metrics(), peak_bytes(service)
    busy = anyio.Semaphore(AT_ONCE)

    async def turn(case: Case, transport: Literal["ws", "http"]) -> Seen:
        client = by_websocket if transport == "ws" else by_http
        async with busy:
            what = await prepared(where, case, transport)
            if not case.waits:
                return await client(where, case, *what)
        return await client(where, case, *what)

    async def one(case: Case, transport: Literal["ws", "http"]) -> None:
        try:
            results.of[case.name][transport] = await turn(case, transport)
        except (AssertionError, LookupError, OSError, httpx2.HTTPError, WebSocketException) as error:
            results.of[case.name][transport] = error

    async with anyio.create_task_group() as group:
        for case in sorted(cases, key=lambda case: not case.waits):
            results.of[case.name] = {}
            group.start_soon(one, case, "ws")
            group.start_soon(one, case, "http")
    results.grown_bytes = peak_bytes(service) - peak
    after = service.metrics()
    results.counted = {name: value - before.get(name, 0.0) for name, value in after.items()}
    return results


async def by_websocket(where: Stage, case: Case, name: str, agent: Agent, user: Caller) -> Seen:
    service = where.service
    async with service.connect(agent, user.person) as connection:
        await say(connection, type="chat", message="Hello", **case.chat)
        frames = await answer_of(connection)
        told_ns = time.monotonic_ns()
        if case.reachable:
            await say(connection, type="chat", message="Hello")
            after = await answer_of(connection)
        else:
            after = await service.converse(where.quick, user.person)
    assert_whole(frames)
    assert_whole(after)
    assert after[-1]["type"] == "done", after
    return await anyio.to_thread.run_sync(looked_up, where, case, name, user, frames, None, told_ns)


async def by_http(where: Stage, case: Case, name: str, agent: Agent, user: Caller) -> Seen:
    answer = await anyio.to_thread.run_sync(lambda: user.chat(agent, **case.chat))
    told_ns = time.monotonic_ns()
    other = where.service.caller()
    after = await anyio.to_thread.run_sync(other.chat, agent if case.reachable else where.quick)
    assert after.status_code == 200, after.text
    frames = [answer.json()]
    return await anyio.to_thread.run_sync(looked_up, where, case, name, user, frames, answer, told_ns)


async def prepared(where: Stage, case: Case, transport: str) -> tuple[str, Agent, Caller]:
    """Its script, an agent with it, and a user."""

    def put() -> tuple[str, Agent, Caller]:
        name = f"{case.via}.{case.name}-{transport}"
        model = where.upstream.put(name, *case.scripts, SERVED)
        return name, where.service.agent(model=model), where.service.caller()

    return await anyio.to_thread.run_sync(put)


def looked_up(
    where: Stage,
    case: Case,
    name: str,
    user: Caller,
    frames: list[Frame],
    answer: httpx2.Response | None,
    told_ns: int,
) -> Seen:
    """The turn, with what the database and the provider hold of it."""
    service = where.service
    row = ended(service, service.runs_of(user.person)[0]["id"])
    attempts = service.rows(
        "SELECT provider, outcome, tokens FROM run_attempts WHERE execution_id = :id ORDER BY attempt",
        id=row["id"],
    )
    stored = service.rows(
        "SELECT author, content, truncated FROM chat_messages WHERE execution_id = :id ORDER BY seq",
        id=row["id"],
    )
    requests = where.upstream.ended(name, 1) if case.reachable else where.upstream.journal(name)
    if case.reachable:
        served = requests.pop()
        # Whoever asked once more than it should was served in place of the next client.
        assert (served["ended"], served["tokens"]) == ("done", 2), requests
    return Seen(
        frames,
        answer.status_code if answer is not None else None,
        answer.headers if answer is not None else {},
        row,
        [(one["provider"], one["outcome"], one["tokens"]) for one in attempts],
        [(one["author"], one["content"], bool(one["truncated"])) for one in stored],
        requests,
        told_ns,
    )


def peak_bytes(service: Service) -> int:
    """The most memory the process ever had; what it has now where the system does not tell."""
    status = Path(f"/proc/{service.target.pid}/status")
    if status.exists():
        [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024
    size: int = psutil.Process(service.target.pid).memory_info().rss
    return size


# What every failure and every success must look like

ANSWERS: Final[Mapping[str, tuple[int, bool, str]]] = {
    # code: status, retryable, status of the run
    "provider_auth": (424, False, "FAILED"),
    "provider_bad_request": (424, False, "FAILED"),
    "provider_rate_limited": (503, True, "FAILED"),
    "provider_unavailable": (503, True, "FAILED"),
    "provider_protocol": (502, True, "FAILED"),
    "provider_stream_interrupted": (502, True, "FAILED"),
    "response_too_large": (502, False, "FAILED"),
    "first_token_timeout": (504, True, "TIMED_OUT"),
    "inter_chunk_timeout": (504, True, "TIMED_OUT"),
    "deadline_exceeded": (504, True, "TIMED_OUT"),
}


def assert_failed(
    played: Played,
    code: str,
    *,
    asked: Sequence[tuple[str, str]],
    attempts: Sequence[Attempt] | Callable[[Seen], Sequence[Attempt]],
    text: str | None = "",
) -> None:
    """Both turns ended with this code behind this text (None: any); these requests were made for each."""
    status, retryable, run_status = ANSWERS[code]
    for seen in played.both:
        problem, said = seen.end, seen.partial if text is None else text
        made = attempts(seen) if callable(attempts) else attempts
        assert (problem["code"], problem["status"], problem["retryable"]) == (code, status, retryable)
        assert (problem["type"], "instance" in problem) == (f"/problems/{code}", False)
        assert seen.partial == said
        assert ("partial" in seen.frames[-1]) == bool(said)
        assert_row(seen.row, run_status, code, said)
        assert seen.asked == list(asked)
        assert seen.attempts == list(made)
        assert (seen.row["attempts"], seen.row["provider"]) == (len(made), made[-1][0])
        assert (seen.row["first_token_ms"] is not None) == bool(said)
        spoken = [("user", "Hello", False), ("assistant", said, True)]
        assert seen.stored == spoken[: 1 + bool(said)]
    kinds = [frame["type"] for frame in played.ws.frames]
    assert kinds == ["started", *["delta"] * (len(kinds) - 2), "error"]
    assert (len(kinds) > 2) == bool(played.ws.partial)
    assert "".join(frame.get("delta", "") for frame in played.ws.frames) == played.ws.partial
    assert (played.ws.frames[-1]["fatal"], played.ws.frames[-1]["done"]) == (False, True)
    assert played.http.status == status
    assert ("retry-after" in played.http.headers) == (status == 503)
    assert int(played.http.headers.get("retry-after", "1")) >= 1


def assert_served(
    played: Played,
    text: str = "Hello",
    *,
    asked: Sequence[tuple[str, str]],
    attempts: Sequence[Attempt],
    finish: str = "stop",
    usage: tuple[int, int, bool] = (7, 2, False),
) -> None:
    """Both turns completed with this text, the last attempt being the one that served them."""
    prompt, completion, estimated = usage
    for seen in played.both:
        assert seen.end["response"] == text
        assert (seen.end["finish_reason"], seen.end["provider"]) == (finish, attempts[-1][0])
        assert seen.end["usage"] == {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "estimated": estimated,
        }
        assert_row(seen.row, "COMPLETED", None, text)
        assert seen.asked == list(asked)
        assert seen.attempts == list(attempts)
        assert (seen.row["attempts"], seen.row["provider"]) == (len(attempts), attempts[-1][0])
        assert seen.row["finish_reason"] == finish
        counted = (
            seen.row["prompt_tokens"],
            seen.row["completion_tokens"],
            bool(seen.row["usage_estimated"]),
        )
        assert counted == usage
        assert seen.stored == [("user", "Hello", False), ("assistant", text, False)][: 1 + bool(text)]
    assert played.ws.frames[-1]["type"] == "done"
    assert "".join(frame.get("delta", "") for frame in played.ws.frames) == text
    assert played.http.status == 200
