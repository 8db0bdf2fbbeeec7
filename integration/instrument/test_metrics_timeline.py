"""One stream: every break is named by its own name, and a clean stream never has one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integration.instrument.streams import ACCEPTED, SENT, chunks, delta, timeline
from load.errors import InstrumentError
from load.metrics.events import (
    Accepted,
    Beat,
    Cancelled,
    Closed,
    Delta,
    Errored,
    Event,
    Expired,
    Finish,
    Finished,
    Garbled,
    Refused,
    Stray,
)
from load.metrics.timeline import Phase, Timeline

DONE = Finished(3_000, "xxx", 5, "e1")
BEGUN: list[Event] = [SENT, ACCEPTED]
THREE: list[Event] = [*BEGUN, *chunks(2_000, 2_100, 2_200)]
RESET = Closed(3_000, False, None, "network", "reset")


def end(events: list[Event]) -> tuple[str | None, str | None, dict[str, int]]:
    """State, code and breaks."""
    made = timeline(events)
    return None if made.state is None else made.state.value, made.code, made.breaks


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        # how streams end
        ([*THREE, DONE], ("DONE", None, {})),
        ([*THREE, Errored(3_000, "internal", 5, "e1", "xxx")], ("ERROR", "internal", {})),
        ([SENT, Errored(3_000, "rate_limited")], ("ERROR", "rate_limited", {})),
        ([*THREE, Cancelled(3_000, "client", 5, "e1", "xxx")], ("CANCELLED", "client", {})),
        ([*THREE, RESET], ("CUT_OFF", "reset", {})),
        ([*THREE, Closed(3_000, True, 1011, "peer", "close")], ("CUT_OFF", "1011", {})),
        ([*THREE, Closed(3_000, False, None, "us", "reset")], ("CUT_OFF", "us", {})),
        ([SENT, RESET], ("CUT_OFF", "reset", {})),
        ([RESET], ("REFUSED", "reset", {})),
        ([Refused(2_000, 503, "capacity")], ("REFUSED", "capacity", {})),
        ([SENT, Refused(2_000, 404, None)], ("REFUSED", None, {})),
        ([Expired(2_000, "connect", 9)], ("TIMED_OUT", "connect", {})),
        ([SENT, Expired(2_000, "accept", 9)], ("TIMED_OUT", "accept", {})),
        ([SENT, Expired(2_000, "first_delta", 9)], ("TIMED_OUT", "first_delta", {})),
        ([*BEGUN, Expired(2_000, "first_delta", 9)], ("TIMED_OUT", "first_delta", {})),
        ([*THREE, Expired(2_900, "gap", 9)], ("TIMED_OUT", "gap", {})),
        ([*THREE, Expired(2_900, "total", 9)], ("TIMED_OUT", "total", {})),
        (THREE, (None, None, {})),
        # signs of life change nothing
        ([*BEGUN, Beat(1_600, "heartbeat"), *chunks(2_000), Finished(3_000, "x", 3)], ("DONE", None, {})),
        # loss
        ([*BEGUN, delta(2_000, 2), delta(2_200, 4), DONE], ("BROKEN", "loss", {"loss": 1})),
        ([*THREE, Finished(3_000, "xxx", 6)], ("BROKEN", "loss", {"loss": 1})),
        (
            [SENT, *chunks(2_000, 2_100, 2_200), DONE],
            ("BROKEN", "loss", {"loss": 1}),
        ),  # `started` is a frame too
        ([*BEGUN, Finished(3_000, "xxx", 2)], ("BROKEN", "loss", {"loss": 1})),  # text, but no chunk
        # duplicate
        ([*THREE, delta(2_300, 4), DONE], ("BROKEN", "duplicate", {"duplicate": 1})),
        (
            [*BEGUN, ACCEPTED, *chunks(2_000), Finished(3_000, "x", 3)],
            ("BROKEN", "duplicate", {"duplicate": 1}),
        ),
        ([*THREE, DONE, DONE], ("BROKEN", "duplicate", {"duplicate": 1})),
        ([*THREE, DONE, Errored(3_100, "internal")], ("BROKEN", "duplicate", {"duplicate": 1})),
        ([*THREE, DONE, Cancelled(3_100)], ("BROKEN", "duplicate", {"duplicate": 1})),
        # order
        (
            [*BEGUN, delta(2_000, 3), delta(2_100, 2), delta(2_200, 4), DONE],
            ("BROKEN", "order", {"order": 1}),
        ),
        ([*THREE, DONE, delta(3_100, 6)], ("BROKEN", "order", {"order": 1})),
        (  # two were missing at the end, and one of them came after all
            [*BEGUN, *chunks(2_000), Finished(3_000, "xxx", 5, "e1"), delta(3_100, 3)],
            ("BROKEN", "loss", {"loss": 1, "order": 1}),
        ),
        ([*THREE, DONE, Accepted(3_100, "e1", 1)], ("BROKEN", "order", {"order": 1})),
        ([*THREE, DONE, Finish(3_100, "stop")], ("BROKEN", "order", {"order": 1})),
        ([*THREE, Stray(2_300, "e0"), DONE], ("BROKEN", "order", {"order": 1})),
        ([*THREE, DONE, Stray(3_100, "e1")], ("BROKEN", "order", {"order": 1})),
        # text
        ([*THREE, Finished(3_000, "xxy", 5)], ("BROKEN", "text", {"text": 1})),
        (
            [*BEGUN, delta(2_000, 2), Garbled(2_100, "?"), delta(2_200, 4), DONE],
            ("BROKEN", "text", {"text": 1}),
        ),
        ([*THREE, DONE, Garbled(3_100, "?")], ("BROKEN", "text", {"text": 1})),
        # the first of loss, duplicate, order and text names it
        (
            [*THREE, delta(2_300, 4), Finished(3_000, "xxx", 6)],
            ("BROKEN", "loss", {"loss": 1, "duplicate": 1}),
        ),
        # elsewhere breaks are detail
        ([*BEGUN, delta(2_000, 3), RESET], ("CUT_OFF", "reset", {"loss": 1})),
        ([*BEGUN, delta(2_000, 3), Errored(3_000, "internal")], ("ERROR", "internal", {"loss": 1})),
        ([*THREE, Errored(3_000, "internal", 5, "e1", "xx")], ("ERROR", "internal", {"text": 1})),
        ([*THREE, Cancelled(3_000, "client", 6, "e1")], ("CANCELLED", "client", {"loss": 1})),
        ([*THREE, Expired(2_900, "gap", 9), delta(3_000, 5)], ("TIMED_OUT", "gap", {"order": 1})),
        # with a marker of its own for the end of the answer
        ([*THREE, Finish(2_300, "stop"), Finished(3_000, None)], ("DONE", None, {})),
        ([*BEGUN, Finish(2_300, "stop"), Finished(3_000, None)], ("DONE", None, {})),
        (
            [*THREE, Finish(2_300, "stop"), Finish(2_400, "stop"), DONE],
            ("BROKEN", "duplicate", {"duplicate": 1}),
        ),
        ([*THREE, Finish(2_300, "stop"), delta(2_400, None), DONE], ("BROKEN", "order", {"order": 1})),
        ([*THREE, Finish(2_300, "stop"), RESET], ("DONE", None, {})),
        # the end of the connection behind the end of the stream
        ([*THREE, DONE, Closed(3_100, True, 1000, "peer", "close")], ("DONE", None, {})),
    ],
)
def test_end(events: list[Event], expected: tuple[str, str | None, dict[str, int]]) -> None:
    """State, code and breaks of one sequence of events."""
    assert end(events) == expected


@pytest.mark.parametrize(
    "events",
    [
        [ACCEPTED],
        [delta(1, 1)],
        [Beat(1, "comment")],
        [SENT, SENT],
        [*BEGUN, Refused(2_000, 503)],
        [*THREE, DONE, Refused(3_100, 503)],
        [*THREE, DONE, Expired(3_100, "total", 9)],
        [SENT, Expired(2_000, "gap", 9)],
        [*THREE, Expired(3_000, "accept", 9)],
        [*THREE, Expired(3_000, "connect", 9)],
    ],
)
def test_the_impossible_is_a_defect_of_ours(events: list[Event]) -> None:
    """What a driver's contract rules out is never booked on the target."""
    with pytest.raises(InstrumentError):
        timeline(events)


