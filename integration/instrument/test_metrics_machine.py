"""The table of the machine, cell by cell."""

from __future__ import annotations

from load.metrics.events import (
    Accepted,
    Beat,
    Cancelled,
    Closed,
    Delta,
    Errored,
    Expired,
    Finish,
    Finished,
    Garbled,
    Refused,
    Sent,
    Stray,
)
from load.metrics.machine import CLOCKS, TABLE, Phase

COLUMNS = (
    *(Sent, Accepted, Beat, Delta, Finish, Finished, Errored),
    *(Cancelled, Refused, Closed, Expired, Garbled, Stray),
)
EXPECTED = """
PLANNED   SENT X        X    X         X         X     X     X         REFUSED REFUSED TIMED_OUT X    X
SENT      X    ACCEPTED STAY STREAMING FINISHING CHECK ERROR CANCELLED REFUSED CUT_OFF TIMED_OUT TEXT ORDER
ACCEPTED  X    DUP      STAY STREAMING FINISHING CHECK ERROR CANCELLED X       CUT_OFF TIMED_OUT TEXT ORDER
STREAMING X    DUP      STAY STAY      FINISHING CHECK ERROR CANCELLED X       CUT_OFF TIMED_OUT TEXT ORDER
FINISHING X    DUP      STAY ORDER     DUP       CHECK ERROR CANCELLED X       CHECK   TIMED_OUT TEXT ORDER
ENDED     X    ORDER    STAY ORDER     ORDER     DUP   DUP   DUP       X       STAY    X         TEXT ORDER
"""


def test_table() -> None:
    """The table of docs/metrics.md, written a second time."""
    rows = [line.split() for line in EXPECTED.strip().splitlines()]
    shown = [[phase.name, *(TABLE[phase][column].name for column in COLUMNS)] for phase in Phase]

    assert shown == rows


def test_every_clock_ends_some_phase() -> None:
    """Where each of our limits may expire."""
    assert {clock: [phase.name for phase in phases] for clock, phases in CLOCKS.items()} == {
        "connect": ["PLANNED"],
        "accept": ["SENT"],
        "first_delta": ["SENT", "ACCEPTED"],
        "gap": ["STREAMING", "FINISHING"],
        "total": ["PLANNED", "SENT", "ACCEPTED", "STREAMING", "FINISHING"],
    }
