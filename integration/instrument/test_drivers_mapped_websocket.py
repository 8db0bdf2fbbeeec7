"""A WebSocket in a dialect of its own: opening, ready, late messages, cancels, drops, limits."""

from __future__ import annotations

import json
import select
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import pytest

from integration.instrument.agentchat import (
    MS,
    RUN,
    answer,
    delta,
    done,
    end,
    error,
    follow,
    frames,
    limits,
    started,
    turn,
)
from integration.instrument.script_server import Peer, Script, ScriptServer, close, frame, text
from integration.timing import eventually
from load.drivers.base import Frame
from load.drivers.dialects.mapping import Dialect
from load.drivers.dialects.reading import dialect, preset
from load.drivers.mapped_websocket import MappedWebSocketDriver
from load.metrics.events import Expired, Refused
from load.metrics.timeline import Timeline

AGENTCHAT: Final = preset("agentchat-ws")
PLAIN: Final = dialect(
    {
        "wire": "websocket",
        "subprotocols": ["plain.v1"],
        "opening": [{"hello": "{user}"}],
        "ready": {"is": "ready"},
        "request": {"path": "/{model}", "body": {"say": "{prompt}"}},
        "event": [
            {"is": "delta", "text": "word"},
            {"is": "finished", "when": {"is": "over"}},
        ],
    },
    "plain",
)
"""It greets and waits for an answer to that, announces no stream, and knows no cancel."""
CLEAN: Final = ("DONE", None, dict[str, int]())
WHOLE: Final = frames(*answer("abc"))
BEGUN: Final = frames(started(), delta(2, "a"), delta(3, "b"))
CANCELLED: Final = {"type": "cancelled", "seq": 4, "execution_id": RUN, "reason": "api", "done": True}
NOBODY: Final = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 21\r\n\r\n" + b'{"code": "not_yours"}'


def driver(server: ScriptServer, spoken: Dialect = AGENTCHAT, **options: Any) -> MappedWebSocketDriver:
    return MappedWebSocketDriver(
        f"http://127.0.0.1:{server.port}", {}, limits(), spoken, {"model": "m", "user": "u7"}, **options
    )


def plays(*parts: bytes, after: Callable[[Peer], object] = Peer.gone) -> Script:
    """Accepts, waits for the message, sends each part; then `after`."""

    def script(peer: Peer) -> None:
        peer.shake()
        peer.message()
        peer.send(*parts)
        after(peer)

    return script


def greeted(*parts: bytes, after: Callable[[Peer], object] = Peer.gone) -> Script:
    """Accepts, waits for the greeting, sends each part; then `after`."""

    def script(peer: Peer) -> None:
        peer.shake(subprotocol="plain.v1")
        assert peer.message() == {"hello": "u7"}
        peer.send(*parts)
        after(peer)

    return script


def refuses(peer: Peer) -> None:
    peer.request()
    peer.send(NOBODY)


def ask(*scripts: Script, spoken: Dialect = AGENTCHAT, **fields: Any) -> Timeline:
    """One turn."""
    with ScriptServer(*scripts) as server:
        user = driver(server, spoken)
        timeline = follow(user, turn(**fields))
        user.close()
    return timeline


def words(peer: Peer) -> None:
    """Answers one message in the plain dialect."""
    assert peer.message() == {"say": "Hello?"}
    peer.send(text(word="a"), text(word="b"), text(**{"is": "over"}))
    peer.gone()


def test_the_peer_is_greeted_and_waited_for() -> None:
    """What it says before it is ready belongs to no stream; the wait is part of the handshake."""
    ready = greeted(text(news="x"), text(word="early"), text(**{"is": "ready"}), after=words)
    with ScriptServer(ready) as server:
        user = driver(server, PLAIN)
        assert user.open() is None
        timeline = follow(user)
        user.close()

    assert end(timeline) == CLEAN
    assert timeline.text == "ab"
    assert timeline.sent is not None
    assert timeline.sent.handshake_ns is None


