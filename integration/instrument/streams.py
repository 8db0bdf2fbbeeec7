"""Streams made by hand: events with short times, for the tests of the figures."""

from __future__ import annotations

from collections.abc import Iterable

from load.metrics.events import Accepted, Closed, Delta, Event, Expired, Finished, Refused, Sent
from load.metrics.timeline import Limits, Timeline

SENT = Sent(at=1_000, intended_at=900, correlation_id="c1")
ACCEPTED = Accepted(at=1_500, id="e1", seq=1, session_id="s1")


def delta(at: int, seq: int | None, text: str = "x", *, read_at: int | None = None, mates: int = 1) -> Delta:
    """A chunk that was read when it came, unless said otherwise."""
    return Delta(at, at if read_at is None else read_at, seq, text, "answer", mates)


def chunks(*times: int) -> list[Event]:
    """A resolved chunk `x` at each time, numbered from 2 on."""
    return [delta(at, number) for number, at in enumerate(times, 2)]


def timeline(events: Iterable[Event], *, expected_text: str | None = None) -> Timeline:
    """A timeline that has taken these events."""
    made = Timeline(Limits(stall_ns=1_000), expected_text)
    for event in events:
        made.take(event)
    return made


def answered(*times: int, done_at: int | None = None) -> Timeline:
    """A clean stream with a chunk at each time."""
    end = (times[-1] + 10 if times else 2_000) if done_at is None else done_at
    done = Finished(end, "x" * len(times), len(times) + 2, "e1", tokens=2 * len(times))
    return timeline([SENT, ACCEPTED, *chunks(*times), done])


REFUSED = timeline([Refused(2_000, 429, "rate_limited", b"{}", correlation_id="c2")])
CUT = timeline([SENT, ACCEPTED, *chunks(2_000), Closed(2_100, True, 1011, "peer", "close")])
EXPIRED = timeline([SENT, Expired(9_000, "accept", 7_000, 1_000)])
