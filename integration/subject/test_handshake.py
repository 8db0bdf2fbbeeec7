"""Who is let in to stream, and what those read who are not: rows H."""

from __future__ import annotations

import pytest
from websockets.typing import Subprotocol

from integration.subject.clients import AGENTCHAT, Agent, Caller, Service, hear, say
from integration.timing import eventually

pytestmark = pytest.mark.anyio

UNKNOWN_AGENT = "agt_" + "0" * 32


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_H1_no_credential_is_401(service: Service, user: Caller, quick: Agent) -> None:
    """A handshake without a credential is refused with a problem and the scheme that is wanted."""
    status, problem, headers = await service.refusal(quick)

    assert status == 401
    assert problem["code"] == "unauthenticated"
    assert headers["WWW-Authenticate"] == "Bearer"
    assert headers["Content-Type"] == "application/problem+json"
    assert (await service.converse(quick, user.person))[-1]["type"] == "done"


async def test_H1_no_credential_over_http_is_401(service: Service, quick: Agent) -> None:
    """HTTP says the same as the handshake."""
    response = service.http.post(f"/api/agents/{quick.id}/chat", json={"message": "Hello"})

    assert response.status_code == 401
    assert response.json()["code"] == "unauthenticated"
    assert response.headers["WWW-Authenticate"] == "Bearer"


async def test_H2_every_bad_token_gets_the_same_body(service: Service, user: Caller, quick: Agent) -> None:
    """Malformed, unknown and expired tokens cannot be told apart."""
    made = user.post("/api/tokens", {"name": "short", "ttl_s": 1})
    assert made.status_code == 201
    expired = made.json()["token"]
    eventually(
        lambda: service.http.get("/api/agents", headers=bearer(expired)).status_code == 401,
        "the token expired",
    )

    bodies = set()
    for token in ("sg_short", "no prefix", "sg_" + "x" * 43, expired):
        headers = {**bearer(token), "X-Correlation-Id": "same"}
        status, problem, _ = await service.refusal(quick, headers=headers)
        assert status == 401
        bodies.add(str(sorted(problem.items())))

    assert len(bodies) == 1
    assert (await service.converse(quick, user.person))[-1]["type"] == "done"


async def test_H3_revoked_token_gets_the_same_401(service: Service, user: Caller, quick: Agent) -> None:
    """A revoked token is as good as none; the revocation is audited and other tokens go on."""
    made = user.post("/api/tokens", {"name": "to revoke"}).json()
    headers = {**bearer(made["token"]), "X-Correlation-Id": "same"}
    assert service.http.get("/api/agents", headers=headers).status_code == 200

    assert user.delete(f"/api/tokens/{made['id']}").status_code == 204
    revoked = await service.refusal(quick, headers=headers)
    unknown = await service.refusal(quick, headers={**headers, **bearer("sg_" + "x" * 43)})

    assert revoked[:2] == unknown[:2]
    assert revoked[0] == 401
    assert service.audit_of(user.person) == [("token.revoke", "allowed")]
    assert (await service.converse(quick, user.person))[-1]["type"] == "done"


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "https://evil.example",
        "http://app.example",  # another scheme
        "https://app.example:8443",  # another port
        "https://app.example.evil.example",
        "https://app.example@evil.example",
        "https://app.example:port",
        "https://[",
        "",
    ],
)
async def test_H5_foreign_origin_is_403(service: Service, user: Caller, quick: Agent, origin: str) -> None:
    """A page of another origin gets no stream, with whatever token."""
    status, problem, _ = await service.refusal(quick, user.person, headers={"Origin": origin})

    assert status == 403
    assert problem["code"] == "origin_forbidden"
    assert service.audit_of(user.person) == []  # strangers write no rows
    assert (await service.converse(quick, user.person))[-1]["type"] == "done"


@pytest.mark.parametrize("origin", ["https://app.example", "https://app.example:443", "HTTPS://APP.EXAMPLE"])
async def test_allowed_origin_is_let_in(service: Service, user: Caller, quick: Agent, origin: str) -> None:
    """Origins are compared as scheme, host and port, not as text."""
    async with service.connect(quick, user.person, headers={"Origin": origin}) as socket:
        await say(socket, message="Hello")
        assert (await hear(socket))["type"] == "started"


