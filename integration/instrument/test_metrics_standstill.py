"""A generator that stood still cannot blame the target for what it did too late itself."""

from __future__ import annotations

import pytest

from load.metrics.standstill import AFTERMATH_NS, STANDSTILL_NS, Standstills

SECOND = 1_000_000_000
BEGIN, END = 10 * SECOND, 14 * SECOND


def stood_still() -> Standstills:
    """From BEGIN to END."""
    found = Standstills()
    for beat_ns in (9 * SECOND, BEGIN, END, END + SECOND // 100):
        found.beat(beat_ns)
    return found


@pytest.mark.parametrize(
    ("from_ns", "until_ns", "expected"),
    [
        (8 * SECOND, 9 * SECOND, False),
        (8 * SECOND, BEGIN, False),
        (8 * SECOND, BEGIN + 1, True),
        (11 * SECOND, 12 * SECOND, True),
        (END, END + 1, True),
        (END + AFTERMATH_NS - 1, END + AFTERMATH_NS, True),
        (END + AFTERMATH_NS, END + 9 * SECOND, False),
    ],
)
def test_what_a_standstill_touches(from_ns: int, until_ns: int, expected: bool) -> None:
    """Whatever went on during it, and whatever began soon after it."""
    assert stood_still().touched(from_ns, until_ns, END + SECOND // 50) is expected


@pytest.mark.parametrize(("pause_ns", "expected"), [(STANDSTILL_NS, 0), (STANDSTILL_NS + 1, 1)])
def test_how_long_a_standstill_is(pause_ns: int, expected: int) -> None:
    """A busy machine keeps everybody waiting for a while."""
    found = Standstills()
    found.beat(5)
    found.beat(5 + pause_ns)

    assert len(found.found) == expected


def test_one_that_no_beat_has_told_of_yet() -> None:
    """The first thing that happens behind it may be the end of a stream."""
    found = Standstills()
    found.beat(BEGIN)

    assert found.touched(9 * SECOND, 12 * SECOND, END)
    assert not found.touched(9 * SECOND, BEGIN, END)


def test_nothing_is_known_before_the_first_beat() -> None:
    """Nor is anything blamed."""
    assert not Standstills().touched(0, SECOND, 60 * SECOND)
