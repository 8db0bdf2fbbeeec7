"""The WebSocket driver against a server that plays exact frames.

Long because the driver is tested at one place: opening, following, cutting, resuming, closing.
"""

from __future__ import annotations

import contextlib
import json
import select
import threading
from collections.abc import Callable
from typing import Any, Final

import pytest

from integration.instrument.agentchat import (
    LETTERS,
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
from integration.instrument.script_server import (
    BINARY,
    PING,
    PONG,
    TEXT,
    Peer,
    Script,
    ScriptServer,
    close,
    frame,
    text,
)
from load.drivers.base import Frame
from load.drivers.channel import MAX_MESSAGE_BYTES
from load.drivers.websocket import WebSocketDriver
from load.errors import InstrumentError
from load.metrics.events import Delta, Event, Sent
from load.metrics.timeline import Timeline

CLEAN: Final = ("DONE", None, dict[str, int]())


def driver(server: ScriptServer, **options: Any) -> WebSocketDriver:
    return WebSocketDriver(
        f"ws://127.0.0.1:{server.port}/stream", {"authorization": "Bearer t"}, limits(), **options
    )


def plays(*parts: bytes, after: Callable[[Peer], object] = Peer.gone) -> Script:
    """Accepts, waits for the message, sends each part with one system call; then `after`."""

    def script(peer: Peer) -> None:
        peer.shake()
        peer.message()
        peer.send(*parts)
        after(peer)

    return script


def ask(*scripts: Script, **fields: Any) -> Timeline:
    """One turn against these scripts, one a connection."""
    with ScriptServer(*scripts) as server:
        user = driver(server)
        timeline = follow(user, turn(**fields))
        user.close()
    return timeline


WHOLE = frames(*answer())
BEGUN = frames(started(), delta(2, "a"), delta(3, "b"))
ABC = [started(), delta(2, "a"), delta(3, "b"), delta(4, "c"), done(5, "abc")]


STOPPED = {"type": "cancelled", "seq": 2, "execution_id": RUN, "reason": "api", "done": True}


def without(fields: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in names}


def changed(fields: dict[str, Any], **values: Any) -> dict[str, Any]:
    return {**fields, **values}


def replaced(place: int, *by: bytes) -> list[bytes]:
    """The stream `abc`, with other bytes in one place."""
    parts = frames(*ABC)
    return [*parts[:place], *by, *parts[place + 1 :]]


@pytest.mark.parametrize(
    "parts",
    [
        WHOLE,
        [b"".join(WHOLE)],
        [bytes([byte]) for byte in b"".join(WHOLE)],
        [frame(b"x", PING).join(WHOLE)],
        [part for whole in WHOLE for part in (frame(b"", PING), whole)],
        [text(type="heartbeat", ts=1, active=[RUN]).join(WHOLE)],
        [text(type="novelty", execution_id=RUN).join([*WHOLE[:1], b""]), *WHOLE[1:]],
        [frame(b'{"type": "ack", "of": 1, ', fin=False) + frame(b'"noop": true}', 0), *WHOLE],
        [frame(b"", 10), *WHOLE],
    ],
    ids=[
        "each frame by itself",
        "all frames in one segment",
        "every byte its own segment",
        "pings between, in one segment",
        "pings between",
        "heartbeats between",
        "a type that nobody knows",
        "a message in fragments",
        "a pong that nobody asked for",
    ],
)
def test_a_clean_stream_is_done(parts: list[bytes]) -> None:
    """However it is cut into segments, and whatever stands between its frames."""
    timeline = ask(plays(*parts))

    assert (end(timeline), timeline.text) == (CLEAN, LETTERS)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (replaced(2), ("BROKEN", "loss", {"loss": 1})),
        (replaced(2, *frames(ABC[2], ABC[2])), ("BROKEN", "duplicate", {"duplicate": 1})),
        (replaced(2, *frames(ABC[3], ABC[2]))[:4] + frames(ABC[4]), ("BROKEN", "order", {"order": 1})),
        (replaced(2, *frames(delta(3, "B"))), ("BROKEN", "text", {"text": 1})),
        (replaced(2, frame(b'{"type": "delta",')), ("BROKEN", "text", {"text": 1})),
        (replaced(2, frame(b'{"type": "delta", "delta": "\xff"}')), ("BROKEN", "text", {"text": 1})),
        (replaced(2, frame(b"[1]")), ("BROKEN", "text", {"text": 1})),
        (replaced(2, frame(b"{}", BINARY)), ("BROKEN", "text", {"text": 1})),
        (replaced(2, *frames(without(ABC[2], "seq"))), ("BROKEN", "text", {"text": 1})),
        (replaced(2, *frames(changed(ABC[2], seq=True))), ("BROKEN", "text", {"text": 1})),
        (replaced(2, *frames(changed(ABC[2], delta=""))), ("BROKEN", "text", {"text": 1})),
        (replaced(2, *frames(without(ABC[2], "execution_id"))), ("BROKEN", "text", {"text": 1})),
        (replaced(0, *frames(without(ABC[0], "seq"))), ("BROKEN", "text", {"text": 1})),
        (replaced(4, *frames(without(ABC[4], "response"))), ("BROKEN", "text", {"text": 1})),
        (replaced(4, *frames(changed(ABC[4], done=False))), ("BROKEN", "text", {"text": 1})),
        (replaced(2, *frames(started(), ABC[2])), ("BROKEN", "duplicate", {"duplicate": 1})),
        (replaced(2, *frames(delta(9, "x", "exe_0"), ABC[2])), ("BROKEN", "order", {"order": 1})),
        ([b"".join(replaced(4, *frames(ABC[4], ABC[4])))], ("BROKEN", "duplicate", {"duplicate": 1})),
        ([b"".join(replaced(4, *frames(ABC[4], delta(6, "d"))))], ("BROKEN", "order", {"order": 1})),
        ([b"".join(replaced(4, *frames(ABC[4], started())))], ("BROKEN", "order", {"order": 1})),
    ],
    ids=[
        "a chunk dropped",
        "a chunk twice",
        "chunks swapped",
        "a letter changed",
        "no JSON",
        "no UTF-8",
        "no object",
        "a binary message",
        "a chunk without seq",
        "a chunk whose seq is no number",
        "an empty chunk",
        "a chunk without id",
        "started without seq",
        "done without response",
        "done that says it is not",
        "started twice",
        "a frame of a stream that nobody knows",
        "done twice in one segment",
        "a chunk behind done in one segment",
        "started behind done in one segment",
    ],
)
def test_a_broken_stream_is_named(parts: list[bytes], expected: object) -> None:
    """One fault, one name."""
    assert end(ask(plays(*parts))) == expected


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (frames(started(), error("internal", seq=2, execution_id=RUN)), ("ERROR", "internal", {})),
        (frames(error("rate_limited")), ("ERROR", "rate_limited", {})),
        (frames({"type": "error", "done": True}), ("ERROR", "unknown", {"text": 1})),
        (frames(started(), STOPPED), ("CANCELLED", "api", {})),
        (frames(started(), without(STOPPED, "seq")), ("CANCELLED", "api", {"text": 1})),
    ],
    ids=["an error", "a refused message", "an error without a problem", "a cancel", "a cancel without seq"],
)
def test_the_server_ends_a_stream(parts: list[bytes], expected: object) -> None:
    """With a name for it."""
    assert end(ask(plays(*parts))) == expected


