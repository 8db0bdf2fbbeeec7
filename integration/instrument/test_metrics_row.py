"""A line of streams.jsonl.gz."""

from __future__ import annotations

from integration.instrument.streams import ACCEPTED, REFUSED, SENT, answered, delta, timeline
from load.metrics.row import StreamRow


def test_row_of_an_answer() -> None:
    """Every field, in µs."""
    row = StreamRow.of(
        answered(2_000_000, 2_100_000, done_at=2_200_000),
        utc="2026-01-01T00:00:00.000Z",
        scenario="chat_ws",
        user=3,
        seed=7,
    )

    assert row.to_json() == {
        "utc": "2026-01-01T00:00:00.000Z",
        "execution_id": "e1",
        "correlation_id": "c1",
        "scenario": "chat_ws",
        "user": 3,
        "seed": 7,
        "arm": None,
        "round": None,
        "intended_us": 0,
        "sent_us": 0,
        "ttft_us": 1_999,
        "total_us": 2_199,
        "gaps_us": (100,),
        "slope": None,
        "mates": (),
        "chunks": 2,
        "state": "DONE",
        "code": None,
        "status": None,
        "breaks": {},
        "excerpts": (),
    }


def test_row_of_a_refusal() -> None:
    """What did not happen is absent."""
    row = StreamRow.of(REFUSED, utc="", scenario="s", user=0, seed=0, arm="head", round=4)
    facts = (row.state, row.code, row.status, row.ttft_us, row.intended_us, row.arm, row.round)

    assert facts == ("REFUSED", "rate_limited", 429, None, None, "head", 4)


def test_mates_stand_there_where_reads_were_shared() -> None:
    """One number for each chunk."""
    shared = [delta(2_000, None, mates=2), delta(2_000, None, mates=2), delta(2_500, None)]
    row = StreamRow.of(timeline([SENT, ACCEPTED, *shared]), utc="", scenario="s", user=0, seed=0)

    assert (row.state, row.mates) == (None, (2, 2, 1))


def test_gaps_that_grow_have_a_slope() -> None:
    """Here from 100, 200, 300, 400 to 500, 600, 700, 800."""
    row = StreamRow.of(
        answered(*(2_000 + 50 * n * (n + 1) for n in range(9))), utc="", scenario="s", user=0, seed=0
    )

    assert row.slope == 2.6
