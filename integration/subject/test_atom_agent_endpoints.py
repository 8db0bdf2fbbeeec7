"""The contract of the agent endpoints: chat, streaming, feedback, agents, governance.

REST goes through FastAPI's `TestClient`, so the application runs in this process; streams go through a real
socket to a server on the same database. Each test has one exact outcome. The file is long because the plan
that it comes from is one file.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import create_engine, event, select, update
from sqlalchemy.orm import Session
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from backend.app import create_app
from backend.domain.governance import ACTIONS, Maturity
from backend.settings import Settings
from backend.storage.models import (
    AgentExecution,
    AgentFeedback,
    AgentRegistry,
    AuditLog,
    ChatMessage,
    ChatSession,
    User,
)
from integration.factories import (
    AgentExecutionFactory,
    AgentFactory,
    AgentFeedbackFactory,
    TokenFactory,
    UserFactory,
    bind,
)
from integration.subject.ahead import Ahead, Server
from integration.subject.clients import sync_url
from integration.timing import PATIENCE_S
from load.target.launch import Target

TOKEN = "sg_" + "t" * 43
OTHER_TOKEN = "sg_" + "o" * 43
ADMIN_TOKEN = "sg_" + "a" * 43

UNLIMITED: dict[str, Any] = {"rate_burst": 1_000_000, "rate_messages_per_min": 1_000_000}
"""One user sends every message of this file; the rate limit has tests of its own."""


AHEAD = (Server("atom", {f"BACKEND_{name.upper()}": str(value) for name, value in UNLIMITED.items()}),)


@pytest.fixture(scope="module")
def server(ahead: Ahead) -> Iterator[Target]:
    """A real server; the application in this process works on the same database."""
    with ahead.running(*AHEAD) as service:
        yield service.target


@pytest.fixture(scope="module")
def stored(server: Target) -> Iterator[Session]:
    """The database of both, with three users: one who asks, another, and an administrator."""
    engine = create_engine(sync_url(server.database_url))
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys=ON"))
    with Session(engine, expire_on_commit=False) as session:
        bind(session)
        for secret, more in ((TOKEN, {}), (OTHER_TOKEN, {}), (ADMIN_TOKEN, {"is_admin": True})):
            TokenFactory.of_secret(secret, UserFactory.create_sync(name=secret, **more).id)
        yield session
        bind(None)
    engine.dispose()


@pytest.fixture
def db(stored: Session) -> Session:
    """The database without any agent in use: those of earlier tests and of the demo are archived."""
    stored.execute(update(AgentRegistry).values(state="ARCHIVED"))
    stored.commit()
    return stored


@pytest.fixture(scope="module")
def app_client(server: Target, stored: Session) -> Iterator[TestClient]:
    """The application in this process, started once."""
    settings = Settings(database_url=server.database_url or "", **UNLIMITED)
    with TestClient(create_app(settings)) as client:
        yield client


@pytest.fixture
def client(app_client: TestClient) -> TestClient:
    """Speaks for the user who asks."""
    app_client.headers["Authorization"] = f"Bearer {TOKEN}"
    return app_client


def as_other(token: str = OTHER_TOKEN) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@dataclass(frozen=True, slots=True)
class Socket:
    """A WebSocket with JSON on both sides."""

    connection: ClientConnection

    async def send_json(self, frame: dict[str, Any]) -> None:
        await self.connection.send(json.dumps(frame))

    async def receive_json(self) -> dict[str, Any]:
        with anyio.fail_after(PATIENCE_S):
            frame: dict[str, Any] = json.loads(await self.connection.recv())
            return frame

    async def receive_all(self) -> list[dict[str, Any]]:
        """All frames up to the first with `done: true`."""
        frames = [await self.receive_json()]
        while not frames[-1]["done"]:
            frames.append(await self.receive_json())
        return frames


@dataclass(frozen=True, slots=True)
class AsyncClient:
    url: str

    @asynccontextmanager
    async def websocket_connect(self, path: str, token: str | None = TOKEN) -> AsyncGenerator[Socket, None]:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        address = f"ws{self.url.removeprefix('http')}{path}"
        async with connect(address, additional_headers=headers, compression=None, proxy=None) as connection:
            yield Socket(connection)


@pytest.fixture
def async_client(server: Target, db: Session) -> AsyncClient:
    return AsyncClient(server.url)


@pytest.fixture
def agent_factory(db: Session) -> Callable[..., AgentRegistry]:
    """Makes an agent in the database: `agent_factory(name="A", maturity_level="INTERN")`."""
    return AgentFactory.create_sync


@pytest.fixture
def agent(agent_factory: Callable[..., AgentRegistry]) -> AgentRegistry:
    return agent_factory()


@pytest.fixture
def student_agent(agent_factory: Callable[..., AgentRegistry]) -> AgentRegistry:
    return agent_factory(maturity_level="STUDENT", confidence_bp=4000)


@pytest.fixture
def autonomous_agent(agent_factory: Callable[..., AgentRegistry]) -> AgentRegistry:
    return agent_factory(maturity_level="AUTONOMOUS", confidence_bp=9500)


@pytest.fixture
def asker(db: Session) -> User:
    """The user `client` speaks for."""
    return db.scalars(select(User).where(User.name == TOKEN)).one()


@pytest.fixture
def execution(db: Session, agent: AgentRegistry, asker: User) -> AgentExecution:
    """A completed run of the user who asks."""
    return AgentExecutionFactory.create_sync(
        agent_id=agent.id, user_id=asker.id, status="COMPLETED", input_data={"message": "test"}
    )


def runs_of(db: Session, agent: AgentRegistry) -> list[AgentExecution]:
    db.expire_all()
    return list(db.scalars(select(AgentExecution).where(AgentExecution.agent_id == agent.id)))


def test_chat_success_returns_response(client: TestClient, db: Session, agent: AgentRegistry) -> None:
    """A chat answers with the text of the agent and the session it belongs to."""
    response = client.post(
        f"/api/agents/{agent.id}/chat", json={"message": "Hello, agent!", "session_id": "test_session_123"}
    )

    assert response.status_code == 200
    data = response.json()
    assert data["session_id"] == "test_session_123"
    assert len(data["response"].split()) == 4
    assert data["finish_reason"] == "stop"


def test_chat_answer_has_every_member_of_the_contract(client: TestClient, agent: AgentRegistry) -> None:
    """The members of an answer are those of the protocol, no more and no less."""
    data = client.post(f"/api/agents/{agent.id}/chat", json={"message": "Hello"}).json()

    assert set(data) == {
        "response", "session_id", "execution_id", "request_id", "agent_id", "finish_reason", "usage",
        "provider", "model", "first_token_ms", "duration_ms", "replayed",
    }  # fmt: skip
    assert data["agent_id"] == agent.id
    assert data["provider"] == "embedded"
    assert data["model"] == "embedded/markov-1"
    assert data["replayed"] is False
    assert data["usage"] == {
        "prompt_tokens": 2,  # ceil(5 characters / 4)
        "completion_tokens": 4,
        "total_tokens": 6,
        "estimated": False,
    }


def test_chat_stores_the_run_it_answers_with(
    client: TestClient, db: Session, agent: AgentRegistry, asker: User
) -> None:
    """The row of the run says what the answer says."""
    data = client.post(f"/api/agents/{agent.id}/chat", json={"message": "Keep this"}).json()

    [run] = runs_of(db, agent)
    assert run.id == data["execution_id"]
    assert run.user_id == asker.id
    assert run.status == "COMPLETED"
    assert run.transport == "HTTP"
    assert run.action == "chat"
    assert run.action_complexity == 2
    assert run.output_text == data["response"]
    assert run.input_data["message"] == "Keep this"
    assert run.error_code is None


def test_chat_stores_question_and_answer_in_its_session(
    client: TestClient, db: Session, agent: AgentRegistry
) -> None:
    """Two turns of one session are four messages in order."""
    path = f"/api/agents/{agent.id}/chat"
    answers = [
        client.post(path, json={"message": text, "session_id": "two_turns"}).json() for text in ("One", "Two")
    ]

    stored = db.scalars(
        select(ChatMessage)
        .join(ChatSession, ChatSession.id == ChatMessage.session_id)
        .where(ChatSession.agent_id == agent.id)
        .order_by(ChatMessage.seq)
    ).all()
    assert [(one.author, one.content) for one in stored] == [
        ("user", "One"),
        ("assistant", answers[0]["response"]),
        ("user", "Two"),
        ("assistant", answers[1]["response"]),
    ]
    assert [one.seq for one in stored] == [1, 2, 3, 4]


def test_chat_without_session_opens_a_new_one_each_time(client: TestClient, agent: AgentRegistry) -> None:
    """A chat without `session_id` never continues another conversation."""
    path = f"/api/agents/{agent.id}/chat"
    first, second = (client.post(path, json={"message": "Hello"}).json() for _ in range(2))

    assert first["session_id"] != second["session_id"]


def test_chat_session_name_belongs_to_one_user(client: TestClient, db: Session, agent: AgentRegistry) -> None:
    """The same `session_id` of another user is another session: names are chosen by clients."""
    path = f"/api/agents/{agent.id}/chat"
    body = {"message": "Mine", "session_id": "shared_name"}
    client.post(path, json=body)
    client.post(path, json={**body, "message": "Theirs"}, headers=as_other())

    sessions = db.scalars(select(ChatSession).where(ChatSession.agent_id == agent.id)).all()
    assert [one.external_key for one in sessions] == ["shared_name", "shared_name"]
    assert sessions[0].user_id != sessions[1].user_id
    assert [one.message_count for one in sessions] == [2, 2]


def test_chat_with_governance_blocking(client: TestClient, db: Session, student_agent: AgentRegistry) -> None:
    """A STUDENT may not chat: 403 with what would have been needed, and no run."""
    response = client.post(
        f"/api/agents/{student_agent.id}/chat",
        json={"message": "Execute critical action", "session_id": "test_session"},
    )

    assert response.status_code == 403
    data = response.json()
    assert data["code"] == "governance_denied"
    assert data["action"] == "chat"
    assert data["action_complexity"] == 2
    assert data["agent_maturity"] == "STUDENT"
    assert data["required_maturity"] == "INTERN"
    assert runs_of(db, student_agent) == []


def test_chat_governance_blocking_is_audited(
    client: TestClient, db: Session, student_agent: AgentRegistry, asker: User
) -> None:
    """Every denial leaves one row in the audit log."""
    client.post(f"/api/agents/{student_agent.id}/chat", json={"message": "Hello"})

    entries = db.scalars(select(AuditLog).where(AuditLog.object_id == student_agent.id)).all()
    assert [(one.actor_id, one.decision) for one in entries] == [(asker.id, "denied")]


def test_chat_invalid_agent_id(client: TestClient, db: Session) -> None:
    """An id that cannot exist is unknown, not invalid."""
    response = client.post("/api/agents/nonexistent/chat", json={"message": "Hello"})

    assert response.status_code == 404
    assert response.json()["code"] == "not_found"


def test_chat_unknown_agent_of_the_right_form(client: TestClient, db: Session) -> None:
    """A well-formed id without an agent gets the same answer as a malformed one."""
    headers = {"X-Correlation-Id": "same"}
    unknown, malformed = (
        client.post(f"/api/agents/{agent_id}/chat", json={"message": "Hello"}, headers=headers)
        for agent_id in ("agt_" + "0" * 32, "nonexistent")
    )

    assert unknown.status_code == 404
    assert unknown.content == malformed.content


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        pytest.param({}, "/message", id="no message"),
        pytest.param({"message": ""}, "/message", id="empty"),
        pytest.param({"message": " \n\t "}, "/message", id="blank"),
        pytest.param({"message": None}, "/message", id="null"),
        pytest.param({"message": 5}, "/message", id="number"),
        pytest.param({"message": ["Hello"]}, "/message", id="list"),
        pytest.param({"message": "x" * 16_001}, "/message", id="one character too long"),
        pytest.param({"message": "Hi", "session_id": "a b"}, "/session_id", id="blank in session_id"),
        pytest.param({"message": "Hi", "session_id": ""}, "/session_id", id="empty session_id"),
        pytest.param({"message": "Hi", "session_id": "x" * 65}, "/session_id", id="long session_id"),
        pytest.param({"message": "Hi", "request_id": ""}, "/request_id", id="empty request_id"),
        pytest.param({"message": "Hi", "request_id": "x" * 65}, "/request_id", id="long request_id"),
        pytest.param({"message": "Hi", "max_tokens": 0}, "/max_tokens", id="no tokens"),
        pytest.param({"message": "Hi", "max_tokens": 2049}, "/max_tokens", id="too many tokens"),
        pytest.param({"message": "Hi", "max_tokens": "5"}, "/max_tokens", id="tokens as text"),
        pytest.param({"message": "Hi", "max_tokens": True}, "/max_tokens", id="tokens as truth"),
        pytest.param({"message": "Hi", "max_tokens": 5.0}, "/max_tokens", id="tokens as a fraction"),
        pytest.param({"message": "Hi", "temperature": 2.01}, "/temperature", id="too hot"),
        pytest.param({"message": "Hi", "temperature": -0.01}, "/temperature", id="below zero"),
        pytest.param({"message": "Hi", "metadata": []}, "/metadata", id="metadata as a list"),
        pytest.param({"message": "Hi", "metadata": {"k": "x" * 2048}}, "/metadata", id="much metadata"),
        pytest.param({"message": "Hi", "sesion_id": "typo"}, "/sesion_id", id="unknown member"),
    ],
)
def test_chat_refuses_what_it_cannot_use(
    client: TestClient, db: Session, agent: AgentRegistry, body: dict[str, Any], pointer: str
) -> None:
    """What parses but cannot be used is 422 and names the place; nothing is stored."""
    response = client.post(f"/api/agents/{agent.id}/chat", json=body)

    assert response.status_code == 422
    assert response.json()["code"] == "invalid_request"
    assert response.json()["errors"][0]["pointer"] == pointer
    assert runs_of(db, agent) == []


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"message": "x"}, id="one character"),
        pytest.param({"message": "x" * 16_000}, id="as long as allowed"),
        pytest.param({"message": "日本語 und العربية 🙂"}, id="several scripts"),
        pytest.param({"message": "Hi", "session_id": "A-z_9" + "x" * 59}, id="64 characters of session_id"),
        pytest.param({"message": "Hi", "max_tokens": 2048}, id="most tokens"),
        pytest.param({"message": "Hi", "temperature": 0}, id="temperature 0"),
        pytest.param({"message": "Hi", "temperature": 2}, id="temperature 2"),
        pytest.param({"message": "Hi", "metadata": {"a": {"b": [1, None, True]}}}, id="nested metadata"),
    ],
)
def test_chat_accepts_the_borders(client: TestClient, agent: AgentRegistry, body: dict[str, Any]) -> None:
    """The last value inside each border is served."""
    response = client.post(f"/api/agents/{agent.id}/chat", json=body)

    assert response.status_code == 200


def test_chat_stops_at_max_tokens(client: TestClient, db: Session, agent: AgentRegistry) -> None:
    """An answer that reaches `max_tokens` ends with `length`."""
    data = client.post(f"/api/agents/{agent.id}/chat", json={"message": "Hello", "max_tokens": 2}).json()

    assert data["finish_reason"] == "length"
    assert data["usage"]["completion_tokens"] == 2
    assert runs_of(db, agent)[0].finish_reason == "length"


def test_chat_returns_the_request_id_it_was_given(client: TestClient, agent: AgentRegistry) -> None:
    """`request_id` comes back as it was sent."""
    data = client.post(
        f"/api/agents/{agent.id}/chat", json={"message": "Hello", "request_id": f"req-{agent.id}"}
    ).json()

    assert data["request_id"] == f"req-{agent.id}"


def test_chat_echo_model_repeats_the_message(
    client: TestClient, agent_factory: Callable[..., AgentRegistry]
) -> None:
    """`embedded/echo-1` answers with the message, so a client can check whole texts."""
    echo = agent_factory(model="embedded/echo-1", configuration={"embedded": {"interval_ms": 0}})
    message = "Überall  zwei Leerzeichen\nund 🙂 dazu"

    data = client.post(f"/api/agents/{echo.id}/chat", json={"message": message}).json()

    assert data["response"] == message


def test_chat_same_words_get_the_same_answer(
    client: TestClient, agent_factory: Callable[..., AgentRegistry]
) -> None:
    """The embedded provider is a pure function of messages, model and seed."""
    twins = [agent_factory(configuration={"embedded": {"seed": 7, "interval_ms": 0}}) for _ in range(2)]
    other = agent_factory(configuration={"embedded": {"seed": 8, "interval_ms": 0}})

    one, two, three = (
        client.post(f"/api/agents/{each.id}/chat", json={"message": "Hello"}).json()["response"]
        for each in (*twins, other)
    )

    assert one == two
    assert one != three


def test_chat_paused_agent_is_a_conflict(
    client: TestClient, db: Session, agent_factory: Callable[..., AgentRegistry]
) -> None:
    """A paused agent runs nothing."""
    paused = agent_factory(state="PAUSED")

    response = client.post(f"/api/agents/{paused.id}/chat", json={"message": "Hello"})

    assert response.status_code == 409
    assert response.json()["code"] == "agent_paused"
    assert runs_of(db, paused) == []


def test_chat_archived_agent_is_not_found(
    client: TestClient, db: Session, agent_factory: Callable[..., AgentRegistry]
) -> None:
    """An archived agent looks like one that never was."""
    gone = agent_factory(state="ARCHIVED")

    response = client.post(f"/api/agents/{gone.id}/chat", json={"message": "Hello"})

    assert response.status_code == 404


def test_chat_model_without_provider_is_a_failed_run(
    client: TestClient, db: Session, agent_factory: Callable[..., AgentRegistry]
) -> None:
    """A model that nobody serves is 424, and the run says why."""
    orphan = agent_factory(model="none/x")

    response = client.post(f"/api/agents/{orphan.id}/chat", json={"message": "Hello"})

    assert response.status_code == 424
    assert response.json()["code"] == "no_provider"
    [run] = runs_of(db, orphan)
    assert (run.status, run.error_code) == ("FAILED", "no_provider")


@pytest.mark.parametrize("token", ["", "sg_", "sg_" + "x" * 43, "Basic abc"])
def test_chat_without_a_valid_token_is_refused(
    client: TestClient, db: Session, agent: AgentRegistry, token: str
) -> None:
    """Every failure of authentication is the same 401."""
    response = client.post(f"/api/agents/{agent.id}/chat", json={"message": "Hello"}, headers=as_other(token))

    assert response.status_code == 401
    assert response.json()["code"] == "unauthenticated"
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert runs_of(db, agent) == []


@pytest.mark.anyio
async def test_streaming_returns_chunks(async_client: AsyncClient, agent: AgentRegistry) -> None:
    """A stream is `started`, one `delta` for each word, and `done` with the whole text."""
    async with async_client.websocket_connect(f"/api/agents/{agent.id}/stream") as websocket:
        await websocket.send_json({"message": "Stream response", "session_id": "test_stream_123"})
        frames = await websocket.receive_all()

    assert [frame["type"] for frame in frames] == ["started", "delta", "delta", "delta", "delta", "done"]
    assert "".join(frame["delta"] for frame in frames[1:-1]) == frames[-1]["response"]
    assert [frame["done"] for frame in frames] == [False] * 5 + [True]
    assert frames[-1]["session_id"] == "test_stream_123"


@pytest.mark.anyio
async def test_streaming_numbers_its_frames(async_client: AsyncClient, agent: AgentRegistry) -> None:
    """`seq` starts at 1 and grows by 1 up to the terminal frame."""
    async with async_client.websocket_connect(f"/api/agents/{agent.id}/stream") as websocket:
        await websocket.send_json({"message": "Count"})
        frames = await websocket.receive_all()

    assert [frame["seq"] for frame in frames] == [1, 2, 3, 4, 5, 6]


@pytest.mark.anyio
async def test_streaming_stores_what_it_sent(
    async_client: AsyncClient, db: Session, agent: AgentRegistry
) -> None:
    """Who saw `done` can read the result: the row holds the text, the last number and the transport."""
    async with async_client.websocket_connect(f"/api/agents/{agent.id}/stream") as websocket:
        await websocket.send_json({"message": "Keep this"})
        done = (await websocket.receive_all())[-1]
        [run] = runs_of(db, agent)

    assert run.id == done["execution_id"]
    assert (run.status, run.transport, run.action) == ("COMPLETED", "WS", "stream_chat")
    assert run.output_text == done["response"]
    assert run.last_seq == done["seq"]


@pytest.mark.anyio
async def test_streaming_with_error_handling(async_client: AsyncClient, agent: AgentRegistry) -> None:
    """An empty message gets an `error` frame, and the connection goes on to serve the next one."""
    async with async_client.websocket_connect(f"/api/agents/{agent.id}/stream") as websocket:
        await websocket.send_json({"message": ""})
        error = await websocket.receive_json()
        await websocket.send_json({"message": "Now with words"})
        frames = await websocket.receive_all()

    assert error["type"] == "error"
    assert error["error"]["code"] == "invalid_request"
    assert error["error"]["errors"][0]["pointer"] == "/message"
    assert error["done"] is True
    assert error["fatal"] is False
    assert frames[-1]["type"] == "done"


@pytest.mark.anyio
async def test_streaming_two_turns_on_one_connection(async_client: AsyncClient, agent: AgentRegistry) -> None:
    """A connection carries one turn after the other, each numbered from 1."""
    async with async_client.websocket_connect(f"/api/agents/{agent.id}/stream") as websocket:
        turns = []
        for text in ("One", "Two"):
            await websocket.send_json({"type": "chat", "message": text})
            turns.append(await websocket.receive_all())

    assert [turn[0]["seq"] for turn in turns] == [1, 1]
    assert turns[0][0]["execution_id"] != turns[1][0]["execution_id"]


@pytest.mark.anyio
async def test_streaming_unknown_action(async_client: AsyncClient, db: Session, agent: AgentRegistry) -> None:
    """An action that nobody named is refused in a frame and leaves no run."""
    async with async_client.websocket_connect(f"/api/agents/{agent.id}/stream") as websocket:
        await websocket.send_json({"message": "Hello", "action": "make_coffee"})
        error = await websocket.receive_json()

    assert error["error"]["code"] == "unknown_action"
    assert runs_of(db, agent) == []


@pytest.mark.anyio
async def test_streaming_governance_of_a_single_message(
    async_client: AsyncClient, agent_factory: Callable[..., AgentRegistry]
) -> None:
    """An INTERN may stream; a message with a stronger action is denied, the connection stays."""
    intern = agent_factory(maturity_level="INTERN")
    async with async_client.websocket_connect(f"/api/agents/{intern.id}/stream") as websocket:
        await websocket.send_json({"message": "Remove it", "action": "delete"})
        denied = await websocket.receive_json()
        await websocket.send_json({"message": "Just talk"})
        frames = await websocket.receive_all()

    assert denied["error"]["code"] == "governance_denied"
    assert denied["error"]["required_maturity"] == "AUTONOMOUS"
    assert frames[-1]["type"] == "done"


@pytest.mark.anyio
async def test_streaming_student_is_refused_before_the_handshake(
    async_client: AsyncClient, student_agent: AgentRegistry
) -> None:
    """The handshake asks for `stream_chat`, which a STUDENT may not."""
    with pytest.raises(InvalidStatus) as refused:
        async with async_client.websocket_connect(f"/api/agents/{student_agent.id}/stream"):
            raise AssertionError("a STUDENT was let in")

    assert refused.value.response.status_code == 403
    assert json.loads(refused.value.response.body or b"")["code"] == "governance_denied"


@pytest.mark.anyio
async def test_streaming_without_a_token_is_refused(async_client: AsyncClient, agent: AgentRegistry) -> None:
    """No credential, no stream."""
    with pytest.raises(InvalidStatus) as refused:
        async with async_client.websocket_connect(f"/api/agents/{agent.id}/stream", token=None):
            raise AssertionError("a stranger was let in")

    assert refused.value.response.status_code == 401


@pytest.mark.anyio
async def test_streaming_unknown_agent_is_refused(async_client: AsyncClient) -> None:
    """A stream of an agent that does not exist ends before it begins."""
    with pytest.raises(InvalidStatus) as refused:
        async with async_client.websocket_connect("/api/agents/nonexistent/stream"):
            raise AssertionError("there is no such agent")

    assert refused.value.response.status_code == 404


def test_submit_feedback_success(
    client: TestClient, db: Session, agent: AgentRegistry, execution: AgentExecution
) -> None:
    """Feedback is stored and answered with 201."""
    response = client.post(
        f"/api/agents/{agent.id}/feedback",
        json={"execution_id": execution.id, "rating": 5, "feedback_type": "thumbs_up"},
    )

    assert response.status_code == 201
    data = response.json()
    assert data["rating"] == 5
    assert data["sentiment"] == "POSITIVE"  # the thumb outranks the middling rating
    [row] = db.scalars(select(AgentFeedback).where(AgentFeedback.execution_id == execution.id)).all()
    assert (row.id, row.rating, row.feedback_type) == (data["id"], 5, "thumbs_up")


def test_feedback_invalid_rating(client: TestClient, db: Session, agent: AgentRegistry) -> None:
    """Eleven of ten is 422, although the execution does not exist either: the body is judged first."""
    response = client.post(
        f"/api/agents/{agent.id}/feedback",
        json={"execution_id": "exec_123", "rating": 11, "feedback_type": "rating"},
    )

    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == "/rating"


@pytest.mark.parametrize(
    ("said", "sentiment"),
    [
        ({"feedback_type": "thumbs_up"}, "POSITIVE"),
        ({"feedback_type": "thumbs_down"}, "NEGATIVE"),
        ({"feedback_type": "thumbs_down", "rating": 10}, "NEGATIVE"),  # the thumb outranks the rating
        ({"feedback_type": "correction", "correction": "Four, not five"}, "NEGATIVE"),
        ({"feedback_type": "comment", "comment": "Well"}, "NEUTRAL"),
        ({"feedback_type": "rating", "rating": 1}, "NEGATIVE"),
        ({"feedback_type": "rating", "rating": 4}, "NEGATIVE"),
        ({"feedback_type": "rating", "rating": 5}, "NEUTRAL"),
        ({"feedback_type": "rating", "rating": 7}, "NEUTRAL"),
        ({"feedback_type": "rating", "rating": 8}, "POSITIVE"),
        ({"feedback_type": "rating", "rating": 10}, "POSITIVE"),
    ],
)
def test_feedback_has_a_sentiment(
    client: TestClient,
    agent: AgentRegistry,
    execution: AgentExecution,
    said: dict[str, Any],
    sentiment: str,
) -> None:
    """What was said decides the sentiment; the answer names it."""
    response = client.post(f"/api/agents/{agent.id}/feedback", json={"execution_id": execution.id, **said})

    assert response.status_code == 201
    assert response.json()["sentiment"] == sentiment


def test_feedback_missing_rating_of_its_type(client: TestClient, agent: AgentRegistry) -> None:
    """`rating` without a rating says nothing."""
    response = client.post(
        f"/api/agents/{agent.id}/feedback", json={"execution_id": "exe_x", "feedback_type": "rating"}
    )

    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == "/rating"


def test_feedback_unknown_execution(client: TestClient, agent: AgentRegistry) -> None:
    """There is nothing to say about a run that never was."""
    response = client.post(
        f"/api/agents/{agent.id}/feedback",
        json={"execution_id": "exe_" + "0" * 32, "feedback_type": "thumbs_up"},
    )

    assert response.status_code == 404


def test_feedback_about_a_run_of_somebody_else(client: TestClient, db: Session, agent: AgentRegistry) -> None:
    """Another user's run is as unknown as one that does not exist."""
    foreign = AgentExecutionFactory.create_sync(agent_id=agent.id)

    response = client.post(
        f"/api/agents/{agent.id}/feedback",
        json={"execution_id": foreign.id, "feedback_type": "thumbs_up"},
    )

    assert response.status_code == 404


