"""What every driver offers and is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, Protocol, TypeAlias

from load.metrics.events import Closed, Event, Expired, Refused
from load.metrics.timeline import Limits

Emit: TypeAlias = Callable[[Event], None]
"""Usually `Timeline.take`."""

Frame: TypeAlias = tuple[int, Literal["sent", "received"], bytes]
"""(monotonic ns, direction, raw bytes) of the flight recorder."""

Hear: TypeAlias = Callable[[str], None]
"""Is told what becomes of a WebSocket connection, as `Outcomes.connection` takes it."""

Drop: TypeAlias = Literal["rst", "fin", "close"]

MAX_RECORDED_FRAMES: Final = 2000
MAX_RECORDED_BYTES: Final = 1 << 20


def nobody(_: str) -> None:
    """For whom it does not matter."""


class Recorder:
    """Keeps frames in a list until it is full: so many frames or bytes, whichever comes first."""

    __slots__ = ("_left", "frames")

    def __init__(self, frames: list[Frame]) -> None:
        self.frames = frames
        self._left = MAX_RECORDED_BYTES - sum(len(data) for _, _, data in frames)

    def keep(self, at: int, way: Literal["sent", "received"], data: bytes) -> None:
        """Adds one frame, unless the recording is full."""
        if len(self.frames) < MAX_RECORDED_FRAMES and len(data) <= self._left:
            self._left -= len(data)
            self.frames.append((at, way, data))

    def keep_all(self, at: int, way: Literal["sent", "received"], many: Sequence[bytes]) -> None:
        """Adds those of one read."""
        if len(self.frames) < MAX_RECORDED_FRAMES and self._left > 0:
            for data in many:
                self.keep(at, way, data)


@dataclass(frozen=True, slots=True)
class Turn:
    """One message and how its stream is to be followed.

    seed_word: the first word of the prompt where no other turn begins with it, else empty. extra: further
    fields of the request (`action`, `request_id`, `on_disconnect`, …). cancel_after: ask for a cancel after
    so many chunks. drop_after: end the connection after so many. resume: so many times a lost connection
    (also one lost by drop_after) is replaced and the stream taken up again. recorder: every raw frame is
    appended to it, in bounds. history: (role, content) of what was said before, for targets that keep no
    sessions.
    """

    prompt: str
    seed: int
    session_id: str | None
    intended_ns: int
    limits: Limits
    expected_text: str | None = None
    seed_word: str = ""
    extra: Mapping[str, object] = field(default_factory=dict)
    cancel_after: int | None = None
    drop_after: tuple[int, Drop] | None = None
    resume: int = 0
    recorder: list[Frame] | None = None
    history: tuple[tuple[str, str], ...] = ()

    def recorded(self, frames: list[Frame]) -> Turn:
        """This turn, its frames kept in `frames`."""
        return replace(self, recorder=frames)


class Driver(Protocol):
    """One user's way to the target; reused over turns, never by two at once."""

    def open(self) -> Refused | Closed | Expired | None:
        """Connects; what prevented it, or None. Without it the first stream connects."""

    def stream(self, turn: Turn, emit: Emit) -> None:
        """Sends one turn and emits what comes; returns after exactly one terminal event."""

    def close(self) -> None:
        """Ends the connection orderly; late frames still reach the last stream."""
