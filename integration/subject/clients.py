"""How tests talk to the subject: REST through httpx2, streams through `websockets`, rows through SQL."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import anyio
import httpx2
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from integration.timing import PATIENCE_S
from load.target.launch import Target

Frame: TypeAlias = dict[str, Any]

_numbers = itertools.count(1)

LABEL = "x-load-scenario"


def label() -> str:
    """Names the test that runs, for what the servers count on its behalf."""
    test = os.environ.get("PYTEST_CURRENT_TEST", "- ").rpartition(" ")[0]
    return f"test:{test.encode('ascii', 'replace').decode()}"


def http_client(url: str) -> httpx2.Client:
    """Its requests are labelled with the test that sends them."""

    def labelled(request: httpx2.Request) -> None:
        request.headers.setdefault(LABEL, label())

    return httpx2.Client(
        base_url=url, timeout=PATIENCE_S, trust_env=False, event_hooks={"request": [labelled]}
    )


@dataclass(frozen=True, slots=True)
class Person:
    """A user with a token of its own; rate and run limits are counted for each."""

    id: str
    email: str
    token: str


@dataclass(frozen=True, slots=True)
class Agent:
    id: str
    name: str
    maturity_level: str


@dataclass(frozen=True, slots=True)
class Caller:
    """A person who speaks HTTP."""

    http: httpx2.Client
    person: Person

    def request(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> httpx2.Response:
        own = {"Authorization": f"Bearer {self.person.token}", **(headers or {})}
        return self.http.request(method, path, headers=own, **more)

    def get(self, path: str, **more: Any) -> httpx2.Response:
        return self.request("GET", path, **more)

    def post(self, path: str, body: object = None, **more: Any) -> httpx2.Response:
        if body is not None:
            more["json"] = body
        return self.request("POST", path, **more)

    def delete(self, path: str, **more: Any) -> httpx2.Response:
        return self.request("DELETE", path, **more)

    def chat(self, agent: Agent, message: str = "Hello", **more: Any) -> httpx2.Response:
        return self.post(f"/api/agents/{agent.id}/chat", {"message": message, **more})


@dataclass(slots=True)
class Service:
    """A running subject, with what its set-up made and a way into its database."""

    target: Target
    http: httpx2.Client
    _engine: Engine = field(init=False)
    _people: Iterator[Person] = field(init=False)
    admin: Caller = field(init=False)
    demo: dict[str, Agent] = field(init=False)
    """The four agents of `demo`, by level."""

    def __post_init__(self) -> None:
        made = json.loads(self.target.setup_output[1])
        self._people = iter([Person(**one) for one in made["users"]])
        self.admin = Caller(self.http, Person(**made["admin"]))
        self.demo = {
            one["maturity_level"]: Agent(one["id"], one["name"], one["maturity_level"])
            for one in made["agents"]
        }
        self._engine = create_engine(sync_url(self.target.database_url), pool_pre_ping=True)

    def person(self) -> Person:
        """A user whom no other test has used."""
        return next(self._people)

    def caller(self) -> Caller:
        return Caller(self.http, self.person())

    def agent(self, maturity: str = "AUTONOMOUS", *, model: str = "embedded/markov-1", **paces: int) -> Agent:
        """A new agent; `paces` are tokens, first_token_ms, interval_ms and seed of the embedded provider."""
        name = f"agent {next(_numbers)}"
        body = {
            "name": name,
            "maturity_level": maturity,
            "model": model,
            "configuration": {"embedded": {"tokens": 4, "first_token_ms": 5, "interval_ms": 5} | paces},
        }
        response = self.admin.post("/api/agents", body)
        assert response.status_code == 201, response.text
        return Agent(response.json()["id"], name, maturity)

    def rows(self, sql: str, **values: object) -> list[dict[str, Any]]:
        """What is stored, as any other process sees it."""
        with self._engine.connect() as connection:
            return [dict(row) for row in connection.execute(text(sql), values).mappings()]

    def run(self, execution_id: str) -> dict[str, Any]:
        """The row of one execution."""
        [row] = self.rows("SELECT * FROM agent_executions WHERE id = :id", id=execution_id)
        return row

    def runs_of(self, person: Person) -> list[dict[str, Any]]:
        """The rows of a user's executions, oldest first."""
        return self.rows("SELECT * FROM agent_executions WHERE user_id = :id ORDER BY id", id=person.id)

    def audit_of(self, person: Person) -> list[tuple[str, str]]:
        """What the audit log holds about a user's deeds: `(action, decision)`."""
        found = self.rows(
            "SELECT action, decision FROM audit_log WHERE actor_id = :id ORDER BY id", id=person.id
        )
        return [(row["action"], row["decision"]) for row in found]

    def metrics(self) -> dict[str, float]:
        """The gauges and counters of `/metrics` by their name with labels."""
        lines = self.admin.get("/metrics").text.splitlines()
        pairs = [line.rsplit(" ", 1) for line in lines if line and not line.startswith("#")]
        return {name: float(value) for name, value in pairs}

    def stream_url(self, agent_id: str) -> str:
        return f"ws{self.target.url.removeprefix('http')}/api/agents/{agent_id}/stream"

    @asynccontextmanager
    async def connect(
        self, agent: Agent | str, person: Person | None = None, **options: Any
    ) -> AsyncGenerator[ClientConnection, None]:
        """An open stream; without a person no credential is sent. Raises `InvalidStatus` when refused."""
        headers = dict(options.pop("headers", {}))
        if person is not None:
            headers["Authorization"] = f"Bearer {person.token}"
        headers.setdefault(LABEL, label())
        agent_id = agent if isinstance(agent, str) else agent.id
        async with connect(
            self.stream_url(agent_id),
            additional_headers=headers,
            close_timeout=PATIENCE_S,
            compression=None,
            proxy=None,
            **{"open_timeout": PATIENCE_S, **options},
        ) as socket:
            yield socket

    async def refusal(
        self, agent: Agent | str, person: Person | None = None, **options: Any
    ) -> tuple[int, Frame, Mapping[str, str]]:
        """Status, problem and headers of a refused handshake."""
        try:
            async with self.connect(agent, person, **options):
                raise AssertionError("the handshake was accepted")
        except InvalidStatus as refused:
            answer = refused.response
            return answer.status_code, json.loads(answer.body or b"{}"), answer.headers

    async def converse(
        self, agent: Agent, person: Person, message: str = "Hello", **more: Any
    ) -> list[Frame]:
        """All frames of one turn on a connection of its own: "the next client is served"."""
        async with self.connect(agent, person) as socket:
            await say(socket, message=message, **more)
            return await answer_of(socket)

    def close(self) -> None:
        self._engine.dispose()