def test_a_known_text_is_compared() -> None:
    """The server agrees with itself, but not with what was to be said."""
    made = timeline([*THREE, DONE], expected_text="xyx")

    assert (made.code, made.excerpts) == ("text", ["'xxx' instead of 'xyx'"])


def test_a_known_text_that_came_is_no_break() -> None:
    """What was to be said was said."""
    assert timeline([*THREE, DONE], expected_text="xxx").breaks == {}


def test_an_answer_cut_short_is_not_compared_with_the_whole() -> None:
    """A stream that was cut off is not broken as well."""
    assert timeline([*THREE, RESET], expected_text="xxxx").breaks == {}


def test_the_excerpt_is_short() -> None:
    """A few characters on both sides of the first difference, never the answer."""
    made = timeline([*BEGUN, delta(2_000, 2, "a" * 500 + "b"), Finished(3_000, "a" * 500 + "c", 3)])

    assert made.excerpts == [f"{'a' * 16 + 'b'!r} instead of {'a' * 16 + 'c'!r}"]


def test_a_plain_response_needs_no_chunks() -> None:
    """An answer in one piece is no lost stream."""
    made = timeline([SENT, Accepted(1_500), Finished(3_000, "hi", id="e1", session_id="s", streamed=False)])

    assert (made.state and made.state.value, made.flags, made.text) == ("DONE", set(), "hi")


