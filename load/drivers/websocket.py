"""Streams over one WebSocket connection, reused from turn to turn.

Frames of a stream that has ended still reach that stream, as what they are, and its timeline names them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import orjson

from load.drivers.base import Drop, Emit, Hear, Recorder, Turn, nobody
from load.drivers.channel import Channel, Unusable
from load.drivers.clock import now_ns
from load.drivers.dialects.agentchat import TERMINAL, Frame, events_of, mates_of, parse, request
from load.drivers.trace import trace_headers
from load.drivers.watchdog import Wait
from load.metrics.events import Accepted, Beat, Closed, Delta, Garbled, Sent, Stray
from load.metrics.timeline import Limits

FOLLOW_UP_NS: Final = 2_000_000_000
"""So long a close is waited for after a frame that announced it."""


class WebSocketDriver:
    """One user's connection to `url` (ws or wss).

    subprotocols: none speaks the plain contract. trace: whether handshakes carry trace headers; the
    correlation id of a turn is that of its connection.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        limits: Limits,
        *,
        subprotocols: Sequence[str] = (),
        trace: bool = True,
        hear: Hear = nobody,
    ) -> None:
        self.url = url
        self.headers = dict(headers)
        self.limits = limits
        self.subprotocols = tuple(subprotocols)
        self.trace = trace
        self._hear = hear
        self.handshake_ns: int | None = None
        self.channel: Channel | None = None
        self._last: tuple[str | None, Emit] | None = None

    def open(self) -> Unusable | None:
        """Connects; what prevented it, or None."""
        found = self.connect(self.limits)
        return None if isinstance(found, Channel) else found

    def close(self) -> None:
        """A close frame, its echo, the end."""
        channel, self.channel = self.channel, None
        if channel is not None:
            self._late(channel, channel.close())
            self._gone(channel)

    def tend(self) -> None:
        """Answers pings and takes late frames while no stream is under way; never waits."""
        if self.channel is not None and self.channel.wire.wait is None:
            self._settle()

    def stream(self, turn: Turn, emit: Emit) -> None:
        """One message and its answer."""
        self._follow({"type": "chat", **request(turn.prompt, turn.session_id, turn.extra)}, turn, emit)

    def watch(self, execution_id: str, turn: Turn, emit: Emit, last_seq: int = 0) -> None:
        """Takes a run over that is there already, behind `last_seq`: the timeline's first_seq less one."""
        self._follow({"type": "resume", "execution_id": execution_id, "last_seq": last_seq}, turn, emit)

    def _follow(self, fields: Mapping[str, object], turn: Turn, emit: Emit) -> None:
        self._settle()
        handshake_ns: int | None = None
        found: Channel | Unusable | None = self.channel
        if found is None:
            found = self.connect(turn.limits)
            handshake_ns = self.handshake_ns
        if not isinstance(found, Channel):
            emit(found)
            return
        last, self._last = self._last, None  # a turn that is killed leaves nobody to send late frames to
        following = Following(self, found, turn, emit, last)
        following.run(fields, handshake_ns)
        self._last = (following.id, emit)
        channel = self.channel
        if channel is not None and following.leaving:
            self._await_close(channel)
        elif channel is not None and channel.closed is not None:
            self._gone(channel)

    # -- the connection

    def connect(self, limits: Limits) -> Channel | Unusable:
        """A new connection in place of the old."""
        self.channel = None
        correlation_id, headers = trace_headers() if self.trace else (None, {})
        began = now_ns()
        found = Channel.connect(
            self.url,
            {**self.headers, **headers},
            self.subprotocols,
            limits.connect_ns,
            correlation_id,
            greeted=True,
            hear=self._hear,
        )
        if isinstance(found, Channel):
            self.channel = found
            self.handshake_ns = now_ns() - began
        return found

    def forget(self, channel: Channel) -> None:
        """The connection is of no use any more."""
        self.channel = None
        channel.wire.shut()

    def drop(self, channel: Channel, how: Drop) -> None:
        """Ends the connection on purpose, in the middle of a stream; what still comes is nobody's fault."""
        self.channel = None
        if how == "close":
            channel.close()
        elif how == "rst":
            channel.wire.reset()
        else:
            channel.wire.shut()

    def _settle(self) -> None:
        """Takes what came since the last stream: its late frames, or the end of the connection."""
        channel = self.channel
        while channel is not None and (messages := channel.peek()) is not None:
            self._late(channel, messages)
            if channel.closed is not None:
                self._gone(channel)
                return

    def _await_close(self, channel: Channel) -> None:
        """Waits for the close that the peer announced, so that the next stream does not run into it."""
        channel.wire.watch(Wait("total", now_ns(), FOLLOW_UP_NS))
        messages: list[bytes] = []
        while channel.closed is None and channel.expired() is None:
            messages += channel.read()
        channel.wire.unwatch()
        self._late(channel, messages)
        self._gone(channel)

    def _gone(self, channel: Channel) -> None:
        """Lets the last stream know how its connection ended."""
        if self._last is not None and channel.closed is not None:
            self._last[1](channel.closed)
        self.forget(channel)

    def _late(self, channel: Channel, messages: Sequence[bytes]) -> None:
        """Frames after the end of the last stream."""
        if self._last is None:
            return
        last_id, emit = self._last
        wire = channel.wire
        for message in messages:
            frame = parse(message)
            if isinstance(frame, str):
                emit(Garbled(wire.arrived_at, frame))
            else:
                late(frame, last_id, emit, (wire.arrived_at, wire.read_at, 1))


