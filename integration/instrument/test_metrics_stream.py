"""The figures of one stream, after their definitions."""

from __future__ import annotations

import pytest

from integration.instrument.streams import ACCEPTED, CUT, REFUSED, SENT, answered, chunks, delta, timeline
from load.metrics.events import Accepted, Beat, Cancelled, Delta, Finished, Sent
from load.metrics.stream import Gaps

STREAM = answered(2_000, 2_100, 2_300, done_at=2_350)


@pytest.mark.parametrize(
    ("figure", "expected"),
    [
        ("start_wait_ns", 100),
        ("accept_ns", 500),
        ("ttft_ns", 1_000),
        ("ttft_low_ns", 1_000),
        ("ttft_answer_ns", 1_000),
        ("ttft_intended_ns", 1_100),
        ("total_ns", 1_350),
        ("total_intended_ns", 1_450),
        ("tail_ns", 50),
        ("first_delta_at", 2_000),
        ("last_delta_at", 2_300),
        ("chunks", 3),
        ("tokens", 6),
        ("unresolved", 0),
        ("correlation_id", "c1"),
        ("execution_id", "e1"),
        ("session_id", "s1"),
        ("text", "xxx"),
        ("status", None),
        ("limit_ms", None),
        ("handshake_ns", None),
        ("cancel_ns", None),
    ],
)
def test_figure(figure: str, expected: object) -> None:
    """Of a stream sent at 1000, intended at 900, with chunks at 2000, 2100 and 2300, done at 2350."""
    assert getattr(STREAM, figure) == expected


@pytest.mark.parametrize(
    "figure",
    ["ttft_ns", "ttft_low_ns", "ttft_answer_ns", "total_ns", "tail_ns", "accept_ns", "slope", "tokens"],
)
def test_what_did_not_happen_has_no_figure(figure: str) -> None:
    """A refused stream: absent, never 0."""
    assert getattr(REFUSED, figure) is None


def test_a_refusal_has_its_own_facts() -> None:
    """Status, and the id that went out with the handshake."""
    assert (REFUSED.status, REFUSED.correlation_id, REFUSED.start_wait_ns) == (429, "c2", None)


def test_a_new_connection_has_a_handshake() -> None:
    """It is told with the request."""
    assert timeline([Sent(1_000, 900, None, 70)]).handshake_ns == 70


def test_cancel_counts_from_its_own_frame() -> None:
    """Cancel sent -> Cancelled."""
    made = timeline([SENT, ACCEPTED, *chunks(2_000), Beat(2_050, "cancel"), Cancelled(2_090, "client", 3)])

    assert made.cancel_ns == 40


def test_a_cancel_that_lost_the_race_has_no_figure() -> None:
    """The answer was complete first."""
    events = [SENT, ACCEPTED, *chunks(2_000), Beat(2_050, "cancel"), Finished(2_090, "x", 3)]

    assert timeline(events).cancel_ns is None


def test_reasoning_comes_before_the_answer() -> None:
    """The first chunk of any kind, and the first of the answer itself."""
    thought = Delta(2_000, 2_000, None, "hm", "reasoning", 1)
    made = timeline([SENT, thought, delta(2_500, None)])

    assert (made.ttft_ns, made.ttft_answer_ns) == (1_000, 1_500)


# -- gaps, resolved and in groups


def test_resolved_gaps() -> None:
    """Each is known by itself."""
    assert STREAM.gaps() == Gaps([100, 200], [], None)


@pytest.mark.parametrize("made", [REFUSED, CUT])
def test_fewer_than_two_chunks_have_no_gap(made: object) -> None:
    """No chunk, and a single one."""
    assert made.gaps() == Gaps([], [], None)  # type: ignore[attr-defined]


def grouped(*reads: tuple[int, int]) -> list[Delta]:
    """(read at, chunks) for each read; the stamp is that of the read."""
    deltas = []
    for at, count in reads:
        deltas += [delta(at, None, read_at=at + 5, mates=count) for _ in range(count)]
    return deltas


def test_a_group_is_one_silence() -> None:
    """Three chunks in one read after a silence of 400, then one of its own."""
    made = timeline([SENT, ACCEPTED, *grouped((2_000, 1), (2_400, 3), (2_450, 1))])

    assert made.gaps() == Gaps([50], [(400, 3)], None)


def test_groups_follow_each_other() -> None:
    """Each read is a group of its own."""
    made = timeline([SENT, ACCEPTED, *grouped((2_000, 1), (2_400, 2), (2_700, 2))])

    assert made.gaps() == Gaps([], [(400, 2), (300, 2)], None)


def test_an_opening_group_belongs_to_the_time_to_the_first_chunk() -> None:
    """Its silence counts from the last stamp before it, here that of `started`."""
    made = timeline([SENT, ACCEPTED, *grouped((2_000, 3), (2_400, 1))])

    assert (made.gaps(), made.ttft_ns, made.ttft_low_ns) == (Gaps([400], [], (500, 2)), 1_000, 500)


def test_an_opening_group_that_held_started_counts_from_the_request() -> None:
    """`started` has no stamp of its own then."""
    made = timeline([SENT, Accepted(2_000, "e1", 1), *grouped((2_000, 2))])

    assert (made.gaps(), made.ttft_low_ns) == (Gaps([], [], (1_000, 1)), 0)


def test_a_lone_chunk_with_a_shared_stamp_is_a_group() -> None:
    """A heartbeat behind it may own the stamp."""
    made = timeline([SENT, ACCEPTED, delta(2_000, None), delta(2_300, None, mates=2)])

    assert (made.gaps(), made.unresolved) == (Gaps([], [(300, 1)], None), 1)


def test_gaps_in_order_sum_to_the_whole() -> None:
    """A group is its silence and zeros."""
    made = timeline([SENT, ACCEPTED, *grouped((2_000, 1), (2_400, 3))])

    assert made.gaps_in_order() == [400, 0, 0]


@pytest.mark.parametrize(
    ("gaps", "expected"),
    [
        ([10] * 7, None),
        ([10] * 8, 1.0),
        ([10] * 4 + [20] * 4, 2.0),
        ([0] * 4 + [20] * 4, None),  # nothing to compare with
    ],
)
def test_slope(gaps: list[int], expected: float | None) -> None:
    """The last four gaps against the first four, from eight on."""
    times = [2_000 + sum(gaps[:count]) for count in range(len(gaps) + 1)]

    assert answered(*times).slope == expected