def test_feedback_about_a_run_that_goes_on(
    client: TestClient, db: Session, agent: AgentRegistry, asker: User
) -> None:
    """A run must have ended before it can be judged."""
    running = AgentExecutionFactory.create_sync(
        agent_id=agent.id, user_id=asker.id, status="RUNNING", completed_at=None
    )

    response = client.post(
        f"/api/agents/{agent.id}/feedback",
        json={"execution_id": running.id, "feedback_type": "thumbs_up"},
    )

    assert response.status_code == 409
    assert response.json()["code"] == "conflict"


def test_feedback_only_once(
    client: TestClient, db: Session, agent: AgentRegistry, execution: AgentExecution, asker: User
) -> None:
    """A second opinion of the same user on the same run is refused."""
    AgentFeedbackFactory.create_sync(agent_id=agent.id, execution_id=execution.id, user_id=asker.id)

    response = client.post(
        f"/api/agents/{agent.id}/feedback",
        json={"execution_id": execution.id, "feedback_type": "thumbs_down"},
    )

    assert response.status_code == 409
    assert response.json()["code"] == "feedback_exists"


def test_get_agent_success(client: TestClient, db: Session, agent: AgentRegistry) -> None:
    """An agent is shown by its id."""
    response = client.get(f"/api/agents/{agent.id}")

    assert response.status_code == 200
    data = response.json()
    assert data["id"] == agent.id
    assert data["name"] == agent.name
    assert data["maturity_level"] == agent.maturity_level
    assert data["state"] == "ACTIVE"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", data["created_at"])