def test_an_error_tells_its_deadline() -> None:
    """What it says of the limit that fired, and when one may come again."""
    problem = {"limit_ms": 1500, "elapsed_ms": 1503.25, "retry_after_ms": 2000}
    timeline = ask(plays(*frames(error("first_token_timeout", execution_id=RUN, problem=problem))))
    told = timeline.errored

    assert told is not None
    assert (told.limit_ms, told.elapsed_ms, told.retry_after_ms, told.id) == (1500, 1503.25, 2000, RUN)


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (Peer.reset, ("CUT_OFF", "reset")),
        (Peer.fin, ("CUT_OFF", "fin")),
        (lambda peer: (peer.send(close(1011)), peer.gone()), ("CUT_OFF", "1011")),
        (lambda peer: (peer.send(frame(b"", 8)), peer.gone()), ("CUT_OFF", "close")),
        (lambda peer: (peer.send(frame(b"x", 3)), peer.gone()), ("CUT_OFF", "protocol")),
        (lambda peer: (peer.send(frame(b"x" * 126, PING)), peer.gone()), ("CUT_OFF", "protocol")),
    ],
    ids=["a reset", "a FIN", "a close code", "a close without a code", "an unknown opcode", "a long ping"],
)
def test_a_stream_is_cut_off(after: Callable[[Peer], object], expected: object) -> None:
    """In its middle."""
    timeline = ask(plays(*BEGUN, after=after))

    assert (timeline.state and timeline.state.value, timeline.code) == expected


