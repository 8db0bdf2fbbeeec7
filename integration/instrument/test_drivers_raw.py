"""A connection whose bytes the caller writes, over real sockets."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from integration.instrument.script_server import BINARY, CLOSE, PING, TEXT, Peer, ScriptServer, close, text
from integration.instrument.script_server import frame as served
from integration.timing import eventually
from load.drivers import raw
from load.drivers.raw import RawClient, say

SECOND = 1_000_000_000
PONG = 10


def connect(
    server: ScriptServer, limit_ns: int = 10 * SECOND, receive_buffer: int | None = None
) -> RawClient:
    return RawClient.connect(f"ws://127.0.0.1:{server.port}/api/stream", limit_ns, receive_buffer)


def test_reads_until_a_mark_and_keeps_the_rest() -> None:
    """What came behind the mark is the beginning of the next read."""
    with ScriptServer(lambda peer: peer.send(b"one\ntwo\nth", b"ree")) as server, connect(server) as client:
        lines = [client.read_until(b"\n"), client.read_until(b"\n"), client.read_until(b"\n")]
        ended = client.ended

    assert (lines, ended) == ([b"one\n", b"two\n", b"three"], "fin")


def test_bytes_go_out_as_they_are() -> None:
    """Half a request line is half a request line."""
    taken: list[bytes] = []
    with ScriptServer(lambda peer: taken.append(peer.sock.recv(100))) as server, connect(server) as client:
        sent_at = client.send(b"GET /api/ag")
        rest = client.read_to_end()

    assert (taken, rest) == ([b"GET /api/ag"], b"")
    assert client.began_at < sent_at < client.arrived_at


@pytest.mark.parametrize(
    ("ending", "expected"), [(Peer.reset, "reset"), (lambda peer: peer.sock.close(), "fin")]
)
def test_how_the_peer_ended_it(ending: object, expected: str) -> None:
    """With a RST or a FIN; to send afterwards is harmless."""

    def script(peer: Peer) -> None:
        peer.sock.recv(1)
        ending(peer)  # type: ignore[operator]

    with ScriptServer(script) as server, connect(server) as client:
        client.send(b"x")
        assert client.read_to_end() == b""
        client.send(b"y")

    assert client.ended == expected


def test_own_limit_ends_a_read() -> None:
    """Half a second for everything: the peer, which says nothing, is not to blame."""
    with ScriptServer(lambda peer: peer.gone()) as server:
        begun = time.monotonic()
        with connect(server, SECOND // 2) as client:
            assert client.read_to_end() == b""
        took_s = time.monotonic() - begun

    assert client.ended == "expired"
    assert took_s >= 0.5


def test_own_limit_ends_also_who_never_reads() -> None:
    """Bytes that lie there show a living peer, and are still no reason to wait for ever."""
    with ScriptServer(lambda peer: peer.send(b"a")) as server, connect(server, SECOND // 10) as client:
        wait = client.wire.wait
        assert wait is not None
        eventually(lambda: wait.expired, "the end of the limit")
        assert client.read_to_end() == b"a"

    assert client.ended == "expired"


@pytest.mark.parametrize(("how", "seen"), [("close", "fin"), ("reset", "reset")])
def test_how_a_connection_is_ended(how: str, seen: str) -> None:
    """As the other side sees it."""
    noticed: list[str] = []
    with ScriptServer(lambda peer: noticed.append(peer.gone())) as server:
        getattr(connect(server), how)()

    assert noticed == [seen]


def test_narrow_receive_buffer() -> None:
    """A peer that sends more than such a client takes is blocked long before a megabyte."""
    sent: list[int] = []

    def flood(peer: Peer) -> None:
        # The window of the client, and not our own buffer, is what shall fill.
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        peer.sock.recv(1)
        peer.sock.settimeout(0.3)
        try:
            while sum(sent) < 1 << 20:
                sent.append(peer.sock.send(bytes(4096)))
        except TimeoutError:
            blocked.set()

    blocked = threading.Event()
    with ScriptServer(flood) as server, connect(server, receive_buffer=4096) as client:
        client.send(b"x")
        assert blocked.wait(10)

    assert 0 < sum(sent) < 65_536


def test_refusal_is_an_answer() -> None:
    """Status, headers and as much body as was announced."""

    def script(peer: Peer) -> None:
        first, headers, _ = peer.request()
        asked.append((first, headers["authorization"], headers["upgrade"]))
        peer.send(b'HTTP/1.1 429 No\r\nRetry-After: 1\r\nContent-Length: 13\r\n\r\n{"code": "x"}behind')

    asked: list[tuple[str, str, str]] = []
    with ScriptServer(script) as server, connect(server) as client:
        client.send(client.handshake({"authorization": "Bearer t"}))
        answer = client.answer()
        behind = client.read_to_end()

    assert asked == [("GET /api/stream HTTP/1.1", "Bearer t", "websocket")]
    assert (answer.status, answer.headers["retry-after"], answer.json()) == (429, "1", {"code": "x"})
    assert behind == b"behind"


@pytest.mark.parametrize(
    ("sent", "status", "body"),
    [
        pytest.param(b"HTTP/1.1 408 Late\r\n\r\nto the end", 408, b"to the end", id="without length"),
        pytest.param(b"HTTP/1.1 408 La", 0, b"HTTP/1.1 408 La", id="cut in the head"),
        pytest.param(b"HTTP/1.1 408 Late\r\ncontent-length: 9\r\n\r\nshort", 0, b"", id="cut in the body"),
        pytest.param(b"", 0, b"", id="nothing"),
    ],
)
def test_odd_answers(sent: bytes, status: int, body: bytes) -> None:
    """What is not whole has no status."""
    with ScriptServer(lambda peer: peer.send(sent)) as server, connect(server) as client:
        answer = client.answer()

    assert (answer.status, answer.json()) == (status, None)
    assert body in answer.body


def test_conversation_until_the_close() -> None:
    """Frames behind the 101 in one segment, a ping that is answered, a close that is echoed."""

    def script(peer: Peer) -> None:
        peer.shake(behind=text(type="ready") + served(b"are you there", PING))
        answered.append(peer.frame())
        answered.append(peer.frame())
        peer.send(text(type="error", long="x" * 70_000), close(4401))
        answered.append(peer.frame())

    answered: list[tuple[int, bytes]] = []
    with ScriptServer(script) as server, connect(server) as client:
        client.send(client.handshake({}))
        status = client.answer().status
        ready = client.message()
        client.send(say(type="chat", message="Hello"))
        error = client.message()
        behind = client.message()

    assert (status, ready, error["type"], len(error["long"]), behind) == (
        101,
        {"type": "ready"},
        "error",
        70_000,
        None,
    )
    assert answered == [
        (TEXT, b'{"type":"chat","message":"Hello"}'),
        (PONG, b"are you there"),
        (CLOSE, b"\x11\x31"),
    ]
    assert (client.close_code, client.close_reason, client.ended) == (4401, "", "fin")
    assert server.peers[0].sent[-1] < (client.close_at or 0) <= client.arrived_at


def test_own_close_is_sent_once() -> None:
    """The peer's close frame is then the echo; what was under way comes before it."""

    def script(peer: Peer) -> None:
        peer.shake()
        taken.append(peer.frame())
        peer.send(text(type="delta"), served(b"\x03\xe8bye", CLOSE))
        peer.sock.shutdown(socket.SHUT_WR)
        rest.append(peer.sock.recv(100))

    taken: list[tuple[int, bytes]] = []
    rest: list[bytes] = []
    with ScriptServer(script) as server:
        with connect(server) as client:
            client.send(client.handshake({}))
            client.answer()
            client.send_close(1000)
            messages = [client.message(), client.message()]
        assert server.peers[0].closed.wait(10)

    assert messages == [{"type": "delta"}, None]
    assert (taken, rest) == ([(CLOSE, b"\x03\xe8")], [b""])
    assert (client.close_code, client.close_reason) == (1000, "bye")