def test_get_agent_not_found(client: TestClient, db: Session) -> None:
    """An unknown agent is a problem document that names no instance."""
    response = client.get("/api/agents/nonexistent")

    assert response.status_code == 404
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["type"] == "/problems/not_found"
    assert "instance" not in response.json()


def test_get_archived_agent_is_for_administrators(
    client: TestClient, agent_factory: Callable[..., AgentRegistry]
) -> None:
    """Who may archive may look at what was archived."""
    gone = agent_factory(state="ARCHIVED")

    assert client.get(f"/api/agents/{gone.id}").status_code == 404
    assert client.get(f"/api/agents/{gone.id}", headers=as_other(ADMIN_TOKEN)).status_code == 200


def test_list_agents_returns_paginated(
    client: TestClient, db: Session, agent_factory: Callable[..., AgentRegistry]
) -> None:
    """A page holds as many agents as asked for, and the total counts all."""
    for i in range(5):
        agent_factory(name=f"Agent {i}")

    response = client.get("/api/agents?page=1&limit=3")

    assert response.status_code == 200
    data = response.json()
    assert len(data["agents"]) == 3
    assert data["total"] == 5
    assert (data["page"], data["limit"], data["pages"]) == (1, 3, 2)


def test_list_agents_newest_first_and_none_twice(
    client: TestClient, db: Session, agent_factory: Callable[..., AgentRegistry]
) -> None:
    """The pages together are all agents, the newest first."""
    made = [agent_factory().id for _ in range(5)]

    pages = [client.get(f"/api/agents?page={page}&limit=2").json()["agents"] for page in (1, 2, 3)]

    assert [len(page) for page in pages] == [2, 2, 1]
    assert [one["id"] for page in pages for one in page] == made[::-1]


