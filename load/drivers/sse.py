"""Streams as server-sent events: the answer to a posted message, or the events of a run.

The connection and its limits are those of `load.drivers.exchange`; what a frame means is the dialect's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from load.drivers.base import Emit, Recorder, Turn
from load.drivers.clock import now_ns
from load.drivers.dialects.agentchat import (
    TERMINAL,
    Frame,
    events_of,
    mates_of,
    of_server_event,
    request,
)
from load.drivers.eventstream import Comment, EventDecoder
from load.drivers.exchange import Connection, Exchange, encode
from load.drivers.problem import refused
from load.metrics.events import Accepted, Beat, Closed, Delta, Errored, Expired, Garbled, Refused, Sent
from load.metrics.timeline import Limits

EVENT_STREAM: Final = "text/event-stream"
ACCEPT: Final = {"accept": EVENT_STREAM}


class SseDriver:
    """One user's connection to `base_url` (http or https). path: where `stream` posts its messages.

    Cancelling, and taking a stream up again, are requests of their own on `/api/executions/{id}`.
    """

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str],
        limits: Limits,
        path: str = "/",
        *,
        trace: bool = True,
    ) -> None:
        self.limits = limits
        self.path = path
        self.connection = Connection(base_url, headers, trace=trace)
        self.aside = Connection(base_url, headers, trace=trace)

    def open(self) -> Refused | Closed | Expired | None:
        """Connects at the first request; nothing to do before."""
        return None

    def close(self) -> None:
        """Ends the connections."""
        self.connection.close()
        self.aside.close()

    def stream(self, turn: Turn, emit: Emit) -> None:
        """One message and its streamed answer."""
        body = encode({**request(turn.prompt, turn.session_id, turn.extra), "stream": True})
        self._follow("POST", self.path, body, ACCEPT, turn, emit)

    def watch(self, execution_id: str, turn: Turn, emit: Emit, last_seq: int | None = None) -> None:
        """The events of a run that is there already, behind `last_seq`: the timeline's first_seq less one."""
        headers = ACCEPT if last_seq is None else {**ACCEPT, "last-event-id": str(last_seq)}
        self._follow("GET", f"/api/executions/{execution_id}/events", None, headers, turn, emit)

    def _follow(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], turn: Turn, emit: Emit
    ) -> None:
        exchange = self.connection.request(method, path, body, headers, turn.limits)
        if not isinstance(exchange, Exchange):
            emit(exchange)
            return
        following = Following(self, exchange, turn, emit)
        following.keep_request(body or b"")
        following.run()


