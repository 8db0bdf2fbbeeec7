"""Streams in the body of an answer, in whatever dialect a table describes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from load.drivers.base import Emit, Recorder, Turn
from load.drivers.clock import now_ns
from load.drivers.dialects.framing import CONTENT_TYPES, FRAMINGS, Framing
from load.drivers.dialects.mapping import Dialect
from load.drivers.dialects.speech import Speech
from load.drivers.exchange import Connection, Exchange, encode
from load.drivers.following import Answer, values_of
from load.drivers.problem import refused
from load.metrics.events import Accepted, Beat, Closed, Expired, Finished, Refused, Sent
from load.metrics.timeline import Limits

ACCEPT: Final = {"sse": "text/event-stream", "json_lines": "application/x-ndjson", "text": "text/plain"}


class MappedHttpDriver:
    """One user's connection to `base_url`. values: what the places of the request are filled with, `model`
    for instance."""

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str],
        limits: Limits,
        dialect: Dialect,
        values: Mapping[str, str],
        *,
        trace: bool = True,
    ) -> None:
        self.limits = limits
        self.dialect = dialect
        self.speech = Speech(dialect)
        self.values = dict(values)
        accept = {"accept": ACCEPT[dialect.framing]}
        self.connection = Connection(base_url, {**accept, **dialect.headers, **headers}, trace=trace)

    def open(self) -> Refused | Closed | Expired | None:
        """Connects at the first request; nothing to do before."""
        return None

    def close(self) -> None:
        """Ends the connection."""
        self.connection.close()

    def stream(self, turn: Turn, emit: Emit) -> None:
        """One message and its streamed answer."""
        dialect = self.dialect
        values = values_of(turn, self.values)
        path = dialect.path.format_map({name: value or "" for name, value in values.items()})
        body = encode({**dialect.body.filled(values), **turn.extra})
        exchange = self.connection.request(dialect.method, path, body, {}, turn.limits)
        if not isinstance(exchange, Exchange):
            emit(exchange)
            return
        Body(self.speech, exchange, turn, emit).run(body or b"")


class Body:
    """One streamed body on its way."""

    __slots__ = ("answer", "decoder", "dialect", "emit", "exchange", "recorder", "turn")

    def __init__(self, speech: Speech, exchange: Exchange, turn: Turn, emit: Emit) -> None:
        self.dialect = speech.dialect
        self.exchange = exchange
        self.turn = turn
        self.emit = emit
        self.decoder: Framing = FRAMINGS[self.dialect.framing]()
        self.recorder = None if turn.recorder is None else Recorder(turn.recorder)
        self.answer = Answer(speech, turn, emit, exchange.wait, exchange.sent_at)

    def run(self, request: bytes) -> None:
        """From the request to the terminal event."""
        exchange, limits = self.exchange, self.turn.limits
        if self.recorder is not None:
            self.recorder.keep(exchange.sent_at, "sent", request)
        if limits.first_delta_ns < limits.accept_ns:
            exchange.wait.start("first_delta", exchange.wait.since, limits.first_delta_ns)
        self.emit(
            Sent(exchange.sent_at, self.turn.intended_ns, exchange.correlation_id, exchange.handshake_ns)
        )
        accepted = False
        try:
            while not self.answer.ended:
                follow = accepted and self.turn.drop_after is None
                ended = exchange.follow(self._more) if follow else exchange.step()
                if not accepted and exchange.headers_at is not None and self._is_stream():
                    accepted = True
                    self._accepted(exchange.headers_at)
                self._step(ended)
            if exchange.reply.headers_done and self._is_stream():
                for late in exchange.drain():
                    self._take(late)
        finally:
            exchange.finish()

    def _accepted(self, at: int) -> None:
        """By its headers, where no message says so."""
        self.exchange.wait.start("first_delta", self.exchange.sent_at, self.turn.limits.first_delta_ns)
        if not self.dialect.announces:
            self.emit(Accepted(at))

    def _step(self, ended: Closed | Expired | None) -> None:
        exchange, reply = self.exchange, self.exchange.reply
        if reply.headers_done and not self._is_stream():
            if ended is None and not reply.complete:
                return
            if ended is None:
                at = exchange.wire.arrived_at
                self._end(refused(at, reply.status, reply.take(), exchange.correlation_id))
                return
        else:
            self._take(reply.take())
        if self.answer.ended:
            return
        if ended is None and reply.complete:
            at = exchange.wire.arrived_at
            if self.decoder.unfinished:
                self.emit(Beat(at, "unfinished"))
            whole = self.dialect.end == "body" and not self.decoder.unfinished
            self._end(Finished(at) if whole else Closed(at, True, None, "peer", "fin"))
        elif ended is not None:
            self._end(ended)

    def _more(self) -> bool:
        self._take(self.exchange.reply.take())
        return not self.answer.ended

    def _is_stream(self) -> bool:
        reply = self.exchange.reply
        kinds = CONTENT_TYPES[self.dialect.framing]
        return 200 <= reply.status < 300 and reply.headers.get("content-type", "").startswith(kinds)

    def _take(self, data: bytes) -> None:
        if not data:
            return
        wire, answer, turn = self.exchange.wire, self.answer, self.turn
        if self.recorder is not None:
            self.recorder.keep(wire.arrived_at, "received", data)
        answer.take(self.decoder.feed(data), wire.arrived_at, wire.read_at)
        drop = turn.drop_after
        if drop is not None and not answer.ended and answer.chunks >= drop[0]:
            at, how = now_ns(), drop[1]
            if how == "rst":
                wire.reset()
            else:
                wire.shut()
            self._end(Closed(at, how != "rst", None, "us", "reset" if how == "rst" else "fin"))

    def _end(self, event: Closed | Expired | Refused | Finished) -> None:
        self.answer.ended = True
        self.emit(event)