def test_an_empty_stream_is_flagged() -> None:
    """Done without text and without a chunk."""
    assert timeline([*BEGUN, Finished(3_000, "", 2)]).flags == {"no_delta"}


def test_a_missing_marker_is_flagged() -> None:
    """The answer was complete when the connection ended."""
    assert timeline([*THREE, Finish(2_300, "stop"), RESET]).flags == {"no_done_marker"}


def test_the_close_behind_the_end_is_kept() -> None:
    """A close code that nobody declared can be judged beside the state."""
    close = Closed(3_100, True, 1011, "peer", "close")

    assert timeline([*THREE, DONE, close]).close == close


def test_ids_come_from_the_first_frame_that_has_them() -> None:
    """A refused message has its execution's id in the error frame alone."""
    made = timeline([SENT, Errored(2_000, "capacity", id="e9", limit_ms=5000, elapsed_ms=5001.5)])

    assert (made.execution_id, made.limit_ms, made.elapsed_ms) == ("e9", 5000, 5001.5)


def test_phases() -> None:
    """How far a stream has come, after each of its events."""
    made = Timeline(timeline([]).limits)
    seen = []
    for event in [*THREE, Finish(2_300, "stop"), DONE]:
        made.take(event)
        seen.append(made.phase)

    assert seen == [Phase.SENT, Phase.ACCEPTED, *[Phase.STREAMING] * 3, Phase.FINISHING, Phase.ENDED]


# -- the order checker: planted faults are named, clean streams never

ALPHABET = "abc é😀"


def clean(letters: str) -> list[Event]:
    return [
        *BEGUN,
        *(delta(2_000 + n, n + 2, letter) for n, letter in enumerate(letters)),
        Finished(9_000, letters, len(letters) + 2, "e1"),
    ]


answers = st.text(ALPHABET, min_size=2, max_size=40)


@given(answers)
def test_a_clean_stream_is_never_broken(letters: str) -> None:
    """Whatever its text."""
    assert end(clean(letters)) == ("DONE", None, {})


@given(answers, st.data())
def test_a_dropped_chunk_is_a_loss(letters: str, data: st.DataObject) -> None:
    """At any place."""
    events = clean(letters)
    del events[data.draw(st.integers(2, len(letters) + 1))]

    assert end(events) == ("BROKEN", "loss", {"loss": 1})


@given(answers, st.data())
def test_a_repeated_chunk_is_a_duplicate(letters: str, data: st.DataObject) -> None:
    """Of any chunk, at any later place before the end."""
    events = clean(letters)
    which = data.draw(st.integers(2, len(letters) + 1))
    where = data.draw(st.integers(which + 1, len(letters) + 2))
    events.insert(where, events[which])

    assert end(events) == ("BROKEN", "duplicate", {"duplicate": 1})


@given(answers, st.data())
def test_swapped_chunks_are_out_of_order(letters: str, data: st.DataObject) -> None:
    """Any two neighbours."""
    events = clean(letters)
    place = data.draw(st.integers(2, len(letters)))
    events[place], events[place + 1] = events[place + 1], events[place]

    assert end(events) == ("BROKEN", "order", {"order": 1})


@given(answers, st.data())
def test_a_changed_letter_is_a_wrong_text(letters: str, data: st.DataObject) -> None:
    """Of any chunk."""
    events = clean(letters)
    place = data.draw(st.integers(2, len(letters) + 1))
    former = events[place]
    assert isinstance(former, Delta)
    events[place] = delta(former.at, former.seq, "Z")

    assert end(events) == ("BROKEN", "text", {"text": 1})


@given(answers, st.data())
def test_a_garbled_chunk_is_a_wrong_text(letters: str, data: st.DataObject) -> None:
    """A frame that could not be read is not also a lost one."""
    events = clean(letters)
    place = data.draw(st.integers(2, len(letters) + 1))
    events[place] = Garbled(events[place].at, "?")

    assert end(events) == ("BROKEN", "text", {"text": 1})


@given(answers, st.data())
def test_a_chunk_behind_the_end_is_out_of_order(letters: str, data: st.DataObject) -> None:
    """It was missing at the end and came after all: late, not lost."""
    events = clean(letters)
    moved = data.draw(st.integers(2, len(letters) + 1))
    late = events.pop(moved)

    assert end([*events, late]) == ("BROKEN", "order", {"order": 1})