def test_a_peer_may_be_ready_at_once() -> None:
    """Its word comes in the segment that accepts the connection."""

    def script(peer: Peer) -> None:
        peer.shake(subprotocol="plain.v1", behind=text(**{"is": "ready"}))
        assert peer.message() == {"hello": "u7"}
        words(peer)

    assert end(ask(script, spoken=PLAIN)) == CLEAN


def test_without_an_open_before_the_handshake_is_the_streams() -> None:
    """The first stream connects."""
    timeline = ask(greeted(text(**{"is": "ready"}), after=words), spoken=PLAIN)

    assert end(timeline) == CLEAN
    assert timeline.sent is not None
    assert (timeline.sent.handshake_ns or 0) > 0


@pytest.mark.parametrize(
    ("script", "spoken", "expected"),
    [
        (refuses, AGENTCHAT, ("REFUSED", "not_yours", {})),
        (greeted(close(4001)), PLAIN, ("REFUSED", "4001", {})),
        (greeted(after=Peer.fin), PLAIN, ("REFUSED", "fin", {})),
    ],
    ids=["handshake", "closed before it was ready", "gone before it was ready"],
)
def test_nobody_there(script: Script, spoken: Dialect, expected: object) -> None:
    """No stream was begun."""
    assert end(ask(script, spoken=spoken)) == expected


def test_open_tells_why_there_is_no_connection() -> None:
    """As it would be told to a stream."""
    with ScriptServer(refuses) as server:
        found = driver(server, trace=False).open()

    assert isinstance(found, Refused)
    assert (found.status, found.code, found.correlation_id) == (403, "not_yours", None)


def test_a_peer_that_is_never_ready_is_not_awaited_for_ever() -> None:
    """Its limit is that of connecting."""
    timeline = ask(greeted(), spoken=PLAIN, limits=limits(connect_ns=60))

    assert end(timeline) == ("TIMED_OUT", "connect", {})


def arrived(user: MappedWebSocketDriver) -> None:
    """Something has come on the idle connection."""
    assert user.channel is not None
    assert select.select([user.channel.wire.sock], [], [], 5)[0]


def between(late: Sequence[bytes], then: Callable[[MappedWebSocketDriver], object]) -> tuple[Timeline, ...]:
    """Two turns on as many connections as it takes; `late` comes between them, and `then` is done."""
    ended = threading.Event()

    def first(peer: Peer) -> None:
        peer.shake()
        peer.message()
        peer.send(*WHOLE)
        assert ended.wait(5)
        peer.send(*late)
        if late[-1] != close(1000):
            peer.message()
            peer.send(*frames(*answer("ab", "exe_2")))
        peer.gone()

    scripts: list[Script] = [first]
    if late[-1] == close(1000):
        scripts.append(plays(*frames(*answer("ab", "exe_2"))))
    with ScriptServer(*scripts) as server:
        user = driver(server)
        user.tend()  # there is no connection yet
        timelines = [follow(user)]
        ended.set()
        arrived(user)
        then(user)
        timelines.append(follow(user))
        user.close()
    return tuple(timelines)


@pytest.mark.parametrize(
    "then", [MappedWebSocketDriver.tend, lambda user: None], ids=["tended", "not tended"]
)
@pytest.mark.parametrize(
    ("late", "expected"),
    [
        (frames(delta(9, "z")), ("BROKEN", "order", {"order": 1})),
        (frames(delta(9, "z", "exe_0")), ("BROKEN", "order", {"order": 1})),
        (frames(done(6, "abc")), ("BROKEN", "duplicate", {"duplicate": 1})),
        (frames({"type": "heartbeat"}), CLEAN),
        ([frame(b"{")], ("BROKEN", "text", {"text": 1})),
        ([close(1000)], CLEAN),
    ],
    ids=["a chunk", "a stranger", "its end again", "a heartbeat", "no JSON", "the end of the connection"],
)
def test_messages_between_turns_reach_the_last_stream(
    late: list[bytes], expected: object, then: Callable[[MappedWebSocketDriver], object]
) -> None:
    """While the user is idle, or before the next message is sent; that one is clean."""
    first, second = between(late, then)

    assert (end(first), end(second)) == (expected, CLEAN)


