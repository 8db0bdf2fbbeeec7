"""One stream before the first user comes."""

from __future__ import annotations

import pytest

from integration.instrument.agentchat import LIMITS
from integration.instrument.script_server import Peer, Script, ScriptServer
from load.drivers.dialects.reading import preset
from load.errors import LoadError, TargetDown, UsageError
from load.scenarios.accounts import Credential
from load.scenarios.plans import Plan
from load.scenarios.preflight import try_plan

PLAN = Plan("chat", preset("openai-chat"), {"model": "m"})
WHERE = "scenario chat: /v1/chat/completions"
CHUNK = b'data: {"choices":[{"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


def answers(status: bytes, body: bytes, kind: bytes = b"text/event-stream") -> Script:
    def script(peer: Peer) -> None:
        peer.request()
        head = b"HTTP/1.1 %s\r\ncontent-type: %s\r\ncontent-length: %d\r\n\r\n" % (status, kind, len(body))
        peer.send(head + body)
        peer.gone()

    return script


def tried(script: Script) -> None:
    with ScriptServer(script) as server:
        try_plan(PLAN, f"http://127.0.0.1:{server.port}", Credential(), LIMITS)


@pytest.mark.parametrize("body", [CHUNK, b'data: {"error":{"code":"busy"}}\n\n'])
def test_an_answer_is_enough(body: bytes) -> None:
    """Also one that ends in an error: that a run will tell."""
    tried(answers(b"200 OK", body))


@pytest.mark.parametrize(
    ("script", "kind", "message"),
    [
        (
            answers(b"401 No", b"{}", b"application/json"),
            TargetDown,
            "answered 401: see [auth]; is the token right?",
        ),
        (
            answers(b"422 No", b'{"detail":"model\n missing"}', b"application/json"),
            UsageError,
            'answered 422: {"detail":"model missing"}; see path and body',
        ),
        (
            answers(b"200 OK", b'data: {"word":"hi"}\n\n'),
            UsageError,
            ': no event of dialect openai-chat with is = "delta" fits; first came: data: {"word":"hi"}',
        ),
    ],
)
def test_what_does_not_fit_is_one_line(script: Script, kind: type[LoadError], message: str) -> None:
    """Whether the token, the request or the dialect is wrong."""
    with pytest.raises(kind) as caught:
        tried(script)

    assert str(caught.value).removeprefix(WHERE).strip() == message


def test_nobody_there_is_told() -> None:
    """A port where nobody listens."""
    with ScriptServer() as server:
        port = server.port

    with pytest.raises(TargetDown, match=r"nothing answers there$"):
        try_plan(PLAN, f"http://127.0.0.1:{port}", Credential(), LIMITS)