class Following:
    """One streamed answer on its way."""

    __slots__ = (
        "cancel_after",
        "chunks",
        "decoder",
        "driver",
        "dropped",
        "emit",
        "ended",
        "exchange",
        "failed",
        "id",
        "last_seq",
        "recorder",
        "resumes_left",
        "sent_at",
        "turn",
    )

    def __init__(self, driver: SseDriver, exchange: Exchange, turn: Turn, emit: Emit) -> None:
        self.driver = driver
        self.exchange = exchange
        self.turn = turn
        self.emit = emit
        self.decoder = EventDecoder()
        self.recorder = None if turn.recorder is None else Recorder(turn.recorder)
        self.id: str | None = None
        self.chunks = 0
        self.last_seq = 0
        self.ended = self.failed = False
        self.dropped = False
        self.resumes_left = turn.resume
        self.sent_at = exchange.sent_at
        self.cancel_after = turn.cancel_after

    def keep_request(self, body: bytes) -> None:
        """For the flight recorder."""
        if self.recorder is not None:
            self.recorder.keep(self.sent_at, "sent", body)

    def run(self) -> None:
        """From the request to the terminal event."""
        exchange, turn, limits = self.exchange, self.turn, self.turn.limits
        if limits.first_delta_ns < limits.accept_ns:
            exchange.wait.start("first_delta", exchange.wait.since, limits.first_delta_ns)
        self.emit(Sent(self.sent_at, turn.intended_ns, exchange.correlation_id, exchange.handshake_ns))
        try:
            while not self.ended:
                self._step()
            if not self.failed:
                for late in self.exchange.drain():
                    self._take(late)
        finally:
            self.exchange.finish()

    def _step(self) -> None:
        """Reads, and all that they brought, until there is something to do."""
        exchange = self.exchange
        reply = exchange.reply
        left_alone = self.cancel_after is None and self.turn.drop_after is None
        if left_alone and reply.headers_done and self._is_stream():
            ended = exchange.follow(self._more)
        else:
            ended = exchange.step()
        if reply.headers_done and not self._is_stream():
            if ended is None and not reply.complete:
                return
            if ended is None:
                at = exchange.wire.arrived_at
                self._refused(refused(at, reply.status, reply.take(), exchange.correlation_id))
                return
        else:
            self._take(reply.take())
        if self.ended or exchange is not self.exchange:
            return
        if ended is None and reply.complete:
            ended = Closed(exchange.wire.arrived_at, True, None, "peer", "end")
        if ended is not None and self.decoder.unfinished:
            self.emit(Beat(ended.at, "unfinished"))
        if ended is not None and not (isinstance(ended, Closed) and self._resumed()):
            self._end(ended)

    def _more(self) -> bool:
        self._take(self.exchange.reply.take())
        return not self.ended

    def _is_stream(self) -> bool:
        reply = self.exchange.reply
        return 200 <= reply.status < 300 and reply.headers.get("content-type", "").startswith(EVENT_STREAM)

    def _refused(self, event: Refused) -> None:
        """Of the first request; one that would have taken the stream up again leaves it cut off."""
        if self.id is None:
            self._end(event)
        else:
            self._end(Closed(event.at, True, None, "peer", "refused"))

    def _take(self, data: bytes) -> None:
        """The events of one read, those behind a terminal one included."""
        exchange, emit = self.exchange, self.emit
        at, read_at = exchange.wire.arrived_at, exchange.wire.read_at
        if self.recorder is not None and data:
            self.recorder.keep(at, "received", data)
        frames: list[Frame | str | None] = [
            None if isinstance(item, Comment) else of_server_event(item) for item in self.decoder.feed(data)
        ]
        mates = mates_of(_types(frames)) if len(frames) > 1 else 1
        for frame in frames:
            if frame is None:
                emit(Beat(at, "comment"))
            elif isinstance(frame, str):
                emit(Garbled(at, frame))
            else:
                self._frame(frame, (at, read_at, mates))
                if self.dropped or exchange is not self.exchange:
                    return

    def _frame(self, frame: Frame, stamp: tuple[int, int, int]) -> None:
        for event in events_of(frame, stamp):
            self.emit(event)
            if self.ended:
                continue
            if isinstance(event, Accepted):
                self.id, self.last_seq = event.id, event.seq or 0
                self.exchange.wait.start("first_delta", self.sent_at, self.turn.limits.first_delta_ns)
            elif isinstance(event, Delta):
                self._chunk(event)
            elif isinstance(event, Errored):
                self.id = event.id or self.id
        if frame.get("type") in TERMINAL:
            self.ended = True

    def _chunk(self, delta: Delta) -> None:
        self.chunks += 1
        self.last_seq = delta.seq or self.last_seq
        self.exchange.wait.start("gap", delta.at, self.turn.limits.gap_ns)
        drop = self.turn.drop_after
        if self.chunks == self.cancel_after and self.id is not None:
            self._cancel(self.id)
        elif drop is not None and self.chunks == drop[0]:
            at, how = now_ns(), drop[1]
            self.dropped = True
            if how == "rst":
                self.exchange.wire.reset()
            else:
                self.exchange.wire.shut()
            if not self._resumed():
                self._end(Closed(at, how != "rst", None, "us", "reset" if how == "rst" else "fin"))

    def _cancel(self, execution_id: str) -> None:
        """By a request of its own; its answer only says that the cancel is on its way."""
        path = f"/api/executions/{execution_id}/cancel"
        asked = self.driver.aside.request("POST", path, b"", {}, self.turn.limits)
        if not isinstance(asked, Exchange):
            return
        self.emit(Beat(asked.sent_at, "cancel"))
        asked.drain()
        asked.finish()

    def _resumed(self) -> bool:
        """Takes a lost stream up again, if the turn wants it."""
        if self.resumes_left == 0 or self.id is None:
            return False
        self.resumes_left -= 1
        wait = self.exchange.wait
        self.exchange.finish()
        path = f"/api/executions/{self.id}/events"
        headers = {**ACCEPT, "last-event-id": str(self.last_seq)}
        found = self.driver.connection.request("GET", path, None, headers, self.turn.limits)
        if not isinstance(found, Exchange):
            return False
        found.wait.start(wait.clock, wait.since, wait.limit)
        found.wait.total_at = wait.total_at
        self.exchange, self.decoder, self.dropped = found, EventDecoder(), False
        self.emit(Beat(found.sent_at, "resumed"))
        return True

    def _end(self, event: Closed | Expired | Refused) -> None:
        self.ended = self.failed = True
        self.emit(event)


def _types(frames: Sequence[Frame | str | None]) -> list[object]:
    return [frame.get("type") if frame and not isinstance(frame, str) else "" for frame in frames]
