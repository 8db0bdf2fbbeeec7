"""A stream beside the provider's journal of it."""

from __future__ import annotations

from array import array

import pytest

from integration.instrument.streams import ACCEPTED, REFUSED, answered, chunks, timeline
from load.metrics.events import Accepted, Finished, Sent
from load.metrics.journal import SLACK_NS, Arrivals, Asked, split
from load.metrics.tally import Tally

MS = 1_000_000
ARRIVALS = Arrivals(
    sent_ns=100 * MS, accepted_ns=107 * MS, handshake_ns=None, chunks_ns=array("q", [146 * MS, 166 * MS])
)


def asked(received_ns: int, *written_ns: int) -> Asked:
    return Asked("0a1b", "sim:n=2", received_ns, array("q", written_ns), "done", 200 * MS)


def test_what_is_kept_of_a_stream() -> None:
    """When it was sent and accepted, and when each chunk came."""
    sent = Sent(at=1_000, intended_at=900, handshake_ns=70)
    stream = timeline([sent, Accepted(1_500, "e1", 1), *chunks(2_000, 2_100), Finished(2_110, "xx", 4, "e1")])

    assert Arrivals.of(stream) == Arrivals(1_000, 1_500, 70, array("q", [2_000, 2_100]))


@pytest.mark.parametrize("stream", [REFUSED, answered(), timeline([Sent(1, 1), ACCEPTED])])
def test_nothing_is_kept_without_a_chunk(stream: object) -> None:
    """There is nothing to compare."""
    assert Arrivals.of(stream) is None  # type: ignore[arg-type]


def test_the_parts_add_up_to_the_time_to_the_first_chunk() -> None:
    """46 ms after a request on an open connection: 6 until the provider is asked, 31 its own, 9 the rest."""
    parts = split(ARRIVALS, asked(106 * MS, 137 * MS, 160 * MS))

    assert parts is not None
    assert (parts.connect, parts.admission, parts.provider, parts.backend) == (0, 6 * MS, 31 * MS, 9 * MS)
    assert parts.relay == (9 * MS, 6 * MS)


def test_admission_ends_with_accepted_where_that_is_earlier() -> None:
    """What lies between it and the provider's receipt is the backend's."""
    parts = split(ARRIVALS, asked(110 * MS, 140 * MS, 160 * MS))

    assert parts is not None
    assert (parts.admission, parts.provider, parts.backend) == (7 * MS, 30 * MS, 9 * MS)


def test_a_handshake_comes_on_top() -> None:
    """The time to the first text counts from the sent request."""
    arrivals = Arrivals(100 * MS, None, 3 * MS, array("q", [146 * MS]))
    parts = split(arrivals, asked(106 * MS, 137 * MS))

    assert parts is not None
    assert (parts.connect, parts.admission, parts.provider, parts.backend) == (
        3 * MS,
        6 * MS,
        31 * MS,
        9 * MS,
    )


@pytest.mark.parametrize("written", [(137,), (137, 150, 160)])
def test_unequal_counts_have_no_relay(written: tuple[int, ...]) -> None:
    """Which chunk was written when is not known; the first is."""
    parts = split(ARRIVALS, asked(106 * MS, *(at * MS for at in written)))

    assert parts is not None
    assert (parts.relay, parts.backend) == ((), 9 * MS)


@pytest.mark.parametrize(
    ("received_ns", "written_ns", "known"),
    [
        (100 * MS - SLACK_NS, 140 * MS, True),  # the kernel's stamps are exact to 0.1 ms only
        (100 * MS - SLACK_NS - 1, 140 * MS, False),
        (106 * MS, 146 * MS + SLACK_NS, True),
        (106 * MS, 146 * MS + SLACK_NS + 1, False),
    ],
)
def test_times_of_another_clock_are_no_figure(received_ns: int, written_ns: int, known: bool) -> None:
    """Asked before the request was sent, or written after it came."""
    assert (split(ARRIVALS, asked(received_ns, written_ns)) is not None) is known


def test_a_provider_that_wrote_nothing_has_no_parts() -> None:
    """Its request was refused, or cut."""
    assert split(ARRIVALS, asked(106 * MS)) is None


def test_a_tally_takes_the_parts() -> None:
    """Each as a figure of its own; the time to the first text without the provider is the sum of two."""
    parts = split(ARRIVALS, asked(106 * MS, 137 * MS, 160 * MS))
    assert parts is not None
    tally = Tally()
    tally.book_split(parts)

    found = {
        name: getattr(tally, name).sum for name in ("relay", "connect", "admission", "provider", "backend")
    }
    assert found == {
        "relay": 15 * MS,
        "connect": 0,
        "admission": 6 * MS,
        "provider": 31 * MS,
        "backend": 9 * MS,
    }
    assert (tally.backend_ttft.n, tally.backend_ttft.max) == (1, 15 * MS)
