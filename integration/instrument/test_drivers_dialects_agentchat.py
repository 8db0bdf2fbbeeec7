"""What shares a stamp, and frames that only the event stream brings."""

from __future__ import annotations

import pytest

from load.drivers.dialects.agentchat import events_of, mates_of
from load.metrics.events import Beat, Errored


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (["delta"], 1),
        (["started", "delta"], 1),  # the stamp is that of the last bytes
        (["delta", "done"], 1),
        (["delta", "heartbeat"], 2),
        (["delta", ""], 2),
        (["delta", "delta"], 2),
        (["delta", "delta", "delta", "done"], 3),
        (["started", "heartbeat"], 1),
    ],
)
def test_mates(kinds: list[object], expected: int) -> None:
    """From the types of the frames of one read."""
    assert mates_of(kinds) == expected


@pytest.mark.parametrize(("kind", "what"), [("heartbeat", "heartbeat"), (None, "unknown"), (7, "unknown")])
def test_every_other_type_is_a_sign_of_life(kind: object, what: str) -> None:
    """The contract has clients ignore what they do not know."""
    assert events_of({"type": kind}, (5, 6, 1)) == [Beat(5, what)]


@pytest.mark.parametrize(("said", "fatal"), [(True, True), (False, False), (None, False)])
def test_an_error_announces_the_end_of_its_connection(said: bool | None, fatal: bool) -> None:
    """Or it leaves the connection usable."""
    frame = {"type": "error", "error": {"code": "internal"}, "fatal": said, "done": True}

    assert events_of(frame, (5, 6, 1)) == [Errored(5, "internal", fatal=fatal)]