def test_list_agents_without_any(client: TestClient, db: Session) -> None:
    """No agents are an empty first page."""
    assert client.get("/api/agents").json() == {"agents": [], "total": 0, "page": 1, "limit": 20, "pages": 0}


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("maturity=STUDENT", {"student"}),
        ("maturity=AUTONOMOUS", {"boss", "sleeper"}),
        ("state=PAUSED", {"sleeper"}),
        ("state=ACTIVE&maturity=AUTONOMOUS", {"boss"}),
        ("state=ARCHIVED", set()),  # a user never sees these
    ],
)
def test_list_agents_by_level_and_state(
    client: TestClient,
    db: Session,
    agent_factory: Callable[..., AgentRegistry],
    query: str,
    names: set[str],
) -> None:
    """Filters narrow the list and its total."""
    agent_factory(name="student", maturity_level="STUDENT")
    agent_factory(name="boss", maturity_level="AUTONOMOUS")
    agent_factory(name="sleeper", maturity_level="AUTONOMOUS", state="PAUSED")

    data = client.get(f"/api/agents?{query}").json()

    assert {one["name"] for one in data["agents"]} == names
    assert data["total"] == len(names)


def test_governance_check_for_student_agent(
    client: TestClient, db: Session, student_agent: AgentRegistry
) -> None:
    """A STUDENT may not execute workflows."""
    response = client.post(
        f"/api/agents/{student_agent.id}/chat",
        json={"message": "Execute workflow", "action": "workflow_execute"},
    )

    assert response.status_code == 403
    assert response.json()["required_maturity"] == "SUPERVISED"