@pytest.mark.parametrize(
    ("late", "expected"),
    [
        (frames(delta(9, "z")), ("BROKEN", "order", {"order": 1})),
        (frames(done(6, "abc")), ("BROKEN", "duplicate", {"duplicate": 1})),
    ],
    ids=["a chunk", "its end again"],
)
def test_a_late_message_behind_the_next_one_said_is_of_the_last_stream(
    late: list[bytes], expected: object
) -> None:
    """The next stream has no id yet, and does not take that of the last for its own."""

    def script(peer: Peer) -> None:
        peer.shake()
        peer.message()
        peer.send(*WHOLE)
        peer.message()
        peer.send(*late, *frames(*answer("ab", "exe_2")))
        peer.gone()

    with ScriptServer(script) as server:
        user = driver(server)
        first, second = follow(user), follow(user)
        user.close()

    assert (end(first), end(second), second.execution_id) == (expected, CLEAN, "exe_2")


def test_messages_before_any_stream_are_nobodys() -> None:
    """They came on a connection on which nothing was asked."""
    with ScriptServer(unasked) as server:
        user = driver(server)
        assert user.open() is None
        arrived(user)
        timeline = follow(user)
        user.close()

    assert end(timeline) == CLEAN


def unasked(peer: Peer) -> None:
    """Speaks first: with the answer to the handshake, and behind it."""
    peer.shake(behind=text(word="early"))
    peer.pause(20)  # the second one is no part of the handshake
    peer.send(*frames(delta(9, "z")))
    peer.message()
    peer.send(*WHOLE)
    peer.gone()


def test_a_connection_without_a_stream_is_closed() -> None:
    """Nothing was asked on it."""
    with ScriptServer(lambda peer: (peer.shake(), peer.gone())) as server:
        user = driver(server)
        assert user.open() is None
        user.close()
        user.close()

    assert user.channel is None


def test_messages_before_the_close_reach_the_last_stream() -> None:
    """Nobody asks any more, but they are not lost."""

    def script(peer: Peer) -> None:
        peer.shake()
        peer.message()
        peer.send(*WHOLE)
        peer.frame()  # the client's close
        peer.send(frame(b"{"), close(1000))
        peer.gone()

    assert end(ask(script)) == ("BROKEN", "text", {"text": 1})


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ([done(5, "abc")], CLEAN),
        ([done(5, "abc"), delta(6, "d")], ("BROKEN", "order", {"order": 1})),
        ([delta(5, ""), done(6, "abc")], CLEAN),
        ([error("internal", seq=5, execution_id=RUN), {"type": "heartbeat"}], ("ERROR", "internal", {})),
        (
            [done(5, "abc"), error("internal", seq=6, execution_id=RUN)],
            ("BROKEN", "duplicate", {"duplicate": 1}),
        ),
        (
            [error("internal", seq=5, execution_id=RUN), done(6, "abc")],
            ("ERROR", "internal", {"duplicate": 1}),
        ),
    ],
    ids=[
        "close",
        "chunk",
        "no text",
        "heartbeat behind an error",
        "error behind the end",
        "done behind an error",
    ],
)
def test_what_comes_with_the_end_is_taken(last: list[dict[str, Any]], expected: object) -> None:
    """In the same segment as the last message."""
    begun = frames(*answer("abc")[:-1])

    assert end(ask(plays(b"".join([*begun, *frames(*last), close(1000)])))) == expected


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (Peer.fin, ("CUT_OFF", "fin", {})),
        (Peer.reset, ("CUT_OFF", "reset", {})),
        (lambda peer: (peer.send(close(1011)), peer.gone()), ("CUT_OFF", "1011", {})),
    ],
    ids=["fin", "reset", "close"],
)
def test_a_stream_is_cut_off(after: Callable[[Peer], object], expected: object) -> None:
    """As it ended."""
    assert end(ask(plays(*BEGUN, after=after))) == expected