def late(frame: Frame, last_id: str | None, emit: Emit, stamp: tuple[int, int, int]) -> None:
    """One frame for a stream that has ended; frames of the connection itself concern no stream."""
    frame_id = frame.get("execution_id")
    if frame_id is None:
        return
    if frame_id != last_id:
        emit(Stray(stamp[0], str(frame_id)))
        return
    for event in events_of(frame, stamp):
        emit(event)


def send(channel: Channel, message: bytes) -> int:
    """When it was sent, or failed to be: the read that follows tells how the connection ended."""
    try:
        return channel.send(message)
    except OSError:
        return now_ns()


class Following:
    """One turn on its way: what is known of its stream, and what is still to be done to it."""

    __slots__ = (
        "channel",
        "chunks",
        "driver",
        "dropped",
        "emit",
        "ended",
        "id",
        "last",
        "last_seq",
        "leaving",
        "resumes_left",
        "sent_at",
        "trigger",
        "turn",
        "wait",
    )

    def __init__(
        self,
        driver: WebSocketDriver,
        channel: Channel,
        turn: Turn,
        emit: Emit,
        last: tuple[str | None, Emit] | None,
    ) -> None:
        self.driver = driver
        self.channel = channel
        self.turn = turn
        self.emit = emit
        self.last = last
        self.id: str | None = None
        self.chunks = 0
        self.last_seq = 0
        self.ended = False
        self.leaving = False
        self.dropped = False
        self.resumes_left = turn.resume
        self.sent_at = 0
        self.wait: Wait
        # After how many chunks something is done to the stream; -1 for never.
        self.trigger = -1
        if turn.cancel_after is not None:
            self.trigger = turn.cancel_after
        if turn.drop_after is not None:
            self.trigger = turn.drop_after[0]

    def run(self, fields: Mapping[str, object], handshake_ns: int | None) -> None:
        """From the request, a frame of these fields, to the terminal event."""
        turn, channel, limits = self.turn, self.channel, self.turn.limits
        if turn.recorder is not None:
            channel.recorder = Recorder(turn.recorder)
        message = orjson.dumps(fields)
        began = now_ns()
        self.wait = Wait("accept", began, limits.accept_ns, began + limits.total_ns, limits.total_ns)
        if limits.first_delta_ns < limits.accept_ns:
            self.wait.start("first_delta", began, limits.first_delta_ns)
        channel.wire.watch(self.wait)
        try:
            self.sent_at = send(channel, message)
            self.emit(Sent(self.sent_at, turn.intended_ns, channel.correlation_id, handshake_ns))
            while not self.ended:
                self._step()
        finally:
            self.channel.wire.unwatch()
            self.channel.recorder = None

    def _step(self) -> None:
        """Reads, and all that they brought, until there is something to do."""
        channel = self.channel
        messages = channel.follow(self._more) if self.trigger < 0 else channel.read()
        if messages:
            self._take(messages)
        if self.ended or channel is not self.channel:
            return
        closed = channel.closed
        if closed is not None:
            self.driver.forget(channel)
            if not self._resumed():
                self._end(closed)
            return
        expired = channel.expired()
        if expired is not None:
            self.driver.forget(channel)
            self._end(expired)

    def _more(self, messages: Sequence[bytes]) -> bool:
        self._take(messages)
        return not self.ended and self.wait.expired is None

    def _take(self, messages: Sequence[bytes]) -> None:
        """The frames of one read, those behind a terminal one included."""
        wire = self.channel.wire
        at, read_at = wire.arrived_at, wire.read_at
        emit = self.emit
        mates = 1
        frames = [parse(message) for message in messages]
        if len(frames) > 1:
            mates = mates_of(["" if isinstance(frame, str) else frame.get("type") for frame in frames])
        for frame in frames:
            if isinstance(frame, str):
                emit(Garbled(at, frame))
                continue
            frame_id = frame.get("execution_id")
            if frame_id != self.id and frame_id is not None and not self._ours(frame, frame_id, at, read_at):
                continue
            if frame.get("type") == "delta" and frame_id is not None:
                seq, text = frame.get("seq"), frame.get("delta")
                if type(seq) is int and type(text) is str and text:
                    emit(Delta(at, read_at, seq, text, "answer", mates))
                    if not self.ended:
                        self._chunk(seq, at)
                else:
                    self._other(frame, (at, read_at, mates))
            else:
                self._other(frame, (at, read_at, mates))
            if self.dropped or self.channel.wire is not wire:
                return  # what else came is no more of this stream than what was still under way

    def _ours(self, frame: Frame, frame_id: object, at: int, read_at: int) -> bool:
        """Whether a frame with an id that is not the current one belongs here; if not, it is passed on."""
        if self.last is not None and frame_id == self.last[0]:
            late(frame, self.last[0], self.last[1], (at, read_at, 1))
            return False
        if self.id is None and isinstance(frame_id, str):
            self.id = frame_id
            return True
        self.emit(Stray(at, str(frame_id)))
        return False

    def _chunk(self, seq: int, at: int) -> None:
        self.last_seq = seq
        self.chunks += 1
        if self.chunks == 1:
            self.wait.start("gap", at, self.turn.limits.gap_ns)
        else:
            self.wait.since = at
        if self.chunks == self.trigger:
            self._pull()

    def _other(self, frame: Frame, stamp: tuple[int, int, int]) -> None:
        """A frame that is no ordinary chunk."""
        kind = frame.get("type")
        for event in events_of(frame, stamp):
            self.emit(event)
            if isinstance(event, Accepted) and not self.ended:
                self.last_seq = max(self.last_seq, event.seq or 0)
                if self.chunks == 0:
                    self.wait.start("first_delta", self.sent_at, self.turn.limits.first_delta_ns)
                if self.trigger == 0:
                    self._pull()
        if kind in TERMINAL:
            self.ended = True
        if kind == "going_away" or frame.get("fatal") is True:
            self.leaving = True

    # -- what is done to a stream

    def _pull(self) -> None:
        """Cancels or drops it."""
        self.trigger = -1
        if self.turn.drop_after is not None:
            how = self.turn.drop_after[1]
            at = now_ns()
            self.channel.wire.unwatch()
            self.dropped = True
            self.driver.drop(self.channel, how)
            if not self._resumed():
                names = {"rst": "reset", "fin": "fin", "close": "close"}
                self._end(Closed(at, how != "rst", None, "us", names[how]))
            return
        at = send(self.channel, orjson.dumps({"type": "cancel", "execution_id": self.id}))
        self.emit(Beat(at, "cancel"))

    def _resumed(self) -> bool:
        """Takes a lost stream up again over a new connection, if the turn wants it."""
        if self.resumes_left == 0 or self.id is None:
            return False
        self.resumes_left -= 1
        self.channel.wire.unwatch()
        found = self.driver.connect(self.turn.limits)
        if not isinstance(found, Channel):
            return False
        self.channel, self.dropped = found, False
        if self.turn.recorder is not None:
            found.recorder = Recorder(self.turn.recorder)
        found.wire.watch(self.wait)
        fields = {"type": "resume", "execution_id": self.id, "last_seq": self.last_seq}
        self.emit(Beat(send(found, orjson.dumps(fields)), "resumed"))
        return True

    def _end(self, event: Unusable) -> None:
        self.ended = True
        self.emit(event)
