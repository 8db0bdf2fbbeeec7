"""Streams in the body of an answer, in a dialect: limits, drops, refusals, bodies that end badly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import pytest

from integration.instrument.agentchat import MS, end, follow, limits, turn
from integration.instrument.script_server import Peer, Script, ScriptServer
from integration.timing import eventually
from load.drivers.base import Frame
from load.drivers.dialects.mapping import Dialect
from load.drivers.dialects.reading import dialect
from load.drivers.eventstream import MAX_LINE_BYTES
from load.drivers.mapped_http import MappedHttpDriver
from load.errors import InstrumentError
from load.metrics.timeline import Timeline


def spoken(framing: str = "json_lines", **changes: Any) -> Dialect:
    """Lines with words; the last one says so."""
    table = {
        "wire": "http",
        "framing": framing,
        "stream": "of",
        "request": {"path": "/{model}/talk", "body": {"say": "{prompt}", "room": "{session}"}},
        "event": [
            {"is": "delta", "text": "word"},
            {"is": "usage", "has": ["spent"], "tokens": "spent"},
            {"is": "finished", "when": {"over": True}, "text": "all"},
            {"is": "errored", "has": ["error"], "code": "error"},
            {"is": "cancelled", "has": ["stopped"], "reason": "stopped"},
        ],
    }
    return dialect({**table, **changes}, "t")


PLAIN: Final = spoken()
ANNOUNCING: Final = spoken(
    event=[
        {"is": "accepted", "when": {"hello": True}, "id": "of"},
        {"is": "delta", "text": "word"},
        {"is": "finished", "when": {"over": True}},
    ]
)
CLEAN: Final = ("DONE", None, dict[str, int]())
HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n"
BEGUN: Final = (b'{"word": "a"}\n', b'{"word": "b"}\n')
OVER: Final = b'{"over": true}\n'
LAST: Final = b"0\r\n\r\n"


def part(data: bytes) -> bytes:
    """One piece of a chunked body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def plays(*parts: bytes, after: Callable[[Peer], object] = Peer.gone) -> Script:
    """Takes a request and sends each part by itself; then `after`."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(*parts)
        after(peer)

    return script


def streams(*lines: bytes, after: Callable[[Peer], object] = Peer.gone) -> Script:
    """Takes a request and sends the head and each line by itself; then `after`."""
    return plays(HEAD, *map(part, lines), after=after)


def ends(*lines: bytes) -> Script:
    """The same, and the body is complete."""
    return plays(HEAD, *map(part, lines), LAST)


def driver(server: ScriptServer, how: Dialect = PLAIN) -> MappedHttpDriver:
    return MappedHttpDriver(f"http://127.0.0.1:{server.port}", {}, limits(), how, {"model": "m"})


def ask(script: Script, how: Dialect = PLAIN, **fields: Any) -> Timeline:
    """One turn."""
    with ScriptServer(script) as server:
        user = driver(server, how)
        assert user.open() is None
        timeline = follow(user, turn(**fields))
        user.close()
    return timeline


def test_a_server_that_is_not_there_refuses() -> None:
    """Nothing was sent."""
    with ScriptServer() as server:
        pass
    timeline = follow(driver(server))

    assert end(timeline) == ("REFUSED", "unreachable", {})


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((b'HTTP/1.1 429 No\r\ncontent-length: 16\r\n\r\n{"code":', b' "full"}'), ("REFUSED", "full", {})),
        (
            (b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\nhi",),
            ("REFUSED", None, {}),
        ),
        ((b"HTTP/1.1 500 No\r\ncontent-length: 15\r\n\r\n{",), ("CUT_OFF", "fin", {})),
    ],
    ids=["an error", "no stream", "an error that is cut off"],
)
def test_what_is_no_stream_is_refused(parts: tuple[bytes, ...], expected: object) -> None:
    """Once its body is complete; it is named by its code."""
    kept: list[Frame] = []
    script = plays(*parts, after=Peer.fin)

    assert end(ask(script, recorder=kept)) == expected
    assert [(way, data.strip()) for _, way, data in kept] == [("sent", b'{"say":"Hello?"}')]


@pytest.mark.parametrize(
    ("parts", "how", "bounds", "clock"),
    [
        ((), PLAIN, {"accept_ns": 60}, "accept"),
        ((), PLAIN, {"accept_ns": 90, "first_delta_ns": 60}, "first_delta"),
        ((HEAD,), PLAIN, {"first_delta_ns": 60}, "first_delta"),
        ((HEAD, part(b'{"hello": true, "of": "x"}\n')), ANNOUNCING, {"first_delta_ns": 60}, "first_delta"),
        ((HEAD, part(BEGUN[0])), PLAIN, {"gap_ns": 60}, "gap"),
        ((HEAD, part(BEGUN[0])), PLAIN, {"total_ns": 60}, "total"),
    ],
)
def test_our_own_limits_end_a_stream(
    parts: tuple[bytes, ...], how: Dialect, bounds: Mapping[str, int], clock: str
) -> None:
    """The one that is nearest."""
    timeline = ask(plays(*parts), how, limits=limits(**bounds))

    assert end(timeline) == ("TIMED_OUT", clock, {})
    assert timeline.expired is not None
    assert timeline.expired.limit_ns == bounds[f"{clock}_ns"] * MS


def test_headers_accept_a_stream_that_no_message_announces() -> None:
    """With a message of its own it is that."""
    by_headers = ask(ends(*BEGUN, OVER))
    by_message = ask(ends(b'{"hello": true, "of": "x7"}\n', *BEGUN, OVER), ANNOUNCING)

    assert (end(by_headers), end(by_message)) == (CLEAN, CLEAN)
    assert (by_headers.accepted_at is None, by_headers.execution_id) == (False, None)
    assert by_message.execution_id == "x7"


@pytest.mark.parametrize(
    ("how", "lines", "expected", "beats"),
    [
        (PLAIN, [*BEGUN], ("CUT_OFF", "fin", {}), 0),
        (PLAIN, [*BEGUN, b'{"wo'], ("CUT_OFF", "fin", {}), 1),
        (spoken(end="body"), [*BEGUN], CLEAN, 0),
        (spoken(end="body"), [*BEGUN, b'{"wo'], ("CUT_OFF", "fin", {}), 1),
        (PLAIN, [*BEGUN, b"\n", b'{"news": 1}\n', OVER], CLEAN, 2),
        (PLAIN, [*BEGUN, b'{"wo\n', OVER], ("BROKEN", "text", {"text": 1}), 0),
        (PLAIN, [*BEGUN, b'{"stopped": "api"}\n'], ("CANCELLED", "api", {}), 0),
    ],
    ids=[
        "no marker",
        "no marker, half a line",
        "none is needed",
        "none is needed, half a line",
        "signs of life",
        "no JSON",
        "cancelled",
    ],
)
def test_how_a_body_ends(how: Dialect, lines: list[bytes], expected: object, beats: int) -> None:
    """By its marker, or where that is how this dialect says it by its completeness."""
    timeline = ask(ends(*lines), how)

    assert (end(timeline), timeline.beats) == (expected, beats)


@pytest.mark.parametrize(
    ("late", "expected"),
    [
        (b'{"word": "c"}\n', ("BROKEN", "order", {"order": 1})),
        (b'{"over": true}\n', CLEAN),
        (b'{"over": true, "all": "ab"}\n', ("BROKEN", "duplicate", {"duplicate": 1})),
        (b'{"news": 1}\n', CLEAN),
    ],
    ids=["a chunk", "a bare marker", "the end again", "a sign of life"],
)
def test_what_comes_behind_the_end_is_taken(late: bytes, expected: object) -> None:
    """Until the body is complete."""
    assert end(ask(ends(*BEGUN, OVER, late))) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b'{"word": "c", "of": "y"}\n', ("BROKEN", "order", {"order": 1})),
        (b'{"word": "c", "of": "x"}\n', CLEAN),
        (b'{"word": "c"}\n', CLEAN),
        (b'{"word": "c", "of": 7}\n', CLEAN),
    ],
    ids=["another", "this one", "unnamed", "no name"],
)
def test_a_message_of_another_stream_is_a_stray(line: bytes, expected: object) -> None:
    """Its text is none of ours."""
    timeline = ask(ends(b'{"word": "a", "of": "x"}\n', line, OVER))

    assert end(timeline) == expected
    assert timeline.text == ("a" if expected != CLEAN else "ac")


@pytest.mark.parametrize(
    ("lines", "tokens"),
    [
        ([b'{"spent": 7}\n', OVER], 7),
        ([b'{"spent": 7}\n', b'{"spent": "many"}\n', OVER], 7),
        ([OVER], None),
    ],
)
def test_tokens_are_what_usage_last_said(lines: list[bytes], tokens: int | None) -> None:
    """As far as it is a number."""
    finished = ask(ends(*BEGUN, *lines)).finished

    assert finished is not None
    assert finished.tokens == tokens


@pytest.mark.parametrize(("how", "seen"), [("fin", "fin"), ("close", "fin"), ("rst", "reset")])
def test_a_stream_is_dropped(how: str, seen: str) -> None:
    """Behind so many chunks; looked at after each read."""
    kept: list[Frame] = []
    left: list[str] = []

    def leaves(peer: Peer) -> None:
        eventually(lambda: b'"a"' in b"".join(data for _, _, data in kept), "a chunk that was read")
        peer.send(part(BEGUN[1]))
        left.append(peer.gone())

    timeline = ask(streams(BEGUN[0], after=leaves), drop_after=(2, how), recorder=kept)

    assert end(timeline) == ("CUT_OFF", "us", {})
    assert timeline.close is not None
    assert (timeline.close.by, timeline.close.how) == ("us", "reset" if how == "rst" else "fin")
    assert left == [seen]


@pytest.mark.parametrize(("after", "code"), [(Peer.fin, "fin"), (Peer.reset, "reset")])
def test_a_stream_is_cut_off(after: Callable[[Peer], object], code: str) -> None:
    """Its body is not complete."""
    assert end(ask(streams(*BEGUN, after=after))) == ("CUT_OFF", code, {})


def test_a_connection_is_used_again() -> None:
    """Where the first answer left it usable."""

    def twice(peer: Peer) -> None:
        for _ in range(2):
            peer.request()
            peer.send(HEAD, *map(part, (*BEGUN, OVER)), LAST)
        peer.gone()

    with ScriptServer(twice) as server:
        user = driver(server)
        timelines = [follow(user), follow(user)]
        user.close()

    assert [end(timeline) for timeline in timelines] == [CLEAN, CLEAN]
    assert [timeline.sent and timeline.sent.handshake_ns is None for timeline in timelines] == [False, True]


def test_a_line_without_end_is_our_own_limit() -> None:
    """Nobody is blamed for it."""
    with (
        ScriptServer(streams(b"x" * (MAX_LINE_BYTES + 1))) as server,
        pytest.raises(InstrumentError, match=r"^a line of more than 262144 bytes$"),
    ):
        follow(driver(server))