@pytest.mark.parametrize(
    ("parts", "spoken", "bounds", "clock"),
    [
        ([], AGENTCHAT, {"accept_ns": 60}, "accept"),
        (BEGUN[:1], AGENTCHAT, {"first_delta_ns": 60}, "first_delta"),
        ([], AGENTCHAT, {"accept_ns": 90, "first_delta_ns": 60}, "first_delta"),
        ([], replace(PLAIN, opening=(), ready=None), {"accept_ns": 30, "first_delta_ns": 60}, "first_delta"),
        (BEGUN, AGENTCHAT, {"gap_ns": 60}, "gap"),
        (BEGUN, AGENTCHAT, {"total_ns": 60}, "total"),
    ],
)
def test_our_own_limits_end_a_stream(
    parts: list[bytes], spoken: Dialect, bounds: Mapping[str, int], clock: str
) -> None:
    """The one that is nearest; what announces no stream has no limit to do so."""
    timeline = ask(plays(*parts), spoken=spoken, limits=limits(**bounds))

    assert end(timeline) == ("TIMED_OUT", clock, {})
    assert isinstance(timeline.expired, Expired)
    assert timeline.expired.limit_ns == bounds[f"{clock}_ns"] * MS


@pytest.mark.parametrize("after", [0, 2])
def test_a_cancel_is_asked_for_in_the_words_of_the_dialect(after: int) -> None:
    """Once, behind so many chunks, with the id of the stream."""
    asked: list[object] = []

    def obeys(peer: Peer) -> None:
        asked.append(peer.message())
        peer.send(*frames(CANCELLED))
        peer.gone()

    timeline = ask(plays(*BEGUN, after=obeys), cancel_after=after)

    assert asked == [{"type": "cancel", "execution_id": RUN}]
    assert end(timeline) == ("CANCELLED", "api", {})
    assert timeline.cancel_at is not None


def test_without_a_word_for_it_nothing_is_cancelled() -> None:
    """The stream goes on to its end."""
    spoken = replace(AGENTCHAT, cancel=None)

    assert end(ask(plays(*WHOLE), spoken=spoken, cancel_after=1)) == CLEAN


@pytest.mark.parametrize(("how", "seen"), [("close", "fin"), ("fin", "fin"), ("rst", "reset")])
def test_a_stream_is_dropped(how: str, seen: str) -> None:
    """Behind so many chunks, in each way there is; the next stream has a connection of its own."""
    left: list[str] = []
    dropped = plays(*BEGUN, after=lambda peer: left.append(peer.gone()))
    with ScriptServer(dropped, plays(*WHOLE)) as server:
        user = driver(server)
        first, second = follow(user, turn(drop_after=(2, how))), follow(user)
        user.close()

    assert end(first) == ("CUT_OFF", "us", {})
    assert first.close is not None
    assert (first.close.by, first.close.how) == ("us", "reset" if how == "rst" else how)
    assert (left, end(second)) == ([seen], CLEAN)


@pytest.mark.parametrize("what", [{"drop_after": (3, "fin")}, {"cancel_after": 3}])
def test_what_we_do_waits_for_its_chunk(what: dict[str, Any]) -> None:
    """Two have come and were looked at; with the third the answer ends by itself."""
    kept: list[Frame] = []

    def slow(peer: Peer) -> None:
        eventually(lambda: len(kept) > len(BEGUN), "two chunks that were read")
        peer.send(b"".join(frames(delta(4, "c"), done(5, "abc"))))
        peer.gone()

    assert end(ask(plays(*BEGUN, after=slow), recorder=kept, **what)) == CLEAN


def test_every_message_is_recorded() -> None:
    """Those of its own turn."""
    kept: list[Frame] = []
    ask(plays(*frames(*answer("a"))), recorder=kept)

    assert [(way, json.loads(data).get("type")) for _, way, data in kept] == [
        ("sent", "chat"),
        ("received", "started"),
        ("received", "delta"),
        ("received", "done"),
    ]
