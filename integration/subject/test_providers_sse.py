"""Server-sent events, whatever pieces they come in."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backend.providers.sse import Decoder, Malformed

MOST_BYTES = 40


def decoded(*reads: bytes) -> tuple[list[str], str | None]:
    """The data of the events, and why the stream was given up."""
    decoder = Decoder(MOST_BYTES)
    events: list[str] = []
    try:
        for read in reads:
            for data in decoder.feed(read):
                events.append(data)  # noqa: PERF402 - those before the fault count too
    except Malformed as fault:
        return events, str(fault)
    return events, None


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"", []),
        (b"data: a\n\n", ["a"]),
        (b"data: a\r\rdata: b\r\n\r\ndata: c\n\n", ["a", "b", "c"]),
        (b"data:a\n\n", ["a"]),
        (b"data:  a \n\n", [" a "]),  # one space belongs to the field, no more
        (b"data\n\n", [""]),
        (b"data:\ndata: b\n\n", ["\nb"]),
        (b"data: a\nid: 7\nevent: x\nretry: 5\ndata: b\n\n", ["a\nb"]),
        (b": hb\n\n: hb\n\ndata: a\n: hb\n\n", ["a"]),
        (b"datum: a\nDATA: a\n\n", []),
        (b"data: a\n", []),  # no empty line: the event has not ended
        (b"data: a", []),
        ("\ufeffdata: a\n\n".encode(), ["a"]),
        ("data: a\n\n\ufeffdata: b\n\n".encode(), ["a"]),  # only the first line can begin with a mark
        ("data: a\u2028b\x85c\x0bd\n\n".encode(), ["a\u2028b\x85c\x0bd"]),  # no ends of lines here
    ],
)
def test_events(stream: bytes, events: list[str]) -> None:
    """Fields, comments and line ends mean what the standard says."""
    assert decoded(stream) == (events, None)


@pytest.mark.parametrize(
    ("stream", "fault"),
    [
        (b"data: " + b"a" * 34 + b"\n\n", None),
        (b"data: " + b"a" * 35 + b"\n\n", "a line is too long"),
        (b":" + b"a" * 39 + b"\n", None),
        (b":" + b"a" * 40 + b"\n", "a line is too long"),
        (b":" + b"a" * 40, "a line is too long"),  # no end of it has come yet
        (b"data: 123456789abcde\n" * 2 + b"\n", None),
        (b"data: 123456789abcde\n" * 2 + b"data\n\n", "an event is too long"),
        (b": 123456789abcdefghij\n" * 3 + b"\n", None),  # nothing of them is kept
        (b"data: \xc3\n\n", "not UTF-8"),
        (b": \xff\n", "not UTF-8"),
    ],
)
def test_what_is_given_up(stream: bytes, fault: str | None) -> None:
    """A line and an event have a largest size; bytes are UTF-8."""
    assert decoded(stream)[1] == fault


def test_events_before_a_fault_are_told() -> None:
    """What was whole when the fault came is not lost, also if both came in one read."""
    assert decoded(b"data: a\n\ndata: \xff\n\n") == (["a"], "not UTF-8")


LINES = st.sampled_from(
    [
        *(b"", b"", b"data:", b"data: a", b": hb", b"id: 1", "data: é€😀".encode(), b"\xef\xbb\xbfdata: b"),
        *(b"data: " + b"x" * 30, b"data: " + b"x" * 35, b"data: \xf0\x9f"),
    ]
)
ENDS = st.sampled_from([b"\n", b"\r", b"\r\n"])
STREAMS = st.lists(st.tuples(LINES, ENDS), max_size=12).map(lambda parts: b"".join(map(b"".join, parts)))


@given(STREAMS, st.lists(st.integers(0, 300)))
@example(b"data: a\r\n\r\ndata: b\r\n\r\n", [8, 9, 10, 11])
def test_inv_R10_decoding_does_not_depend_on_boundaries(stream: bytes, cuts: list[int]) -> None:
    """One read, a read for each byte, or anything between: the same events, the same fault."""
    borders = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    pieces = [stream[start:end] for start, end in pairwise(borders)]
    whole = decoded(stream)

    assert decoded(*pieces) == whole
    assert decoded(*(stream[at : at + 1] for at in range(len(stream)))) == whole
