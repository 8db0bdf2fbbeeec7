"""Server-sent events after the WHATWG rules, wherever the bytes are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from load.drivers.eventstream import MAX_EVENT_BYTES, MAX_LINE_BYTES, Comment, EventDecoder, Item, ServerEvent
from load.errors import InstrumentError


def decode(*parts: bytes) -> list[Item]:
    decoder = EventDecoder()
    return [item for part in parts for item in decoder.feed(part)]


def message(data: bytes, kind: str = "message", number: str = "") -> ServerEvent:
    return ServerEvent(kind, data, number)


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"data: a\n\n", [message(b"a")]),
        (b"data: a\r\rdata: b\r\r", [message(b"a"), message(b"b")]),
        (b"data: a\r\n\r\n", [message(b"a")]),
        (b"data: a\r\n\ndata: b\n\r\n", [message(b"a"), message(b"b")]),
        (b"\xef\xbb\xbfdata: a\n\n", [message(b"a")]),
        (b"data: \xef\xbb\xbf\n\n", [message(b"\xef\xbb\xbf")]),  # only the first one is a mark
        (b"data: a\ndata: b\n\n", [message(b"a\nb")]),
        (b"data\n\n", [message(b"")]),  # a field without a colon has no value
        (b"data:a\n\n", [message(b"a")]),
        (b"data:  a\n\n", [message(b" a")]),  # one space is taken away
        (b"event: x\n\n", []),  # no data, no event
        (b"event: x\n\ndata: a\n\n", [message(b"a")]),  # nor does its type last
        (b"event: x\ndata: a\n\n", [message(b"a", "x")]),
        (b"id: 1\ndata: a\n\ndata: b\n\n", [message(b"a", number="1"), message(b"b", number="1")]),
        (b"id: 1\0\ndata: a\n\n", [message(b"a")]),  # an id with NUL is none
        (b"id: 1\nid\ndata: a\n\n", [message(b"a")]),  # an empty one takes it back
        (b": hb\n\n", [Comment(b"hb")]),
        (b"what: ever\ndata: a\n\n", [message(b"a")]),
        ("data: é\u2028b\n\n".encode(), [message("é\u2028b".encode())]),  # no line ends but LF and CR
        (b"data: a\x0bb\x1cc\x85d\n\n", [message(b"a\x0bb\x1cc\x85d")]),
        (b"data: a\n", []),
        (b"data: a", []),
        (b"", []),
    ],
)
def test_decode(stream: bytes, expected: list[Item]) -> None:
    """In one piece."""
    assert decode(stream) == expected


LINES = [b"data: \xc3\xa9", b"data:", b"event: x", b"id: 7", b": c", b"", b"", b"retry: 5"]


@given(
    st.lists(st.tuples(st.sampled_from(LINES), st.sampled_from([b"\n", b"\r", b"\r\n"])), max_size=20),
    st.booleans(),
    st.data(),
)
def test_cuts_do_not_matter(lines: list[tuple[bytes, bytes]], marked: bool, data: st.DataObject) -> None:
    """The same bytes in any pieces give the same events."""
    stream = (b"\xef\xbb\xbf" if marked else b"") + b"".join(line + stop for line, stop in lines)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)))))
    parts = [stream[begin:stop] for begin, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True)]

    assert decode(*parts) == decode(stream)


def test_an_event_is_told_at_its_carriage_return() -> None:
    """An LF that may follow is not waited for."""
    assert decode(b"data: a\r\r") == [message(b"a")]


@pytest.mark.parametrize(("asked", "expected"), [(b"retry: 250\n", 250), (b"retry: soon\n", None)])
def test_retry(asked: bytes, expected: int | None) -> None:
    """A whole number of ms, or nothing."""
    decoder = EventDecoder()
    decoder.feed(asked)

    assert decoder.retry_ms == expected


@pytest.mark.parametrize(
    ("stream", "expected"), [(b"data: a", True), (b"data: a\n", True), (b"data: a\n\n", False), (b"", False)]
)
def test_unfinished(stream: bytes, expected: bool) -> None:
    """What would be lost at the end of the connection."""
    decoder = EventDecoder()
    decoder.feed(stream)

    assert decoder.unfinished is expected


@pytest.mark.parametrize(
    "stream", [b"x" * (MAX_LINE_BYTES + 1), (b"data: " + b"x" * 1000 + b"\n") * (MAX_EVENT_BYTES // 1000)]
)
def test_our_own_limits_are_ours(stream: bytes) -> None:
    """Too much for us is never booked on the target."""
    with pytest.raises(InstrumentError, match="in an event stream"):
        decode(stream)
