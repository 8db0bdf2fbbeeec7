"""The driver for server-sent events against a server that plays exact bytes."""

from __future__ import annotations

import json
import threading
from typing import Any, Final

import pytest

from integration.instrument.agentchat import (
    LETTERS,
    LIMITS,
    RUN,
    answer,
    delta,
    done,
    end,
    error,
    event,
    events,
    follow,
    limits,
    started,
    turn,
)
from integration.instrument.script_server import Peer, Script, ScriptServer
from load.drivers.base import Frame
from load.drivers.sse import SseDriver
from load.metrics.timeline import Timeline

CLEAN: Final = ("DONE", None, dict[str, int]())
HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
)
LAST = b"0\r\n\r\n"
ABC = [started(), delta(2, "a"), delta(3, "b"), delta(4, "c"), done(5, "abc")]
STOPPED = {"type": "cancelled", "seq": 4, "execution_id": RUN, "reason": "api", "partial": "ab", "done": True}


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def chunked(*parts: bytes) -> list[bytes]:
    return [chunk(part) for part in parts]


def plays(*parts: bytes, then: str = "gone") -> Script:
    """Takes one request, sends each part with one system call; then the client ends it, or a FIN or RST."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(*parts)
        getattr(peer, then)()

    return script


def streams(*parts: bytes, then: str = "gone") -> Script:
    """A whole event stream, each part a chunk of its own."""
    return plays(HEAD, *chunked(*parts), LAST, then=then)


def driver(server: ScriptServer) -> SseDriver:
    return SseDriver(f"http://127.0.0.1:{server.port}", {"authorization": "Bearer t"}, LIMITS, "/chat")


def ask(*scripts: Script, **fields: Any) -> Timeline:
    """One turn."""
    with ScriptServer(*scripts) as server:
        user = driver(server)
        timeline = follow(user, turn(**fields))
        user.close()
    return timeline


WHOLE = events(*answer())
BEGUN = events(*ABC[:3])


@pytest.mark.parametrize(
    "parts",
    [
        [HEAD, *chunked(*WHOLE), LAST],
        [HEAD + b"".join(chunked(*WHOLE)) + LAST],
        [bytes([byte]) for byte in HEAD + b"".join(chunked(*WHOLE)) + LAST],
        [HEAD, *chunked(*[bytes([byte]) for byte in b"".join(WHOLE)]), LAST],
        [HEAD, *chunked(*[part for one in WHOLE for part in (b": hb\n\n", one)]), LAST],
    ],
    ids=["each event", "one segment", "every byte", "every byte a chunk", "comments between"],
)
def test_a_clean_stream_is_done(parts: list[bytes]) -> None:
    """However it is cut."""
    timeline = ask(plays(*parts))

    assert (end(timeline), timeline.text, timeline.execution_id) == (CLEAN, LETTERS, RUN)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([*events(*ABC[:2], *ABC[3:])], ("BROKEN", "loss", {"loss": 1})),
        ([*events(*ABC[:3], *ABC[2:])], ("BROKEN", "duplicate", {"duplicate": 1})),
        ([*events(ABC[0], ABC[2], ABC[1], *ABC[3:])], ("BROKEN", "order", {"order": 1})),
        ([*events(*ABC[:2], delta(3, "B"), *ABC[3:])], ("BROKEN", "text", {"text": 1})),
        (
            [*events(*ABC[:2]), b"event: delta\ndata: {\n\n", *events(*ABC[3:])],
            ("BROKEN", "text", {"text": 1}),
        ),
        ([*events(*ABC[:2]), b"data: \xff\n\n", *events(*ABC[3:])], ("BROKEN", "text", {"text": 1})),
        ([*events(*ABC[:2]), event("done", 3, ABC[2]), *events(*ABC[3:])], ("BROKEN", "text", {"text": 1})),
        ([*events(*ABC[:2]), event("delta", 9, ABC[2]), *events(*ABC[3:])], ("BROKEN", "text", {"text": 1})),
        ([*events(*ABC, done(5, "abc"))], ("BROKEN", "duplicate", {"duplicate": 1})),
        ([b"".join(events(*ABC, delta(6, "d")))], ("BROKEN", "order", {"order": 1})),
        ([*events(started(), error("internal", seq=2, execution_id=RUN))], ("ERROR", "internal", {})),
        ([*BEGUN, *events(STOPPED)], ("CANCELLED", "api", {})),
    ],
    ids=[
        "dropped",
        "twice",
        "swapped",
        "changed",
        "no JSON",
        "no UTF-8",
        "another type outside",
        "another number outside",
        "done twice",
        "a chunk behind done",
        "an error",
        "a cancel",
    ],
)
def test_a_stream_ends(parts: list[bytes], expected: object) -> None:
    """One fault, one name."""
    assert end(ask(streams(*parts))) == expected


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (streams(*BEGUN), ("CUT_OFF", "end", {})),
        (plays(HEAD, *chunked(*BEGUN), then="fin"), ("CUT_OFF", "fin", {})),
        (plays(HEAD, *chunked(*BEGUN), then="reset"), ("CUT_OFF", "reset", {})),
        (plays(HEAD, b"zz\r\n"), ("CUT_OFF", "protocol", {})),
        (plays(then="fin"), ("CUT_OFF", "fin", {})),
    ],
    ids=["the response ends", "a FIN", "a reset", "no chunk", "no answer"],
)
def test_a_stream_is_cut_off(script: Script, expected: object) -> None:
    """Without a terminal frame."""
    assert end(ask(script)) == expected


def test_an_unfinished_event_is_dropped_and_told() -> None:
    """It is no chunk."""
    timeline = ask(streams(*BEGUN, b"event: delta\nda"))

    assert (timeline.chunks, timeline.beats) == (2, 1)


@pytest.mark.parametrize(
    ("head", "body", "expected"),
    [
        (b"HTTP/1.1 429 x\r\n", b'{"code": "rate_limited"}', (429, "rate_limited")),
        (b"HTTP/1.1 200 x\r\ncontent-type: application/json\r\n", b"{}", (200, None)),
        (b"HTTP/1.1 502 x\r\n", b"", (502, None)),
    ],
    ids=["a problem", "no event stream", "no body"],
)
def test_a_message_is_refused(head: bytes, body: bytes, expected: tuple[int, str | None]) -> None:
    """Before its first event; the body may come later than the head."""
    timeline = ask(plays(head + b"content-length: %d\r\n\r\n" % len(body), body))

    assert (end(timeline)[0], (timeline.status, timeline.code)) == ("REFUSED", expected)


def test_a_refusal_may_be_cut_off_too() -> None:
    """Its body never ended."""
    script = plays(b"HTTP/1.1 502 x\r\ncontent-length: 9\r\n\r\nno", then="fin")

    assert end(ask(script)) == ("CUT_OFF", "fin", {})


def test_nothing_listens() -> None:
    """The port of a server that is gone."""
    with ScriptServer() as server:
        pass

    assert (driver(server).open(), end(follow(driver(server)))) == (None, ("REFUSED", "unreachable", {}))


@pytest.mark.parametrize(
    ("parts", "clock", "changes"),
    [
        ([], "accept", {"accept_ns": 80}),
        ([], "first_delta", {"first_delta_ns": 80}),
        ([HEAD, *chunked(*events(started()))], "first_delta", {"first_delta_ns": 80}),
        ([HEAD, *chunked(*BEGUN, b": hb\n\n")], "gap", {"gap_ns": 80}),
        ([HEAD, *chunked(*BEGUN)], "total", {"total_ns": 80}),
    ],
    ids=["accept", "first before accept", "first delta", "gap", "total"],
)
def test_a_limit_expires(parts: list[bytes], clock: str, changes: dict[str, int]) -> None:
    """A comment is no chunk."""
    assert end(ask(plays(*parts), limits=limits(**changes))) == ("TIMED_OUT", clock, {})


def test_turns_share_a_connection() -> None:
    """Each asks for a stream."""
    seen: list[tuple[str, str, Any]] = []

    def script(peer: Peer) -> None:
        for run in ("exe_1", "exe_2"):
            first, headers, body = peer.request()
            seen.append((first, headers["accept"], json.loads(body)))
            peer.send(HEAD, *chunked(*events(*answer("ab", run))), LAST)
        peer.gone()

    with ScriptServer(script) as server:
        user = driver(server)
        both = [follow(user, turn("a")), follow(user, turn("b", session_id="s"))]
        user.close()

    assert seen == [
        ("POST /chat HTTP/1.1", "text/event-stream", {"message": "a", "stream": True}),
        ("POST /chat HTTP/1.1", "text/event-stream", {"message": "b", "session_id": "s", "stream": True}),
    ]
    assert [one.handshake_ns is None for one in both] == [False, True]


def test_a_run_can_be_watched() -> None:
    """Behind a number that was seen already."""
    seen: list[tuple[str, str]] = []

    def script(peer: Peer) -> None:
        first, headers, _ = peer.request()
        seen.append((first, headers["last-event-id"]))
        peer.send(HEAD, *chunked(*events(*ABC[3:])), LAST)
        peer.gone()

    timeline = Timeline(LIMITS, first_seq=4)
    with ScriptServer(script) as server:
        user = driver(server)
        user.watch(RUN, turn(), timeline.take, last_seq=3)
        user.close()

    assert (seen, timeline.chunks) == ([(f"GET /api/executions/{RUN}/events HTTP/1.1", "3")], 1)


def test_a_run_can_be_watched_from_its_beginning() -> None:
    """Without a number."""
    timeline = Timeline(LIMITS)
    with ScriptServer(streams(*events(*ABC))) as server:
        user = driver(server)
        user.watch(RUN, turn(), timeline.take)
        user.close()

    assert end(timeline) == CLEAN


# -- what a client does on purpose


def test_a_cancel_is_a_request_of_its_own() -> None:
    """On another connection, while the stream goes on."""
    asked: list[str] = []
    cancelled = threading.Event()

    def stream(peer: Peer) -> None:
        peer.request()
        peer.send(HEAD, *chunked(*BEGUN))
        assert cancelled.wait(5)
        peer.send(chunk(events(STOPPED)[0]) + LAST)
        peer.gone()

    def cancel(peer: Peer) -> None:
        asked.append(peer.request()[0])
        peer.send(b"HTTP/1.1 202 x\r\ncontent-length: 2\r\n\r\n{}")
        cancelled.set()

    with ScriptServer(stream, cancel) as server:
        user = driver(server)
        timeline = follow(user, turn(cancel_after=2))
        user.close()

    assert (asked, end(timeline)) == (
        [f"POST /api/executions/{RUN}/cancel HTTP/1.1"],
        ("CANCELLED", "api", {}),
    )
    assert timeline.cancel_ns is not None


def test_a_cancel_that_reaches_nobody_changes_nothing() -> None:
    """The stream ends by itself."""
    script = plays(HEAD, chunk(b"".join(events(*ABC))) + LAST)

    assert end(ask(script, cancel_after=2)) == CLEAN


@pytest.mark.parametrize(("how", "seen"), [("rst", "reset"), ("fin", "fin"), ("close", "fin")])
def test_a_client_leaves(how: str, seen: str) -> None:
    """In the middle of a stream; what was under way is nobody's fault."""
    noticed: list[str] = []

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(HEAD, chunk(b"".join(events(*ABC[:4]))))
        noticed.append(peer.gone())

    timeline = ask(script, drop_after=(2, how))

    assert (noticed, end(timeline), timeline.chunks) == ([seen], ("CUT_OFF", "us", {}), 2)