# -- refusals


def refuses(answer_bytes: bytes) -> Script:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(answer_bytes)
        peer.fin()

    return script


PROBLEM = b'{"code": "connection_limit", "limit_ms": 5, "elapsed_ms": 6, "retry_after_ms": 7}'
SIZED = b"HTTP/1.1 429 Too Many\r\ncontent-length: %d\r\n\r\n%s" % (len(PROBLEM), PROBLEM)


@pytest.mark.parametrize(
    ("reply", "status", "code"),
    [
        (SIZED, 429, "connection_limit"),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n" + PROBLEM, 403, "connection_limit"),  # ended by the connection
        (b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 2\r\n\r\nno", 502, None),
        (b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 2\r\n\r\n[]", 502, None),
        (b'HTTP/1.1 502 x\r\ncontent-length: 10\r\n\r\n{"code":1}', 502, None),
    ],
    ids=["sized", "until the end", "no JSON", "no object", "no code"],
)
def test_a_handshake_is_refused(reply: bytes, status: int, code: str | None) -> None:
    """Status and code are kept."""
    timeline = ask(refuses(reply))

    assert (end(timeline)[0], timeline.status, timeline.code) == ("REFUSED", status, code)


def test_a_refusal_keeps_its_problem() -> None:
    """Body, times, and the id under which the log has it."""
    kept = ask(refuses(SIZED)).refusal

    assert kept is not None
    assert (kept.body, kept.limit_ms, kept.elapsed_ms, kept.retry_after_ms) == (PROBLEM, 5, 6, 7)


@pytest.mark.parametrize(
    ("script", "code"),
    [
        (refuses(b""), "fin"),
        (refuses(b"SSH-2.0-OpenSSH\r\n"), "protocol"),
        (refuses(b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"), "protocol"),
        (lambda peer: (peer.request(), peer.reset()), "reset"),
    ],
    ids=["nothing", "no HTTP", "no accept key", "a reset"],
)
def test_a_handshake_fails(script: Script, code: str) -> None:
    """Something answers, but not a WebSocket server."""
    assert end(ask(script)) == ("REFUSED", code, {})


def test_nothing_listens() -> None:
    """The port of a server that is gone."""
    with ScriptServer() as server:
        pass

    assert end(follow(driver(server))) == ("REFUSED", "unreachable", {})


# -- limits of ours


@pytest.mark.parametrize(
    ("script", "clock", "changes"),
    [
        (lambda peer: (peer.request(), peer.gone()), "connect", {"connect_ns": 80}),
        (plays(), "accept", {"accept_ns": 80}),
        (plays(), "first_delta", {"first_delta_ns": 80}),
        (plays(*frames(started())), "first_delta", {"first_delta_ns": 80}),
        (plays(*BEGUN), "gap", {"gap_ns": 80}),
        (plays(*BEGUN, text(type="heartbeat")), "gap", {"gap_ns": 80}),
        (plays(*BEGUN), "total", {"total_ns": 80}),
    ],
    ids=[
        "connect",
        "accept",
        "first before accept",
        "first delta",
        "gap",
        "a heartbeat is no chunk",
        "total",
    ],
)
def test_a_limit_expires(script: Script, clock: str, changes: dict[str, int]) -> None:
    """Each by its own name, never early."""
    timeline = ask(script, limits=limits(**changes))
    expired = timeline.expired

    assert expired is not None
    assert (end(timeline)[0], expired.clock, expired.limit_ns, expired.late_ns >= 0) == (
        "TIMED_OUT",
        clock,
        80 * MS,
        True,
    )


def test_each_chunk_starts_the_gap_anew() -> None:
    """Slower than the limit as a whole, but never between two chunks."""

    def script(peer: Peer) -> None:
        peer.shake()
        peer.message()
        for part in frames(*ABC):
            peer.pause(300)
            peer.send(part)
        peer.gone()

    assert end(ask(script, limits=limits(gap_ns=800))) == CLEAN


# -- what a client does on purpose


def test_a_cancel_is_sent_and_confirmed() -> None:
    """After two chunks, by the id of the run."""
    asked: list[Any] = []

    def script(peer: Peer) -> None:
        peer.shake()
        peer.message()
        peer.send(*BEGUN)
        asked.append(peer.message())
        cancelled = {"type": "cancelled", "seq": 4, "execution_id": RUN, "reason": "client", "partial": "ab"}
        peer.send(*frames({**cancelled, "done": True}))
        peer.gone()

    timeline = ask(script, cancel_after=2)

    assert (asked, end(timeline)) == ([{"type": "cancel", "execution_id": RUN}], ("CANCELLED", "client", {}))
    assert timeline.cancel_ns is not None


def test_a_cancel_may_follow_the_start() -> None:
    """After no chunk at all."""
    asked: list[Any] = []

    def script(peer: Peer) -> None:
        peer.shake()
        peer.message()
        peer.send(*frames(started()))
        asked.append(peer.message()["type"])
        peer.reset()

    ask(script, cancel_after=0)

    assert asked == ["cancel"]


def test_a_cancel_into_a_closed_connection_is_harmless() -> None:
    """The close came with the chunk."""
    timeline = ask(plays(b"".join([*BEGUN, close(1011)])), cancel_after=2)

    assert end(timeline) == ("CUT_OFF", "1011", {})


@pytest.mark.parametrize(("how", "seen"), [("rst", "reset"), ("fin", "fin"), ("close", "close")])
def test_a_client_leaves(how: str, seen: str) -> None:
    """In the middle of a stream; the server sees how, and what was under way is nobody's fault."""
    noticed: list[str] = []

    def leaves(peer: Peer) -> None:
        if how == "close":
            noticed.append({8: "close"}[peer.frame()[0]])
            peer.send(*frames(delta(4, "c")), close(1000))
            peer.gone()
        else:
            noticed.append(peer.gone())

    timeline = ask(plays(b"".join([*BEGUN, *frames(delta(4, "c"))]), after=leaves), drop_after=(2, how))

    assert (noticed, end(timeline)) == ([seen], ("CUT_OFF", "us", {}))


def test_a_client_leaves_a_server_that_has_left() -> None:
    """The close came with the chunk after which the client wanted to go."""
    timeline = ask(plays(b"".join([*BEGUN, close(1011)])), drop_after=(2, "close"))

    assert end(timeline) == ("CUT_OFF", "us", {})


def test_a_lost_stream_is_taken_up_again() -> None:
    """By a new connection, behind the last number, within the same timeline."""
    asked: list[Any] = []

    def resumes(peer: Peer) -> None:
        peer.shake()
        asked.append(peer.message())
        peer.send(*frames(delta(4, "c"), done(5, "abc")))
        peer.gone()

    timeline = ask(plays(*BEGUN, after=Peer.reset), resumes, resume=1)

    assert (asked, end(timeline)) == ([{"type": "resume", "execution_id": RUN, "last_seq": 3}], CLEAN)


def test_a_stream_is_dropped_and_taken_up_again() -> None:
    """On purpose; what the first connection still brought is forgotten and comes again."""

    def resumes(peer: Peer) -> None:
        peer.shake()
        last = peer.message()["last_seq"]
        peer.send(*frames(*ABC[last:]))
        peer.gone()

    dropped = plays(b"".join(frames(*ABC)), after=Peer.gone)
    frames_seen: list[Frame] = []
    timeline = ask(dropped, resumes, drop_after=(1, "rst"), resume=1, recorder=frames_seen)

    assert (end(timeline), timeline.chunks, timeline.beats) == (CLEAN, 3, 1)
    assert [way for _, way, _ in frames_seen].count("sent") == 2


def test_clocks_go_on_when_a_stream_is_taken_up_again() -> None:
    """The gap holds the reconnection."""
    timeline = ask(plays(*BEGUN, after=Peer.reset), plays(), resume=1, limits=limits(gap_ns=150))

    assert end(timeline) == ("TIMED_OUT", "gap", {})


def test_a_stream_that_cannot_be_taken_up_again_is_cut_off() -> None:
    """The new connection is refused."""
    assert end(ask(plays(*BEGUN, after=Peer.reset), refuses(SIZED), resume=1))[:2] == ("CUT_OFF", "reset")


def test_nothing_is_taken_up_again_before_it_has_an_id() -> None:
    """There is nothing to name it by."""
    assert end(ask(plays(after=Peer.reset), resume=1)) == ("CUT_OFF", "reset", {})


def test_a_run_that_is_there_is_taken_over() -> None:
    """By its id, from behind a number; `resumed` is a sign of life."""
    asked: list[Any] = []

    def script(peer: Peer) -> None:
        peer.shake()
        asked.append(peer.message())
        resumed = {"type": "resumed", "execution_id": RUN, "from_seq": 1, "status": "RUNNING"}
        peer.send(*frames(resumed, *ABC))
        peer.gone()

    with ScriptServer(script) as server:
        user = driver(server)
        timeline = Timeline(limits())
        user.watch(RUN, turn(), timeline.take, 0)
        user.close()

    assert asked == [{"type": "resume", "execution_id": RUN, "last_seq": 0}]
    assert (end(timeline), timeline.text, timeline.beats) == (CLEAN, "abc", 1)


# -- one connection for many turns


def test_turns_share_a_connection() -> None:
    """Only the first has a handshake; each carries what it was given."""
    asked: list[Any] = []

    def script(peer: Peer) -> None:
        peer.shake()
        for run in ("exe_1", "exe_2"):
            asked.append(peer.message())
            peer.send(*frames(*answer("ab", run)))
        peer.gone()

    with ScriptServer(script) as server:
        user = driver(server)
        first = follow(user, turn("one"))
        second = follow(user, turn("two", session_id="s", extra={"action": "fly"}))
        user.close()

    assert (first.handshake_ns is None, second.handshake_ns) == (False, None)
    assert asked == [
        {"type": "chat", "message": "one"},
        {"type": "chat", "message": "two", "session_id": "s", "action": "fly"},
    ]
    assert (first.correlation_id, second.execution_id) == (second.correlation_id, "exe_2")


@pytest.mark.parametrize(
    ("late", "expected"),
    [
        (delta(5, "c"), ("BROKEN", "order", {"order": 1})),
        (done(4, "ab"), ("BROKEN", "duplicate", {"duplicate": 1})),
        ({"type": "heartbeat"}, CLEAN),
    ],
    ids=["a chunk", "done again", "a heartbeat"],
)
def test_late_frames_reach_the_stream_they_belong_to(late: dict[str, Any], expected: object) -> None:
    """In the next turn: the first is named, the second is clean."""

    def script(peer: Peer) -> None:
        peer.shake()
        peer.message()
        peer.send(*frames(*answer("ab")))
        peer.message()  # of the next turn, before its own first frame
        peer.send(*frames(late), *frames(*answer("ab", "exe_2")))
        peer.gone()

    with ScriptServer(script) as server:
        user = driver(server)
        first, second = follow(user), follow(user)
        user.close()

    assert (end(first), end(second)) == (expected, CLEAN)


def wait_for_bytes(user: WebSocketDriver) -> None:
    """Until something has arrived on the idle connection."""
    assert user.channel is not None
    assert select.select([user.channel.wire.sock], [], [], 5)[0]


@pytest.mark.parametrize(
    ("late", "expected"),
    [
        (frames(delta(5, "c")), ("BROKEN", "order", {"order": 1})),
        (frames(delta(5, "c", "exe_0")), ("BROKEN", "order", {"order": 1})),
        (frames({"type": "heartbeat"}), CLEAN),
        ([frame(b"{")], ("BROKEN", "text", {"text": 1})),
    ],
    ids=["a chunk", "a stranger", "a heartbeat", "no JSON"],
)
def test_frames_between_turns_reach_the_last_stream(late: list[bytes], expected: object) -> None:
    """They are read before the next message is sent."""
    ended = threading.Event()

    def script(peer: Peer) -> None:
        peer.shake()
        peer.message()
        peer.send(*frames(*answer("ab")))
        assert ended.wait(5)
        peer.send(*late)
        peer.message()
        peer.send(*frames(*answer("ab", "exe_2")))
        peer.gone()

    with ScriptServer(script) as server:
        user = driver(server)
        first = follow(user)
        ended.set()
        wait_for_bytes(user)
        second = follow(user)
        user.close()

    assert (end(first), end(second)) == (expected, CLEAN)


def test_an_idle_connection_answers_pings() -> None:
    """When it is tended; a stream does so itself."""
    answers: list[tuple[int, bytes]] = []
    ended = threading.Event()

    def script(peer: Peer) -> None:
        peer.shake()
        peer.message()
        peer.send(*frames(*answer("ab")))
        assert ended.wait(5)
        peer.send(frame(b"there?", PING))
        answers.append(peer.frame())
        peer.gone()

    with ScriptServer(script) as server:
        user = driver(server)
        user.tend()  # there is no connection yet
        timeline = follow(user)
        ended.set()
        wait_for_bytes(user)
        user.tend()
        user.close()

    assert (end(timeline), answers) == (CLEAN, [(PONG, b"there?")])


def test_frames_before_the_close_reach_the_last_stream() -> None:
    """Nobody asks any more, but they are not lost."""

    def script(peer: Peer) -> None:
        peer.shake()
        peer.message()
        peer.send(*frames(*answer("ab")))
        peer.frame()  # the client's close
        peer.send(frame(b"{"), close(1000))
        peer.gone()

    with ScriptServer(script) as server:
        user = driver(server)
        timeline = follow(user)
        user.close()

    assert end(timeline) == ("BROKEN", "text", {"text": 1})


def test_a_message_beyond_our_own_limit_is_none_of_the_targets_faults() -> None:
    """It may be too much for us, but it is no break of the contract."""

    def floods(peer: Peer) -> None:
        with contextlib.suppress(OSError):  # the client may leave before it has read all
            peer.send(frame(b"x" * (MAX_MESSAGE_BYTES + 1)))
            peer.gone()

    with ScriptServer(plays(*BEGUN, after=floods)) as server:
        user = driver(server)
        with pytest.raises(InstrumentError, match="a message of more than 4194304 bytes"):
            follow(user)
        user.close()


@pytest.mark.parametrize("code", [1000, 4999])
def test_the_answer_to_our_close_reaches_the_last_stream(code: int) -> None:
    """With its code: one that nobody declared is to be seen."""

    def script(peer: Peer) -> None:
        peer.shake()
        peer.message()
        peer.send(*frames(*answer("ab")))
        peer.frame()  # the client's close
        peer.send(close(code))
        peer.gone()

    with ScriptServer(script) as server:
        user = driver(server)
        timeline = follow(user)
        user.close()

    assert (end(timeline), timeline.close and timeline.close.code) == (CLEAN, code)


def test_a_connection_that_was_closed_meanwhile_is_replaced() -> None:
    """The close code is told to the last stream; the next has a connection of its own."""

    def closes(peer: Peer) -> None:
        peer.shake()
        peer.message()
        peer.send(b"".join([*frames(*answer("ab")), close(4408)]))
        peer.gone()

    with ScriptServer(closes, plays(*frames(*answer("ab", "exe_2")))) as server:
        user = driver(server)
        first, second = follow(user), follow(user)
        user.close()

    assert first.close is not None
    assert (first.close.code, end(first), end(second), second.handshake_ns is None) == (
        4408,
        CLEAN,
        CLEAN,
        False,
    )


@pytest.mark.parametrize("how", ["fin", "reset"])
def test_a_connection_that_ended_while_idle_is_replaced(how: str) -> None:
    """A FIN or a RST that came between two turns."""

    def ends(peer: Peer) -> None:
        peer.shake()
        peer.message()
        peer.send(*frames(*answer("ab")))
        assert read.wait(5)
        getattr(peer, how)()

    read = threading.Event()

    with ScriptServer(ends, plays(*frames(*answer("ab", "exe_2")))) as server:
        user = driver(server)
        first = follow(user)
        read.set()
        wait_for_bytes(user)
        second = follow(user)
        user.close()

    assert (end(first), first.close and first.close.how, end(second)) == (CLEAN, how, CLEAN)


def test_the_close_behind_a_fatal_error_is_awaited() -> None:
    """So that the next turn does not run into it."""

    def fails(peer: Peer) -> None:
        peer.shake()
        peer.message()
        peer.send(*frames(error("internal", fatal=True)))
        peer.pause(30)
        peer.send(close(1011))
        peer.gone()

    with ScriptServer(fails, plays(*frames(*answer("ab")))) as server:
        user = driver(server)
        first, second = follow(user), follow(user)
        user.close()

    assert first.close is not None
    assert (end(first), first.close.code, end(second)) == (("ERROR", "internal", {}), 1011, CLEAN)


def test_an_announced_close_is_not_awaited_for_ever() -> None:
    """Two seconds, then the connection is ended from here."""

    def fails(peer: Peer) -> None:
        peer.shake()
        peer.message()
        peer.send(*frames(error("internal", fatal=True)))
        peer.gone()

    timeline = ask(fails)

    assert (end(timeline), timeline.close) == (("ERROR", "internal", {}), None)


def test_a_close_without_an_echo_ends_all_the_same() -> None:
    """After two seconds."""

    def script(peer: Peer) -> None:
        peer.shake()
        peer.message()
        peer.send(*WHOLE)
        peer.frame()  # the client's close
        with pytest.raises(EOFError):
            peer.frame()

    assert end(ask(script)) == CLEAN


def test_a_server_that_never_reads_times_out() -> None:
    """A message larger than all buffers cannot be handed over."""

    def script(peer: Peer) -> None:
        peer.shake()
        given_up.wait(5)

    given_up = threading.Event()
    with ScriptServer(script) as server:
        timeline = follow(driver(server), turn("x" * 20_000_000, limits=limits(accept_ns=80)))
        given_up.set()

    assert end(timeline) == ("TIMED_OUT", "accept", {})


def test_a_server_that_goes_away_is_left() -> None:
    """It says so in the middle of a stream, ends the stream, then closes."""

    def leaves(peer: Peer) -> None:
        peer.shake()
        peer.message()
        first, *rest = frames(*answer("ab"))
        peer.send(first, text(type="going_away", reason="shutdown"), *rest, close(1012))
        peer.gone()

    timeline = ask(leaves)

    assert timeline.close is not None
    assert (end(timeline), timeline.close.code) == (CLEAN, 1012)


def test_an_interrupted_turn_leaves_nobody_to_blame() -> None:
    """A user that is stopped in the middle: what comes then belongs to no stream, least to the one before."""

    class Stopped(Exception):
        """What ends a user."""

    def stop(event: Event) -> None:
        if isinstance(event, Delta):
            raise Stopped

    def script(peer: Peer) -> None:
        peer.shake()
        peer.message()
        peer.send(*frames(*answer("ab", "exe_0")))
        peer.message()
        peer.send(*BEGUN)
        peer.frame()
        peer.send(*frames(delta(4, "c")), close(1000))
        peer.gone()

    with ScriptServer(script) as server:
        user = driver(server)
        before = follow(user)
        with pytest.raises(Stopped):
            user.stream(turn(), stop)
        user.close()

    assert end(before) == CLEAN


def test_a_defect_of_ours_is_not_booked() -> None:
    """A timeline that was used already."""
    with ScriptServer(plays(*WHOLE)) as server:
        user = driver(server)
        used = Timeline(limits())
        used.take(Sent(0, 0))
        with pytest.raises(InstrumentError):
            user.stream(turn(), used.take)
        user.close()


# -- handshake, stamps, recording


def test_the_handshake_carries_names() -> None:
    """Authorisation, and the ids under which the target's log finds it."""
    seen: list[dict[str, str]] = []

    def script(peer: Peer) -> None:
        seen.append(peer.shake())
        peer.message()
        peer.send(*WHOLE)
        peer.gone()

    timeline = ask(script)
    headers = seen[0]

    assert headers["authorization"] == "Bearer t"
    assert headers["x-correlation-id"] == timeline.correlation_id
    assert headers["traceparent"].split("-")[1] == timeline.correlation_id


def test_names_can_be_left_out() -> None:
    """For a server that must not see them."""
    seen: list[dict[str, str]] = []

    def script(peer: Peer) -> None:
        seen.append(peer.shake())
        peer.gone()

    with ScriptServer(script) as server:
        user = driver(server, trace=False)
        prevented = user.open()
        user.close()

    assert (prevented, {"x-correlation-id", "traceparent"} & seen[0].keys()) == (None, set())


def test_a_subprotocol_is_ready_when_it_says_so() -> None:
    """`ready` belongs to the handshake, in the same segment or later."""

    def script(peer: Peer) -> None:
        peer.shake(subprotocol="agentchat.v1")
        peer.send(text(type="ready", protocol="agentchat.v1"))
        peer.message()
        peer.send(*WHOLE)
        peer.gone()

    with ScriptServer(script) as server:
        user = driver(server, subprotocols=["agentchat.v1"])
        timeline = follow(user)
        user.close()

    assert (end(timeline), timeline.beats) == (CLEAN, 0)


def test_opening_tells_what_prevents_it() -> None:
    """Before any turn."""
    with ScriptServer(refuses(SIZED)) as server:
        prevented = driver(server).open()

    assert getattr(prevented, "status", None) == 429


def test_what_a_read_brought_shares_its_stamp() -> None:
    """Three chunks in one segment, the next one by itself."""

    def script(peer: Peer) -> None:
        peer.shake()
        peer.message()
        first, *rest = frames(*answer("abcd"))
        peer.send(first, b"".join(rest[:3]))
        peer.message()  # the cancel: the client has read them
        peer.send(b"".join(rest[3:]))
        peer.gone()

    timeline = ask(script, cancel_after=3)

    assert [one.mates for one in timeline.deltas] == [3, 3, 3, 1]


def test_a_chunk_arrives_between_its_writing_and_its_reading() -> None:
    """On one machine, on one clock."""
    with ScriptServer(plays(*WHOLE)) as server:
        user = driver(server)
        timeline = follow(user)
        user.close()
    written = server.peers[0].sent[2 : 2 + len(LETTERS)]

    assert all(w <= one.at <= one.read_at for w, one in zip(written, timeline.deltas, strict=True))


def test_frames_are_recorded() -> None:
    """What was sent and what came, with their times; never the handshake, which holds a credential."""
    recorded: list[Frame] = []
    ask(plays(*frames(*answer("a"))), recorder=recorded)
    sent = ("sent", {"type": "chat", "message": "Hello?"})

    assert [(way, json.loads(data)) for _, way, data in recorded] == [
        sent,
        *[("received", fields) for fields in answer("a")],
    ]


def test_recorded_frames_are_in_order() -> None:
    """By the time each was sent or arrived."""
    recorded: list[Frame] = []
    ask(plays(*WHOLE), recorder=recorded)
    times = [at for at, _, _ in recorded]

    assert times == sorted(times)


def test_a_close_frame_is_recorded() -> None:
    """It often is the finding."""
    recorded: list[Frame] = []
    ask(plays(*BEGUN, close(1011)), recorder=recorded)

    assert recorded[-1][2].startswith(b"close 1011")


def test_a_large_message_is_one_chunk() -> None:
    """Larger than a read."""
    letters = "x" * 200_000
    timeline = ask(plays(*frames(started(), delta(2, letters), done(3, letters))))

    assert (end(timeline), timeline.chunks) == (CLEAN, 1)


def test_text_frame_opcode_is_that_of_the_protocol() -> None:
    """The script's own constant, since a wrong one would make every test above vacuous."""
    assert frame(b"a", TEXT)[0] == 0x81