AGENTCHAT = [Subprotocol("agentchat.v1")]


async def say(socket: ClientConnection, **frame: Any) -> None:
    """Sends one frame; without a `type` it is the shorthand for a chat."""
    await socket.send(json.dumps(frame))


async def hear(socket: ClientConnection, within_s: float = PATIENCE_S) -> Frame:
    """The next frame."""
    with anyio.fail_after(within_s):
        frame: Frame = json.loads(await socket.recv())
        return frame


async def answer_of(socket: ClientConnection, within_s: float = PATIENCE_S) -> list[Frame]:
    """All frames up to the first with `done: true`; connection frames in between are left out."""
    frames: list[Frame] = []
    with anyio.fail_after(within_s):
        while not frames or not frames[-1]["done"]:
            frame = await hear(socket, within_s)
            if "done" in frame:
                frames.append(frame)
    return frames


async def first(socket: ClientConnection, kind: str, within_s: float = PATIENCE_S) -> Frame:
    """Reads on to the first frame of this type."""
    with anyio.fail_after(within_s):
        while True:
            frame = await hear(socket, within_s)
            if frame["type"] == kind:
                return frame


async def to_the_close(
    socket: ClientConnection, within_s: float = PATIENCE_S
) -> tuple[list[Frame], int | None, str | None]:
    """The frames up to the close, but heartbeats; code and reason of the close."""
    frames: list[Frame] = []
    with anyio.fail_after(within_s), suppress(ConnectionClosed):
        while True:
            frame = json.loads(await socket.recv())
            if frame["type"] != "heartbeat":
                frames.append(frame)
    return frames, socket.close_code, socket.close_reason


def text_of(frames: list[Frame]) -> str:
    """The joined deltas."""
    return "".join(frame["delta"] for frame in frames if frame["type"] == "delta")


def sync_url(database_url: str | None) -> str:
    """The same database for a blocking driver."""
    assert database_url is not None
    url = make_url(database_url)
    driver = "sqlite" if url.get_backend_name() == "sqlite" else "postgresql+psycopg"
    return url.set(drivername=driver).render_as_string(hide_password=False)