def test_pings_left_unanswered_on_purpose() -> None:
    """A client that reads on, but never says that it is there."""

    def script(peer: Peer) -> None:
        peer.shake(behind=served(b"hello?", PING) + served(b"\x03\xf3gone", CLOSE))
        first.append(peer.frame())

    first: list[tuple[int, bytes]] = []
    with ScriptServer(script) as server, connect(server) as client:
        client.send(client.handshake({}))
        client.answer()
        client.pongs = False
        assert client.message() is None

    assert first == [(CLOSE, b"\x03\xf3")]
    assert (client.close_code, client.close_reason) == (1011, "gone")


def test_a_close_need_not_say_why() -> None:
    """Its echo says nothing either."""

    def script(peer: Peer) -> None:
        peer.shake(behind=served(b"", CLOSE))
        echo.append(peer.frame())

    echo: list[tuple[int, bytes]] = []
    with ScriptServer(script) as server, connect(server) as client:
        client.send(client.handshake({}))
        client.answer()
        assert client.message() is None

    assert echo == [(CLOSE, b"")]
    assert (client.close_code, client.close_reason, client.close_at is None) == (None, "", False)


def test_reading_frames_answers_nothing() -> None:
    """Who reads frame by frame leaves pings alone."""

    def script(peer: Peer) -> None:
        peer.shake(behind=served(b"hello?", PING) + close(1011))
        rest.append(peer.sock.recv(100))

    rest: list[bytes] = []
    with ScriptServer(script) as server:
        with connect(server) as client:
            client.send(client.handshake({}))
            client.answer()
            frames = [client.frame(), client.frame()]
        server.peers[0].closed.wait(10)

    assert frames == [(PING, b"hello?"), (CLOSE, b"\x03\xf3")]
    assert rest == [b""]


def test_fragments_and_binary() -> None:
    """Frames that the drivers never send."""

    def script(peer: Peer) -> None:
        peer.shake()
        taken.append(peer.sock.recv(100))

    taken: list[bytes] = []
    with ScriptServer(script) as server, connect(server) as client:
        client.send(client.handshake({}))
        client.answer()
        client.send(
            raw.frame(raw.TEXT, b"a", fin=False) + raw.frame(raw.CONT, b"b") + raw.frame(BINARY, b"c")
        )
        client.read_to_end()

    [wire] = taken
    assert [wire[at] for at in (0, 7, 14)] == [TEXT, 0x80, 0x80 | BINARY]  # 7 bytes each, the mask included


@pytest.mark.parametrize("sent", [b"\x81", b"\x81\x7e", b"\x81\x05abc"], ids=["head", "length", "payload"])
def test_frame_that_is_cut_is_none(sent: bytes) -> None:
    """Wherever the connection ends."""
    with ScriptServer(lambda peer: peer.shake(behind=sent)) as server, connect(server) as client:
        client.send(client.handshake({}))
        client.answer()
        assert client.message() is None

    assert (client.close_code, client.ended) == (None, "fin")
