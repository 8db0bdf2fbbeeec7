"""One message to a path that might chat, and what is made of the answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

import pytest

from integration.instrument.script_server import Peer, Script, ScriptServer, frame
from load.drivers.dialects.reading import dialect, preset
from load.drivers.trial import PROMPT, Trial, ask, speaks
from load.errors import TargetDown

LINES: Final = preset("json-lines")
CHUNKS: Final = [{"message": {"content": word}, "done": False} for word in ("a", "b")]
LAST: Final = {"done": True, "done_reason": "stop"}

NOTHING: Final = r"^POST /talk: the app gave no answer$"


def trial(server: ScriptServer, **fields: Any) -> Trial:
    given = {
        "url": f"http://127.0.0.1:{server.port}",
        "path": "/talk",
        "body": {"say": "{prompt}", "with": "{model}"},
        "headers": {"x-who": "me"},
        "query": "",
        "model": "m7",
    }
    return Trial(**{**given, **fields})


def answers(
    *parts: bytes, kind: bytes = b"text/html; charset=x", after: Callable[[Peer], object] = Peer.gone
) -> Script:
    """A body in these pieces."""

    def script(peer: Peer) -> None:
        asked.append(peer.request())
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-type: " + kind + b"\r\ntransfer-encoding: chunked\r\n\r\n")
        peer.send(*(b"%x\r\n%s\r\n" % (len(part), part) for part in parts), b"0\r\n\r\n")
        after(peer)

    return script


asked: list[tuple[str, dict[str, str], bytes]] = []


@pytest.mark.parametrize(("query", "path"), [("", "/talk"), ("key=1", "/talk?key=1")])
def test_one_message_is_sent(query: str, path: str) -> None:
    """With all that says who asks; status, kind and the whole body come back."""
    asked.clear()
    with ScriptServer(answers(b"hello ", b"you")) as server:
        answer = ask(trial(server, query=query))

    [(first, headers, body)] = asked
    assert answer == (200, "text/html", b"hello you")
    assert first == f"POST {path} HTTP/1.1"
    assert (headers["x-who"], headers["accept"]) == ("me", "*/*")
    assert json.loads(body) == {"say": PROMPT, "with": "m7"}


def test_an_answer_that_is_cut_is_what_came() -> None:
    """It says enough."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhal")

    with ScriptServer(script) as server:
        answer = ask(trial(server))

    assert answer == (200, "", b"hal")


def test_no_answer_is_a_target_that_is_down() -> None:
    """Nobody listens there, or says nothing; the path is named."""
    with ScriptServer(Peer.request) as server, pytest.raises(TargetDown, match=NOTHING):
        ask(trial(server))
    with pytest.raises(TargetDown, match=NOTHING):
        ask(trial(server))


@pytest.mark.parametrize(
    ("objects", "expected"),
    [([*CHUNKS, LAST], True), ([*CHUNKS[:1], LAST], False), (CHUNKS, False)],
    ids=["whole", "in one piece", "without its end"],
)
def test_a_dialect_is_tried(objects: list[dict[str, Any]], expected: bool) -> None:
    """It is spoken if a stream ends well, in several chunks."""
    lines = [json.dumps(one).encode() + b"\n" for one in objects]
    with ScriptServer(answers(*lines, kind=b"application/x-ndjson")) as server:
        spoken = speaks(trial(server, query="key=1"), LINES)

    assert spoken is expected


def test_a_dialect_over_a_websocket_is_tried() -> None:
    """Over the wire that it names."""
    table = {
        "wire": "websocket",
        "event": [{"is": "delta", "text": "w"}, {"is": "finished", "when": {"over": True}}],
        "request": {},
    }

    def script(peer: Peer) -> None:
        peer.shake()
        peer.message()
        peer.send(frame(b'{"w": "a"}'), frame(b'{"w": "b"}'), frame(b'{"over": true}'))
        peer.gone()

    with ScriptServer(script) as server:
        assert speaks(trial(server), dialect(table, "t"))