def test_a_lost_stream_is_taken_up_again() -> None:
    """By watching the run behind the last number."""
    seen: list[tuple[str, str]] = []

    def resumes(peer: Peer) -> None:
        first, headers, _ = peer.request()
        seen.append((first, headers["last-event-id"]))
        peer.send(HEAD, *chunked(*events(*ABC[3:])), LAST)
        peer.gone()

    timeline = ask(plays(HEAD, *chunked(*BEGUN), then="reset"), resumes, resume=1)

    assert (seen, end(timeline)) == ([(f"GET /api/executions/{RUN}/events HTTP/1.1", "3")], CLEAN)


def test_a_stream_is_dropped_and_taken_up_again() -> None:
    """On purpose; what the first connection still brought comes again."""
    again = streams(*events(*ABC[2:]))
    dropped = plays(HEAD, chunk(b"".join(events(*ABC[:4]))))
    timeline = ask(dropped, again, drop_after=(1, "rst"), resume=1)

    assert (end(timeline), timeline.chunks, timeline.beats) == (CLEAN, 3, 1)


def test_a_stream_that_cannot_be_taken_up_again_is_cut_off() -> None:
    """The run is not there any more."""
    gone = plays(b"HTTP/1.1 410 x\r\ncontent-length: 0\r\n\r\n")
    timeline = ask(plays(HEAD, *chunked(*BEGUN), then="reset"), gone, resume=1)

    assert end(timeline) == ("CUT_OFF", "refused", {})


