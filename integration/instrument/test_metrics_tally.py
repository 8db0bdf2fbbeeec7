"""Many streams in one tally, and two tallies in one."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integration.instrument.streams import ACCEPTED, CUT, EXPIRED, REFUSED, SENT, answered, delta, timeline
from load.errors import InstrumentError
from load.metrics.events import Beat, Cancelled, Event, Finished, Refused, Sent, Stray
from load.metrics.histogram import Histogram
from load.metrics.stream import Stream
from load.metrics.tally import Tally

CONNECTED = timeline([Sent(1_000, 900, None, 70), ACCEPTED, delta(2_000, 2), Finished(2_200, "x", 3)])
LATE = timeline([SENT, ACCEPTED, delta(2_000, 3), Stray(2_100, "e0"), Finished(2_200, "x", 4)])
STALLED = answered(2_000, 2_100, 3_200, 5_000)
CANCELLED = timeline([SENT, ACCEPTED, Beat(2_000, "cancel"), Cancelled(2_300, "client", 2)])
TURNED_AWAY = timeline([SENT, Refused(2_000, 429, "rate_limited")])
SHARED: list[Event] = [delta(2_000, None, mates=2)] * 2
SHARED += [delta(2_600, None, mates=3)] * 3
GROUPED = timeline([SENT, ACCEPTED, *SHARED, delta(2_700, None), Finished(2_800)])
STEADY = answered(*range(2_000, 3_000, 100))
SAMPLES = [LATE, STALLED, CANCELLED, GROUPED, STEADY, REFUSED, CUT, EXPIRED]


def tally(*streams: Stream, good: bool = False, busy: bool = False) -> Tally:
    made = Tally()
    for stream in streams:
        made.book(stream, good=good, busy=busy)
    return made


def values(histogram: Histogram) -> tuple[int, int | None, int | None]:
    return histogram.n, histogram.min, histogram.max


@pytest.mark.parametrize(
    ("stream", "figure", "expected"),
    [
        (STALLED, "ttft", (1, 1_000, 1_000)),
        (STALLED, "ttft_low", (1, 1_000, 1_000)),
        (STALLED, "ttft_intended", (1, 1_100, 1_100)),
        (STALLED, "ttft_answer", (1, 1_000, 1_000)),
        (STALLED, "gap", (3, 100, 1_800)),
        (STALLED, "max_gap", (1, 1_800, 1_800)),
        (STALLED, "total", (1, 4_010, 4_010)),
        (STALLED, "total_intended", (1, 4_110, 4_110)),
        (STALLED, "tail", (1, 10, 10)),
        (STALLED, "accept", (1, 500, 500)),
        (STALLED, "start_lag", (1, 100, 100)),
        (STALLED, "start_queue", (0, None, None)),
        (CONNECTED, "start_lag", (1, 30, 30)),  # how long the handshake takes is up to the target
        (STALLED, "slope_milli", (0, None, None)),
        (STEADY, "slope_milli", (1, 1_000, 1_000)),
        (CANCELLED, "cancel", (1, 300, 300)),
        (EXPIRED, "expiry_late", (1, 1_000, 1_000)),
        (TURNED_AWAY, "total", (0, None, None)),  # how fast somebody is turned away is no answer time
        (GROUPED, "gap", (1, 100, 100)),
        (GROUPED, "gap_group", (1, 600, 600)),
        (GROUPED, "gap_group_weighted", (4, 500, 600)),
        (GROUPED, "ttft_low", (1, 500, 500)),
    ],
)
def test_histogram(stream: Stream, figure: str, expected: tuple[int, int | None, int | None]) -> None:
    """Where each figure of a stream goes: (n, min, max)."""
    assert values(getattr(tally(stream), figure)) == expected


@pytest.mark.parametrize(
    ("streams", "counter", "expected"),
    [
        ([CUT, STEADY, STEADY], "by_terminal", {"CUT_OFF": 1, "DONE": 2}),
        ([CUT, STEADY, REFUSED], "by_code", {"CUT_OFF(1011)": 1, "REFUSED(429, rate_limited)": 1}),
        ([LATE, LATE], "breaks", {"loss": 2, "order": 2}),
        ([LATE], "strays", 1),
        ([STALLED], "stalls", 2),
        ([STALLED], "stalled_ns", 2_900),
        ([STALLED, GROUPED], "chunks", 10),
        ([STALLED, GROUPED], "unresolved", 5),
        ([STALLED], "tokens", 8),
        ([timeline([SENT])], "unfinished", 1),
        ([STALLED, CUT, timeline([SENT])], "ended", 2),
        ([timeline([SENT, ACCEPTED, Finished(2_000, "", 2)])], "flags", {"no_delta": 1}),
    ],
)
def test_counter(streams: list[Stream], counter: str, expected: object) -> None:
    """What is counted, and how it is written."""
    assert getattr(tally(*streams), counter) == expected


def test_good_streams_are_told() -> None:
    """Whether a stream is good is decided elsewhere."""
    assert (tally(STEADY, good=True) + tally(STEADY)).good == 1


def test_a_busy_user_queues() -> None:
    """The target's fault, not the generator's."""
    made = tally(STEADY, busy=True)

    assert (made.start_queue.n, made.start_lag.n) == (1, 0)


# -- a group of G = 600 with 3 chunks, an opening one of 500 with 1 more, a gap of 100


def test_gaps_taken_as_sent_together() -> None:
    """A group is one gap of G and zeros, an opening group zeros."""
    made = tally(GROUPED).gap_together()

    assert (made.n, made.sum, made.counts[0]) == (5, 700, 3)


def test_gaps_at_their_lower_bound() -> None:
    """All of a group at 0."""
    made = tally(GROUPED).gap_low()

    assert (made.n, made.sum) == (5, 100)


def test_gaps_at_their_upper_bound() -> None:
    """All of a group at G."""
    made = tally(GROUPED).gap_high()

    assert (made.n, made.sum) == (5, 100 + 3 * 600 + 500)


def test_resolved_gaps_have_one_reading() -> None:
    """Nothing is unknown."""
    made = tally(STEADY)

    assert made.gap_low() == made.gap_together() == made.gap_high() == made.gap


parts = st.lists(st.sampled_from(SAMPLES), max_size=5)


@given(parts, parts)
def test_merging_equals_booking_all(a: list[Stream], b: list[Stream]) -> None:
    """Any split over processes gives the same tally."""
    assert tally(*a) + tally(*b) == tally(*a, *b)


@given(parts)
def test_json_gives_it_back(streams: list[Stream]) -> None:
    """Through JSON text."""
    made = tally(*streams)

    assert Tally.from_json(json.loads(json.dumps(made.to_json()))) == made


def test_json_has_a_key_for_each_field() -> None:
    """Nothing is left out."""
    assert list(Tally().to_json()) == [field.name for field in fields(Tally)]


@pytest.mark.parametrize("stored", [{"speed": 1}, {"good": "many"}, {"ttft": 3}, {"good": {}}, {"breaks": 2}])
def test_stored_nonsense_is_refused(stored: dict[str, object]) -> None:
    """A file that holds no tally."""
    with pytest.raises(InstrumentError, match="not a stored tally"):
        Tally.from_json(stored)
