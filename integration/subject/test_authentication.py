"""Tokens that end while their connection is open: rows A."""

from __future__ import annotations

import pytest

from integration.clocks import Clocks
from integration.subject.clients import (
    AGENTCHAT,
    Agent,
    Caller,
    Service,
    answer_of,
    first,
    hear,
    say,
    to_the_close,
)
from integration.subject.stage import THE_END, story
from integration.upstream import Upstream

pytestmark = pytest.mark.anyio


def short_lived(user: Caller, ttl_s: int | None = 1) -> tuple[str, dict[str, str]]:
    """Id and header of a new token."""
    body = {"name": "brief"} | ({} if ttl_s is None else {"ttl_s": ttl_s})
    made = user.post("/api/tokens", body).json()
    return made["id"], {"Authorization": f"Bearer {made['token']}"}


async def test_A1_token_expires_while_idle(service: Service, user: Caller, quick: Agent) -> None:
    """`agentchat.v1` reads a fatal `auth_expired`, then 4401."""
    _, headers = short_lived(user)
    async with service.connect(quick, headers=headers, subprotocols=AGENTCHAT) as socket:
        ready = await hear(socket)
        frames, code, reason = await to_the_close(socket)

    assert ready["auth_expires_at"] is not None
    [error] = frames
    assert error["type"] == "error"
    assert error["error"]["code"] == "auth_expired"
    assert "status" not in error["error"]
    assert (error["fatal"], error["done"]) == (True, True)
    assert (code, reason) == (4401, "auth_expired")
    assert service.runs_of(user.person) == []
    assert (await service.converse(quick, user.person))[-1]["type"] == "done"


async def test_A1_plain_contract_sees_only_the_close(service: Service, user: Caller, quick: Agent) -> None:
    """Outside a request the plain contract has no frames: 4401 says it all."""
    _, headers = short_lived(user)
    async with service.connect(quick, headers=headers) as socket:
        frames, code, reason = await to_the_close(socket)

    assert frames == []
    assert (code, reason) == (4401, "auth_expired")
    assert (await service.converse(quick, user.person))[-1]["type"] == "done"


async def test_A2_token_expires_during_a_run(
    service: Service, user: Caller, upstream: Upstream, slow: Agent
) -> None:
    """The answer is finished first, by the provider, too; then `auth_expired` and 4401."""
    # 1.5 s, half of it without a token.
    told = story(service, upstream, [["repeat", 30, [["delta", "word "], ["sleep", 50]]], *THE_END])
    _, headers = short_lived(user)
    async with service.connect(told.agent, headers=headers, subprotocols=AGENTCHAT) as socket:
        await hear(socket)
        await say(socket, type="chat", message="Hello")
        answer = await answer_of(socket)
        frames, code, _ = await to_the_close(socket)

    assert answer[-1]["type"] == "done"
    assert [frame["error"]["code"] for frame in frames] == ["auth_expired"]
    assert code == 4401
    [run] = service.runs_of(user.person)
    assert (run["status"], run["output_text"]) == ("COMPLETED", answer[-1]["response"])
    assert [(request["ended"], request["tokens"]) for request in told.requests()] == [("done", 30)]
    assert (await service.converse(slow, user.person, max_tokens=1))[-1]["type"] == "done"


async def test_A5_revoked_token_is_found_at_the_next_frame(
    service: Service, user: Caller, quick: Agent
) -> None:
    """A chat after the revocation is not served; the deed is in the audit log."""
    token_id, headers = short_lived(user, None)
    async with service.connect(quick, headers=headers, subprotocols=AGENTCHAT) as socket:
        await hear(socket)
        assert user.delete(f"/api/tokens/{token_id}").status_code == 204
        await say(socket, type="chat", message="Hello")
        frames, code, _ = await to_the_close(socket)

    assert [frame["error"]["code"] for frame in frames] == ["auth_expired"]
    assert frames[0]["fatal"] is True
    assert code == 4401
    assert service.runs_of(user.person) == []
    assert service.audit_of(user.person) == [("token.revoke", "allowed")]
    assert (await service.converse(quick, user.person))[-1]["type"] == "done"


async def test_agent_archived_while_connected_is_4404(impatient: Service) -> None:
    """A connection to an agent that is gone ends within the recheck interval."""
    agent, user = impatient.agent(), impatient.caller()
    async with impatient.connect(agent, user.person, subprotocols=AGENTCHAT) as socket:
        await first(socket, "ready")
        assert impatient.admin.delete(f"/api/agents/{agent.id}").status_code == 204
        frames, code, reason = await to_the_close(socket)

    assert [frame["error"]["code"] for frame in frames] == ["not_found"]
    assert frames[0]["fatal"] is True
    assert (code, reason) == (4404, "not_found")


async def test_A5_revoked_token_is_found_within_the_recheck_interval(
    impatient: Service, clocks: Clocks
) -> None:
    """A silent connection is asked about its token every half second."""
    user = impatient.caller()
    agent = impatient.agent()
    token_id, headers = short_lived(user, None)
    async with impatient.connect(agent, headers=headers, subprotocols=AGENTCHAT) as socket:
        await first(socket, "ready")
        assert user.delete(f"/api/tokens/{token_id}").status_code == 204
        frames, code, _ = await to_the_close(socket)

    # The first-frame timeout of this server is 1 s: had the token not been found, that code would be here.
    assert [frame["error"]["code"] for frame in frames] == ["auth_expired"]
    assert code == 4401
    assert impatient.audit_of(user.person) == [("token.revoke", "allowed")]
    assert (await impatient.converse(agent, user.person))[-1]["type"] == "done"