def test_clocks_go_on_when_a_stream_is_taken_up_again() -> None:
    """The gap holds the reconnection."""
    cut = plays(HEAD, *chunked(*BEGUN), then="reset")
    timeline = ask(cut, plays(HEAD), resume=1, limits=limits(gap_ns=150))

    assert end(timeline) == ("TIMED_OUT", "gap", {})


def test_a_server_that_is_gone_cannot_be_asked_again() -> None:
    """Nothing listens any more."""
    assert end(ask(plays(HEAD, *chunked(*BEGUN), then="reset"), resume=1)) == ("CUT_OFF", "reset", {})


def test_what_a_read_brought_shares_its_stamp() -> None:
    """Head, start and three chunks in one segment."""
    timeline = ask(plays(HEAD + b"".join(chunked(*events(*ABC))) + LAST))

    assert [one.mates for one in timeline.deltas] == [3, 3, 3]


def test_frames_are_recorded() -> None:
    """Request body and event bytes; never the head, which holds a credential."""
    recorded: list[Frame] = []
    ask(streams(*events(*ABC)), recorder=recorded)
    sent = [data for _, way, data in recorded if way == "sent"]
    received = b"".join(data for _, way, data in recorded if way == "received")

    assert (sent, received) == ([b'{"message":"Hello?","stream":true}'], b"".join(events(*ABC)))
