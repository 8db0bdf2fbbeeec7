"""Who may run now: rates, runs of a user, governance, state of the agent, providers: rows L."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from websockets.asyncio.client import ClientConnection

from backend.domain.governance import ACTIONS, Maturity
from integration.subject.clients import Agent, Caller, Service, answer_of, first, hear, say

pytestmark = pytest.mark.anyio

BURST = 10
RUNS_OF_A_USER = 4


@asynccontextmanager
async def runs_of(service: Service, user: Caller, slow: Agent) -> AsyncGenerator[None, None]:
    """All runs that a user may have at once are going on; on leaving they are cancelled."""
    async with AsyncExitStack() as stack:
        held: list[ClientConnection] = []
        for _ in range(RUNS_OF_A_USER):
            socket = await stack.enter_async_context(service.connect(slow, user.person))
            await say(socket, message="Hello", request_id=f"held {len(held)}")
            await first(socket, "started")
            held.append(socket)
        yield
        for number, socket in enumerate(held):
            await say(socket, type="cancel", request_id=f"held {number}")
            assert (await answer_of(socket))[-1]["type"] == "cancelled"


async def test_L1_message_rate_over_http_is_429(service: Service, user: Caller, quick: Agent) -> None:
    """The burst is served, the next message is told when to come back; another user is not concerned."""
    answers = [user.chat(quick, max_tokens=1) for _ in range(15)]

    codes = [one.status_code for one in answers]
    refused = [one for one in answers if one.status_code != 200]
    # One token a second is refilled meanwhile: what is sure is that the burst is served and not all is.
    assert codes[:BURST] == [200] * BURST
    assert {one.status_code for one in refused} == {429}
    problem = refused[0].json()
    assert problem["code"] == "rate_limited"
    assert 0 < problem["retry_after_ms"] <= 1000
    assert refused[0].headers["Retry-After"] == "1"
    assert problem["retryable"] is True
    assert len(service.runs_of(user.person)) == codes.count(200)
    assert service.caller().chat(quick).status_code == 200


async def test_L1_message_rate_on_a_stream_is_an_error_frame(
    service: Service, user: Caller, quick: Agent
) -> None:
    """The stream says the same as HTTP, counts in the same bucket, and stays open."""
    for _ in range(BURST):
        assert user.chat(quick, max_tokens=1).status_code == 200
    async with service.connect(quick, user.person) as socket:
        for _ in range(BURST):  # a refill of one a second may let some through
            await say(socket, message="Hello", max_tokens=1)
            frames = await answer_of(socket)
            if frames[-1]["type"] == "error":
                break
        await say(socket, message="")
        after = await hear(socket)

    error = frames[-1]["error"]
    assert error["code"] == "rate_limited"
    assert error["status"] == 429
    assert 0 < error["retry_after_ms"] <= 1000
    assert frames[-1]["fatal"] is False
    assert after["error"]["code"] == "invalid_request"
    assert (await service.converse(quick, service.person()))[-1]["type"] == "done"


async def test_L2_runs_of_a_user_over_http_is_429(service: Service, user: Caller, slow: Agent) -> None:
    """With all runs taken the next is refused and leaves no row; when one ends there is room again."""
    async with runs_of(service, user, slow):
        refused = user.chat(slow)
        other = service.caller().chat(service.agent())

    assert refused.status_code == 429
    assert refused.json()["code"] == "concurrency_limit"
    assert refused.json()["retryable"] is True
    assert refused.headers["Retry-After"] == "1"
    assert other.status_code == 200
    assert [run["status"] for run in service.runs_of(user.person)] == ["CANCELLED"] * RUNS_OF_A_USER
    assert user.chat(service.agent()).status_code == 200


async def test_L2_runs_of_a_user_on_a_stream_is_an_error_frame(
    service: Service, user: Caller, slow: Agent, quick: Agent
) -> None:
    """The refused connection stays usable: once a run is cancelled its next message is served."""
    async with service.connect(quick, user.person) as socket:
        async with runs_of(service, user, slow):
            await say(socket, message="Hello", request_id="late")
            error = await hear(socket)
        await say(socket, message="Hello")
        frames = await answer_of(socket)

    assert error["type"] == "error"
    assert error["error"]["code"] == "concurrency_limit"
    assert error["request_id"] == "late"
    assert frames[-1]["type"] == "done"
    assert len(service.runs_of(user.person)) == RUNS_OF_A_USER + 1


@pytest.mark.parametrize("level", list(Maturity))
async def test_L6_every_action_of_every_level_over_http(service: Service, level: Maturity) -> None:
    """Each cell of the table: allowed ones run, others are 403, audited and leave no run."""
    agent = service.agent(level)
    allowed: list[str] = []
    denied: list[str] = []
    callers = [service.caller() for _ in range(3)]  # 22 actions, bursts of 10
    for number, (action, complexity) in enumerate(ACTIONS.items()):
        response = callers[number // 8].chat(agent, action=action, max_tokens=1)
        (allowed if response.status_code == 200 else denied).append(action)
        if response.status_code != 200:
            assert response.status_code == 403, action
            problem = response.json()
            assert problem["code"] == "governance_denied"
            assert problem["action"] == action
            assert problem["action_complexity"] == complexity
            assert problem["agent_maturity"] == level
            assert problem["required_maturity"] == list(Maturity)[complexity - 1]

    assert allowed == [action for action, complexity in ACTIONS.items() if complexity <= level.rank]
    runs = [run["action"] for caller in callers for run in service.runs_of(caller.person)]
    assert runs == allowed
    audited = [decision for caller in callers for _, decision in service.audit_of(caller.person)]
    critical = [action for action in allowed if ACTIONS[action] == 4]
    assert audited.count("denied") == len(denied)
    assert audited.count("allowed") == len(critical)  # an allowed critical action is written down too


async def test_L6_action_above_the_maturity_on_a_stream(service: Service, user: Caller) -> None:
    """A frame with too strong an action is denied and audited; the connection goes on."""
    intern = service.demo["INTERN"]
    async with service.connect(intern, user.person) as socket:
        await say(socket, message="Hello", action="bulk_delete", request_id="r1")
        error = await hear(socket)
        await say(socket, message="Hello", max_tokens=1)
        frames = await answer_of(socket)

    assert error["error"]["code"] == "governance_denied"
    assert error["error"]["action_complexity"] == 4
    assert error["error"]["required_maturity"] == "AUTONOMOUS"
    assert error["request_id"] == "r1"
    assert frames[-1]["type"] == "done"
    assert [decision for _, decision in service.audit_of(user.person)] == ["denied"]
    assert [run["action"] for run in service.runs_of(user.person)] == ["stream_chat"]


async def test_L8_agent_paused_between_two_messages(service: Service, user: Caller) -> None:
    """A pause holds from the next turn on, on HTTP and on open streams, and ends with a resume."""
    agent = service.agent()
    async with service.connect(agent, user.person) as socket:
        await say(socket, message="Hello")
        before = await answer_of(socket)
        assert service.admin.post(f"/api/agents/{agent.id}/pause").json()["state"] == "PAUSED"
        await say(socket, message="Hello")
        paused = await hear(socket)
        over_http = user.chat(agent)
        assert service.admin.post(f"/api/agents/{agent.id}/resume").json()["state"] == "ACTIVE"
        await say(socket, message="Hello")
        after = await answer_of(socket)

    assert before[-1]["type"] == "done"
    assert paused["error"]["code"] == "agent_paused"
    assert paused["error"]["status"] == 409
    assert (over_http.status_code, over_http.json()["code"]) == (409, "agent_paused")
    assert after[-1]["type"] == "done"
    assert [run["status"] for run in service.runs_of(user.person)] == ["COMPLETED"] * 2


async def test_L11_no_provider_serves_the_model(service: Service, user: Caller, quick: Agent) -> None:
    """424 over HTTP, an error of the run on a stream; both rows are FAILED with the code."""
    orphan = service.agent(model="none/x")
    response = user.chat(orphan)
    frames = await service.converse(orphan, user.person)

    assert response.status_code == 424
    assert response.json()["code"] == "no_provider"
    assert response.json()["retryable"] is False
    assert [frame["type"] for frame in frames] == ["started", "error"]
    assert frames[1]["error"]["code"] == "no_provider"
    assert [frame["seq"] for frame in frames] == [1, 2]
    runs = service.runs_of(user.person)
    assert [(run["status"], run["error_code"]) for run in runs] == [("FAILED", "no_provider")] * 2
    assert (await service.converse(quick, user.person))[-1]["type"] == "done"


async def test_order_of_checks_over_http(service: Service, quick: Agent) -> None:
    """Size before token, token before body, body before rate, rate before agent, and so on.

    Each request is wrong in two ways that follow each other; the answer names the first.
    """
    user = service.caller()
    paused_student = service.agent("STUDENT")
    service.admin.post(f"/api/agents/{paused_student.id}/pause")
    student = service.demo["STUDENT"]
    chat = f"/api/agents/{quick.id}/chat"
    huge = json.dumps({"message": "x" * 70_000}).encode()
    as_json = {"Content-Type": "application/json"}

    big_stranger = service.http.post(chat, content=huge, headers=as_json)
    bad_stranger = service.http.post(chat, json={"message": ""})
    unknown = user.post("/api/agents/nonexistent/chat", {"message": "Hello", "action": "make_coffee"})
    paused = user.post(f"/api/agents/{paused_student.id}/chat", {"message": "Hi", "action": "make_coffee"})
    action = user.post(f"/api/agents/{student.id}/chat", {"message": "Hi", "action": "make_coffee"})
    for _ in range(BURST):
        user.chat(quick, max_tokens=1)
    body = user.post(chat, {"message": ""})
    rate = user.post("/api/agents/nonexistent/chat", {"message": "Hello"})

    assert [
        one.json()["code"] for one in (big_stranger, bad_stranger, unknown, paused, action, body, rate)
    ] == [
        "payload_too_large",
        "unauthenticated",
        "not_found",
        "agent_paused",
        "unknown_action",
        "invalid_request",
        "rate_limited",
    ]
