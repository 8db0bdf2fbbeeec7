"""What every driver is given."""

from __future__ import annotations

import pytest

from integration.instrument.agentchat import turn
from load.drivers.base import MAX_RECORDED_BYTES, MAX_RECORDED_FRAMES, Frame, Recorder


def test_a_recording_is_bounded_in_frames() -> None:
    """The first ones stay."""
    frames: list[Frame] = []
    recorder = Recorder(frames)
    for at in range(MAX_RECORDED_FRAMES + 1):
        recorder.keep(at, "received", b"x")

    assert (len(frames), frames[-1][0]) == (MAX_RECORDED_FRAMES, MAX_RECORDED_FRAMES - 1)


@pytest.mark.parametrize(("second", "kept"), [(b"x", 2), (b"xx", 1)])
def test_a_recording_is_bounded_in_bytes(second: bytes, kept: int) -> None:
    """A frame that does not fit is left out; what was there before counts."""
    frames: list[Frame] = [(0, "sent", b"x" * (MAX_RECORDED_BYTES - 1))]
    Recorder(frames).keep(1, "received", second)

    assert len(frames) == kept


def test_what_one_read_brought_is_recorded_together() -> None:
    """Until the recording is full, which the next read need not try."""
    frames: list[Frame] = []
    recorder = Recorder(frames)
    for at in range(3):
        recorder.keep_all(at, "received", [b"x"] * (MAX_RECORDED_FRAMES - 1))

    assert [frame[0] for frame in frames[-2:]] == [0, 1]
    assert len(frames) == MAX_RECORDED_FRAMES


def test_a_turn_can_be_recorded() -> None:
    """The same turn, with a place for its frames."""
    frames: list[Frame] = []
    asked = turn("a")

    assert (asked.recorder, asked.recorded(frames).recorder) == (None, frames)