async def test_bearer_subprotocol_lets_a_browser_in(service: Service, user: Caller, quick: Agent) -> None:
    """A browser cannot set headers: its token comes beside `agentchat.v1`, with its origin."""
    offered = [*AGENTCHAT, Subprotocol(f"bearer.{user.person.token}")]
    async with service.connect(
        quick, headers={"Origin": "https://app.example"}, subprotocols=offered
    ) as socket:
        assert socket.subprotocol == "agentchat.v1"
        assert (await hear(socket))["type"] == "ready"


async def test_bearer_subprotocol_needs_an_origin(service: Service, user: Caller, quick: Agent) -> None:
    """Without an origin only the header counts."""
    offered = [*AGENTCHAT, Subprotocol(f"bearer.{user.person.token}")]
    status, problem, _ = await service.refusal(quick, subprotocols=offered)

    assert (status, problem["code"]) == (401, "unauthenticated")


async def test_H6_unknown_and_archived_agents_look_alike(service: Service, user: Caller) -> None:
    """An archived agent is as gone as one that never was; a malformed id is no different."""
    gone = service.agent()
    assert service.admin.delete(f"/api/agents/{gone.id}").status_code == 204
    same = {"X-Correlation-Id": "same"}

    answers = [
        (await service.refusal(agent_id, user.person, headers=same))[:2]
        for agent_id in (UNKNOWN_AGENT, gone.id, "nonexistent")
    ]

    assert answers[0][0] == 404
    assert answers[0][1]["code"] == "not_found"
    assert answers == [answers[0]] * 3
    assert service.runs_of(user.person) == []
    other = service.agent()
    assert (await service.converse(other, user.person))[-1]["type"] == "done"


async def test_H7_student_agent_is_403(service: Service, user: Caller, quick: Agent) -> None:
    """A STUDENT does not stream; the denial is audited, and no run is left."""
    status, problem, _ = await service.refusal(service.demo["STUDENT"], user.person)

    assert status == 403
    assert problem["code"] == "governance_denied"
    assert problem["action"] == "stream_chat"
    assert problem["action_complexity"] == 2
    assert problem["agent_maturity"] == "STUDENT"
    assert problem["required_maturity"] == "INTERN"
    assert [decision for _, decision in service.audit_of(user.person)] == ["denied"]
    assert service.runs_of(user.person) == []
    assert (await service.converse(quick, user.person))[-1]["type"] == "done"


@pytest.mark.parametrize("offered", [["chat.v9"], ["agentchat.v2", "mqtt"]])
async def test_H8_unknown_subprotocols_are_400(
    service: Service, user: Caller, quick: Agent, offered: list[str]
) -> None:
    """Whoever offers subprotocols must offer ours."""
    status, problem, _ = await service.refusal(
        quick, user.person, subprotocols=[Subprotocol(one) for one in offered]
    )

    assert (status, problem["code"]) == (400, "bad_handshake")
    assert service.runs_of(user.person) == []
    assert (await service.converse(quick, user.person))[-1]["type"] == "done"


async def test_H8_two_credentials_are_400(service: Service, user: Caller, quick: Agent) -> None:
    """Two credentials are one too many, even of the same token."""
    offered = [*AGENTCHAT, Subprotocol(f"bearer.{user.person.token}")]
    status, problem, _ = await service.refusal(quick, user.person, subprotocols=offered)

    assert (status, problem["code"]) == (400, "bad_handshake")
    assert (await service.converse(quick, user.person))[-1]["type"] == "done"


async def test_H14_paused_agent_is_409(service: Service, user: Caller, quick: Agent) -> None:
    """A paused agent is known but streams nothing."""
    paused = service.agent()
    assert service.admin.post(f"/api/agents/{paused.id}/pause").status_code == 200

    status, problem, _ = await service.refusal(paused, user.person)

    assert (status, problem["code"]) == (409, "agent_paused")
    assert service.runs_of(user.person) == []
    assert (await service.converse(quick, user.person))[-1]["type"] == "done"


async def test_order_of_refusals_tells_a_stranger_nothing(service: Service, user: Caller) -> None:
    """Credential before agent, agent before state, state before governance."""
    paused_student = service.agent("STUDENT")
    service.admin.post(f"/api/agents/{paused_student.id}/pause")

    stranger = await service.refusal(UNKNOWN_AGENT)
    unknown = await service.refusal(UNKNOWN_AGENT, user.person)
    paused = await service.refusal(paused_student, user.person)

    assert [one[1]["code"] for one in (stranger, unknown, paused)] == [
        "unauthenticated",
        "not_found",
        "agent_paused",
    ]
