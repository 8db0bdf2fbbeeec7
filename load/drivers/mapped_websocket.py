"""Streams over one WebSocket connection, in whatever dialect a table describes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

import orjson

from load.drivers.base import Emit, Hear, Recorder, Turn, nobody
from load.drivers.channel import Channel, Unusable
from load.drivers.clock import now_ns
from load.drivers.dialects.mapping import Dialect
from load.drivers.dialects.rules import parse
from load.drivers.dialects.speech import Speech
from load.drivers.following import Answer, values_of
from load.drivers.trace import trace_headers
from load.drivers.watchdog import Wait
from load.drivers.websocket import send
from load.metrics.events import Beat, Closed, Sent
from load.metrics.timeline import Limits


class MappedWebSocketDriver:
    """One user's connection. values: what the places of path and messages are filled with."""

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str],
        limits: Limits,
        dialect: Dialect,
        values: Mapping[str, str],
        *,
        trace: bool = True,
        hear: Hear = nobody,
    ) -> None:
        self.limits = limits
        self.dialect = dialect
        self.speech = Speech(dialect)
        self.values = dict(values)
        self.headers = {**dialect.headers, **headers}
        self.trace = trace
        self._hear = hear
        parts = urlsplit(base_url)
        scheme = "wss" if parts.scheme in ("https", "wss") else "ws"
        path = parts.path.rstrip("/") + dialect.path.format_map(self.values)
        self.url = parts._replace(scheme=scheme, path=path).geturl()
        self.channel: Channel | None = None
        self.handshake_ns: int | None = None
        self._last: Answer | None = None

    def open(self) -> Unusable | None:
        """Connects; what prevented it, or None."""
        found = self._connect(self.limits)
        return None if isinstance(found, Channel) else found

    def close(self) -> None:
        """A close frame, its echo, the end."""
        channel, self.channel = self.channel, None
        if channel is not None:
            late = channel.close()
            if self._last is not None:
                self._last.take([parse(one) for one in late], channel.wire.arrived_at, channel.wire.read_at)

    def tend(self) -> None:
        """Answers pings and takes late messages while no stream is under way; never waits."""
        if self.channel is not None and self.channel.wire.wait is None:
            self._settle()

    def stream(self, turn: Turn, emit: Emit) -> None:
        """One message and its answer."""
        self._settle()
        handshake_ns: int | None = None
        found: Channel | Unusable | None = self.channel
        if found is None:
            found = self._connect(turn.limits)
            handshake_ns = self.handshake_ns
        if not isinstance(found, Channel):
            emit(found)
            return
        # A turn that is killed leaves nobody to send late messages to, and a new connection brings none.
        former, self._last = (self._last if handshake_ns is None else None), None
        self._last = self._follow(found, turn, emit, handshake_ns, former)

    def _connect(self, limits: Limits) -> Channel | Unusable:
        """A new connection, its opening messages said and the peer ready."""
        self.channel = None
        correlation_id, headers = trace_headers() if self.trace else (None, {})
        began = now_ns()
        found = Channel.connect(
            self.url,
            {**self.headers, **headers},
            self.dialect.subprotocols,
            limits.connect_ns,
            correlation_id,
            hear=self._hear,
        )
        if not isinstance(found, Channel):
            return found
        for opening in self.dialect.opening:
            found.send(orjson.dumps(opening.filled(self.values)))
        unready = self._await_ready(found, began, limits)
        if unready is not None:
            found.wire.shut()
            return unready
        self.channel = found
        self.handshake_ns = now_ns() - began
        return found

    def _await_ready(self, channel: Channel, began: int, limits: Limits) -> Unusable | None:
        ready = self.dialect.ready
        if ready is None:
            return None
        channel.wire.watch(Wait("connect", began, limits.connect_ns))
        try:
            messages = channel.greeting
            while not any(ready.fits(parse(message)) for message in messages):
                ended = channel.closed or channel.expired()
                if ended is not None:
                    return ended
                messages = channel.read()
        finally:
            channel.wire.unwatch()
        return None

    def _settle(self) -> None:
        """Takes what came since the last stream: its late messages, or the end of the connection."""
        channel = self.channel
        while channel is not None and (messages := channel.peek()) is not None:
            if self._last is not None:
                wire = channel.wire
                self._last.take([parse(one) for one in messages], wire.arrived_at, wire.read_at)
            if channel.closed is not None:
                self.channel = None
                channel.wire.shut()
                return

    def _follow(
        self, channel: Channel, turn: Turn, emit: Emit, handshake_ns: int | None, former: Answer | None
    ) -> Answer:
        if turn.recorder is not None:
            channel.recorder = Recorder(turn.recorder)
        fields = {**self.dialect.body.filled(values_of(turn, self.values)), **turn.extra}
        limits, began = turn.limits, now_ns()
        wait = Wait("accept", began, limits.accept_ns, began + limits.total_ns, limits.total_ns)
        if not self.dialect.announces or limits.first_delta_ns < limits.accept_ns:
            wait.start("first_delta", began, limits.first_delta_ns)
        channel.wire.watch(wait)
        answer = Answer(self.speech, turn, emit, wait, began, former)
        try:
            answer.sent_at = send(channel, orjson.dumps(fields))
            emit(Sent(answer.sent_at, turn.intended_ns, channel.correlation_id, handshake_ns))
            acted = turn.cancel_after is None and turn.drop_after is None
            while not answer.ended:
                self._step(channel, answer, wait, emit, follow=acted)
                if not acted and not answer.ended:
                    acted = self._act(channel, answer, turn, emit)
        finally:
            channel.wire.unwatch()
            channel.recorder = None
            answer.former = None
        return answer

    def _step(self, channel: Channel, answer: Answer, wait: Wait, emit: Emit, *, follow: bool) -> None:
        """One read; follow: reads, as long as nothing else is to be done."""
        wire = channel.wire

        def take(messages: Sequence[bytes]) -> bool:
            answer.take([parse(one) for one in messages], wire.arrived_at, wire.read_at)
            return not answer.ended and wait.expired is None

        messages = channel.follow(take) if follow else channel.read()
        if messages:
            take(messages)
        ended = channel.closed or channel.expired()
        if ended is not None:
            self.channel = None
            channel.wire.shut()
            if not answer.ended:
                answer.ended = True
                emit(ended)

    def _act(self, channel: Channel, answer: Answer, turn: Turn, emit: Emit) -> bool:
        """Cancels or drops the stream once enough chunks have come; whether it did."""
        if turn.drop_after is not None:
            after, how = turn.drop_after
            if answer.chunks < after:
                return False
            at = now_ns()
            self.channel = None
            if how == "close":
                channel.close()
            elif how == "rst":
                channel.wire.reset()
            else:
                channel.wire.shut()
            answer.ended = True
            emit(Closed(at, how != "rst", None, "us", {"rst": "reset"}.get(how, how)))
            return True
        cancel = self.dialect.cancel
        if cancel is None or answer.chunks < (turn.cancel_after or 0):
            return False
        message = orjson.dumps(cancel.filled(values_of(replace(turn, recorder=None), self.values, answer.id)))
        emit(Beat(send(channel, message), "cancel"))
        return True
