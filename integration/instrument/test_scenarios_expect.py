"""What was declared, and what counts as something else."""

from __future__ import annotations

import pytest

from load.metrics.events import Accepted, Closed, Errored, Event, Finished, Sent
from load.metrics.timeline import Limits, Timeline
from load.scenarios.expect import DONE, Expect

SENT = Sent(1_000, 1_000)
ACCEPTED = Accepted(1_100, "e1", 1)
FINISHED = Finished(2_000, "", 2)


def closed(code: int | None, by: str = "peer") -> Closed:
    return Closed(3_000, True, code, by, "close")  # type: ignore[arg-type]


def made(*events: Event) -> Timeline:
    timeline = Timeline(Limits())
    for event in (SENT, ACCEPTED, *events):
        timeline.take(event)
    return timeline


@pytest.mark.parametrize(
    ("events", "expect", "expected"),
    [
        ((FINISHED,), DONE, None),
        ((FINISHED, closed(1000)), DONE, None),
        ((FINISHED, closed(None)), DONE, None),
        ((FINISHED, closed(1012)), DONE, None),
        ((FINISHED, closed(4408)), DONE, None),
        ((FINISHED, closed(1011)), DONE, "DONE, then closed with 1011"),
        ((FINISHED, closed(4401)), Expect(close=4401), None),
        ((FINISHED, closed(4401)), Expect(close=4400), "DONE, then closed with 4401"),
        ((FINISHED, closed(4999, "us")), DONE, None),
        ((Errored(2_000, "internal", fatal=True), closed(1011)), DONE, None),
        ((Errored(2_000, "internal"), closed(1011)), DONE, "DONE, then closed with 1011"),
        ((closed(1011),), DONE, None),  # CUT_OFF(1011): the code is named already
    ],
)
def test_a_close_code_behind_the_end(events: tuple[Event, ...], expect: Expect, expected: str | None) -> None:
    """One that is neither declared nor announced nor orderly is named."""
    assert expect.close_differs(made(*events)) == expected