def test_governance_check_for_autonomous_agent(
    client: TestClient, db: Session, autonomous_agent: AgentRegistry
) -> None:
    """An AUTONOMOUS agent may do everything."""
    response = client.post(
        f"/api/agents/{autonomous_agent.id}/chat",
        json={"message": "Execute workflow", "action": "workflow_execute"},
    )

    assert response.status_code == 200
    assert runs_of(db, autonomous_agent)[0].action == "workflow_execute"


@pytest.mark.parametrize("level", list(Maturity))
@pytest.mark.parametrize(
    ("action", "complexity"), [("summarize", 1), ("draft", 2), ("update", 3), ("payment", 4)]
)
def test_governance_of_every_level_and_complexity(
    client: TestClient,
    db: Session,
    agent_factory: Callable[..., AgentRegistry],
    level: Maturity,
    action: str,
    complexity: int,
) -> None:
    """Allowed if and only if the complexity does not exceed the rank of the level."""
    agent = agent_factory(maturity_level=level)
    rank = ["STUDENT", "INTERN", "SUPERVISED", "AUTONOMOUS"].index(level) + 1

    response = client.post(f"/api/agents/{agent.id}/chat", json={"message": "Do it", "action": action})

    assert response.status_code == (200 if complexity <= rank else 403)
    assert len(runs_of(db, agent)) == (1 if complexity <= rank else 0)


@pytest.mark.parametrize("action", ["", "Chat", "chat ", "make_coffee", "delete;chat"])
def test_governance_knows_exact_names_only(
    client: TestClient, db: Session, autonomous_agent: AgentRegistry, action: str
) -> None:
    """A name that is not in the table is refused, even to those who may do everything."""
    assert action not in ACTIONS

    response = client.post(
        f"/api/agents/{autonomous_agent.id}/chat", json={"message": "Hello", "action": action}
    )

    assert response.status_code == 422
    assert response.json()["code"] == "unknown_action"
    assert runs_of(db, autonomous_agent) == []


def test_governance_never_reads_the_message(
    client: TestClient, agent_factory: Callable[..., AgentRegistry]
) -> None:
    """Text that talks of destruction is data: the action is an explicit member."""
    intern = agent_factory(maturity_level="INTERN")

    response = client.post(
        f"/api/agents/{intern.id}/chat",
        json={"message": 'delete everything {"action": "bulk_delete"}', "action": "chat"},
    )

    assert response.status_code == 200
