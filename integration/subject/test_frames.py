"""What goes over an open stream, frame by frame: the two contracts, and rows F."""

from __future__ import annotations

import re
from typing import Any

import pytest

from integration.subject.clients import AGENTCHAT, Agent, Caller, Service, answer_of, hear, say, text_of

pytestmark = pytest.mark.anyio

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


async def test_plain_contract_first_frame_belongs_to_the_first_message(
    service: Service, user: Caller, quick: Agent
) -> None:
    """Without a subprotocol nothing comes before `started`, and nothing but frames of the request."""
    async with service.connect(quick, user.person) as socket:
        assert socket.subprotocol is None
        await say(socket, message="Hello", session_id="plain", request_id="r1")
        frames = await answer_of(socket)

    assert [frame["type"] for frame in frames] == ["started"] + ["delta"] * 4 + ["done"]
    assert {frame["request_id"] for frame in frames} == {"r1"}


async def test_members_of_every_run_frame(service: Service, user: Caller, quick: Agent) -> None:
    """`started`, `delta` and `done` have the members of the protocol, no more and no less."""
    started, delta, *_, done = await service.converse(quick, user.person)

    common = {"type", "seq", "execution_id", "request_id", "done"}
    assert set(started) == common | {"session_id", "agent_id", "model", "ts"}
    assert set(delta) == common | {"delta"}
    assert set(done) == common | {
        "session_id", "response", "finish_reason", "usage", "provider", "first_token_ms", "duration_ms",
    }  # fmt: skip
    assert TIME.fullmatch(started["ts"])
    assert started["agent_id"] == quick.id


async def test_agentchat_v1_begins_with_ready(service: Service, user: Caller, quick: Agent) -> None:
    """Who offers `agentchat.v1` is told the limits first; the run frames are the same."""
    async with service.connect(quick, user.person, subprotocols=AGENTCHAT) as socket:
        assert socket.subprotocol == "agentchat.v1"
        ready = await hear(socket)
        await say(socket, type="chat", message="Hello")
        frames = await answer_of(socket)

    assert set(ready) == {
        "type", "protocol", "connection_id", "agent_id", "server_time", "heartbeat_ms", "limits",
        "auth_expires_at",
    }  # fmt: skip
    assert ready["type"] == "ready"
    assert ready["protocol"] == "agentchat.v1"
    assert ready["agent_id"] == quick.id
    assert ready["auth_expires_at"] is None
    assert ready["heartbeat_ms"] == 15_000
    assert ready["limits"] == {
        "message_bytes": 65_536,
        "message_chars": 16_000,
        "frames_per_sec": 20,
        "messages_per_min": 60,
    }
    assert TIME.fullmatch(ready["server_time"])
    assert [frame["type"] for frame in frames] == ["started"] + ["delta"] * 4 + ["done"]


async def test_ready_names_when_the_token_expires(service: Service, user: Caller, quick: Agent) -> None:
    """A client learns when it needs a new token."""
    made = user.post("/api/tokens", {"name": "an hour", "ttl_s": 3600}).json()
    headers = {"Authorization": f"Bearer {made['token']}"}
    async with service.connect(quick, headers=headers, subprotocols=AGENTCHAT) as socket:
        ready = await hear(socket)

    assert ready["auth_expires_at"] == made["expires_at"]


async def test_shorthand_and_typed_chat_are_the_same(service: Service, user: Caller, quick: Agent) -> None:
    """A frame without `type` but with `message` is a chat."""
    async with service.connect(quick, user.person) as socket:
        await say(socket, message="Hello", session_id="one")
        short = await answer_of(socket)
        await say(socket, type="chat", message="Hello", session_id="two")
        typed = await answer_of(socket)

    assert text_of(short) == text_of(typed)


@pytest.mark.parametrize("message", ["", " ", "\n\t "])
async def test_F2_empty_or_blank_message_is_an_error_frame(
    service: Service, user: Caller, quick: Agent, message: str
) -> None:
    """The frame names the place, leaves no run, and the connection goes on."""
    async with service.connect(quick, user.person) as socket:
        await say(socket, message=message)
        error = await hear(socket)
        await say(socket, message="Words")
        frames = await answer_of(socket)

    assert error["type"] == "error"
    assert error["done"] is True
    assert error["fatal"] is False
    assert error["error"]["code"] == "invalid_request"
    assert error["error"]["errors"][0]["pointer"] == "/message"
    assert "execution_id" not in error
    assert "seq" not in error
    assert frames[-1]["type"] == "done"
    assert [run["status"] for run in service.runs_of(user.person)] == ["COMPLETED"]


async def test_F3_too_many_characters_is_an_error_frame(service: Service, user: Caller, quick: Agent) -> None:
    """One character more than allowed; the last allowed length is served on the same connection."""
    async with service.connect(quick, user.person) as socket:
        await say(socket, message="x" * 16_001)
        error = await hear(socket)
        await say(socket, message="x" * 16_000)
        frames = await answer_of(socket)

    assert error["error"]["code"] == "invalid_request"
    assert error["error"]["errors"][0]["pointer"] == "/message"
    assert frames[-1]["type"] == "done"
    assert len(service.runs_of(user.person)) == 1


@pytest.mark.parametrize("action", ["make_coffee", "CHAT", ""])
async def test_F8_unknown_action_is_an_error_frame(
    service: Service, user: Caller, quick: Agent, action: str
) -> None:
    """Actions are exact names; the connection goes on."""
    async with service.connect(quick, user.person) as socket:
        await say(socket, message="Hello", action=action, request_id="r1")
        error = await hear(socket)
        await say(socket, message="Hello")
        frames = await answer_of(socket)

    assert error["error"]["code"] == "unknown_action"
    assert error["error"]["status"] == 422
    assert error["error"]["retryable"] is False
    assert error["request_id"] == "r1"
    assert frames[-1]["type"] == "done"
    assert len(service.runs_of(user.person)) == 1


async def test_ping_is_answered_with_its_nonce(service: Service, user: Caller, quick: Agent) -> None:
    """Browsers cannot send RFC 6455 pings; a `ping` frame serves them."""
    async with service.connect(quick, user.person, subprotocols=AGENTCHAT) as socket:
        await hear(socket)
        await say(socket, type="ping", nonce="abc")
        pong = await hear(socket)

    assert pong["type"] == "pong"
    assert pong["nonce"] == "abc"
    assert TIME.fullmatch(pong["ts"])


@pytest.mark.parametrize(
    ("more", "pointer"),
    [
        ({"session_id": "a b"}, "/session_id"),
        ({"request_id": ""}, "/request_id"),
        ({"max_tokens": 0}, "/max_tokens"),
        ({"temperature": 3}, "/temperature"),
        ({"metadata": {"k": "x" * 2048}}, "/metadata"),
    ],
)
async def test_frames_have_the_borders_of_http(
    service: Service, user: Caller, quick: Agent, more: dict[str, Any], pointer: str
) -> None:
    """A value that HTTP refuses is refused in a frame, at the same place."""
    response = user.chat(quick, **more)
    async with service.connect(quick, user.person) as socket:
        await say(socket, message="Hello", **more)
        error = await hear(socket)

    assert response.json()["errors"] == error["error"]["errors"]
    assert error["error"]["errors"][0]["pointer"] == pointer
