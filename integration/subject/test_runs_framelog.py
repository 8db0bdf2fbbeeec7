"""Frame log and subscribers: whatever the order of appends, reads and losses, each reader sees one prefix."""

from __future__ import annotations

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.runs.framelog import FrameLog
from backend.runs.subscriber import SlowConsumer, Subscriber

# One step of the writer: how often it lets the readers run before it appends the next frame.
PAUSES = st.lists(st.integers(0, 3), min_size=1, max_size=30)
# One reader: where it begins, how long it takes for a frame (in turns of the loop), when it is lost.
READERS = st.lists(
    st.tuples(st.integers(0, 10), st.integers(0, 4), st.one_of(st.none(), st.integers(0, 20))),
    min_size=1,
    max_size=6,
)
NEVER_LATE_S = 60.0


class _Lost(Exception):
    """The reader's connection is gone."""


async def _turns(count: int) -> None:
    for _ in range(count):
        await anyio.lowlevel.checkpoint()


def test_frames_are_numbered_from_one() -> None:
    """The seq of a frame is known before it is encoded, and is its place."""
    log = FrameLog()
    seqs = []
    for _ in range(3):
        seqs.append(log.next_seq)
        log.append(b"frame")

    assert seqs == [1, 2, 3]
    assert log.last_seq == 3


def test_nothing_follows_the_terminal_frame() -> None:
    """A closed log refuses another frame."""
    log = FrameLog()
    log.append(b"end", terminal=True)

    with pytest.raises(RuntimeError, match="after the terminal frame"):
        log.append(b"more")
    assert log.after(0) == [b"end"]


@settings(max_examples=100, deadline=None)
@given(pauses=PAUSES, readers=READERS)
def test_inv_R2_each_reader_sees_a_contiguous_part_of_the_same_log(
    pauses: list[int], readers: list[tuple[int, int, int | None]]
) -> None:
    """Readers that begin anywhere, read at any pace, are lost at any time see equal frames at equal seqs."""
    frames = [b"%d" % seq for seq in range(1, len(pauses) + 1)]

    async def read(log: FrameLog, start: int, pace: int, lost_after: int | None) -> list[bytes]:
        seen: list[bytes] = []

        async def send(frame: bytes) -> None:
            if len(seen) == lost_after:
                raise _Lost
            await _turns(pace)
            seen.append(frame)

        subscriber = Subscriber(log, send, send_timeout_s=NEVER_LATE_S, after_seq=start)
        try:
            await subscriber.follow()
        except _Lost:
            assert len(seen) == lost_after
        assert subscriber.cursor == start + len(seen)
        return seen

    async def main() -> list[list[bytes]]:
        log = FrameLog()
        seen: list[list[bytes]] = [[] for _ in readers]

        async def follow(index: int) -> None:
            start, pace, lost_after = readers[index]
            seen[index] = await read(log, min(start, len(frames)), pace, lost_after)

        with anyio.fail_after(NEVER_LATE_S):
            async with anyio.create_task_group() as group:
                for index in range(len(readers)):
                    group.start_soon(follow, index)
                for frame, pause in zip(frames, pauses, strict=True):
                    await _turns(pause)
                    log.append(frame, terminal=frame == frames[-1])
        return seen

    expected = []
    for start, _, lost_after in readers:
        rest = frames[min(start, len(frames)) :]
        expected.append(rest if lost_after is None else rest[:lost_after])

    assert anyio.run(main) == expected


@pytest.mark.anyio
async def test_a_reader_that_takes_no_frame_in_time_is_given_up_and_the_others_go_on() -> None:
    """One blocked send is SlowConsumer for its reader alone."""
    log = FrameLog()
    taken: list[bytes] = []

    async def never(_frame: bytes) -> None:
        await anyio.sleep_forever()

    async def take(frame: bytes) -> None:
        taken.append(frame)

    log.append(b"first")
    with pytest.raises(SlowConsumer):
        await Subscriber(log, never, send_timeout_s=0.05).follow()
    log.append(b"last", terminal=True)
    await Subscriber(log, take, send_timeout_s=0.05).follow()

    assert taken == [b"first", b"last"]


@pytest.mark.anyio
async def test_a_reader_may_wait_longer_than_the_send_timeout_for_the_next_frame() -> None:
    """The clock of a send runs during a send only."""
    log = FrameLog()
    taken: list[bytes] = []

    async def take(frame: bytes) -> None:
        taken.append(frame)

    async with anyio.create_task_group() as group:
        group.start_soon(Subscriber(log, take, send_timeout_s=0.05).follow)
        log.append(b"first")
        await anyio.sleep(0.2)
        log.append(b"last", terminal=True)

    assert taken == [b"first", b"last"]
