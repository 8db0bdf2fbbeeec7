"""Requests with one plain answer: chat without a stream, and the REST calls around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from load.drivers.base import Emit, Recorder, Turn
from load.drivers.dialects.agentchat import request
from load.drivers.exchange import Connection, Exchange, encode
from load.drivers.problem import code_of, refused
from load.metrics.events import Accepted, Closed, Expired, Finished, Garbled, Refused, Sent
from load.metrics.timeline import Limits


@dataclass(frozen=True, slots=True)
class Response:
    """status: 0 where none came; code then says why (`unreachable`, `reset`, `fin`, `protocol`, or the clock
    of ours that expired). sent_ns, headers_ns, done_ns: monotonic; headers_ns is None without headers."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    sent_ns: int
    headers_ns: int | None
    done_ns: int
    correlation_id: str
    failure: str | None = None

    @property
    def code(self) -> str | None:
        """Code of the problem, or why there was no answer."""
        return self.failure or (code_of(self.body) if self.status >= 400 else None)

    def json(self) -> Any:
        """The body as JSON; None where it is not."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None


class HttpDriver:
    """One user's connection to `base_url` (http or https). path: where `stream` posts its messages."""

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

    def open(self) -> Refused | Closed | Expired | None:
        """Connects at the first request; nothing to do before."""
        return None

    def close(self) -> None:
        """Ends the connection."""
        self.connection.close()

    def request(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Response:
        """One request and its whole answer. body: bytes go out as they are, all else as JSON."""
        exchange = self.connection.request(method, path, encode(body), headers or {}, self.limits)
        if not isinstance(exchange, Exchange):
            return Response(0, {}, b"", exchange.at, None, exchange.at, "", _why(exchange))
        ended: Closed | Expired | None = None
        try:
            while ended is None and not exchange.reply.complete:
                ended = exchange.step()
        finally:
            exchange.finish()
        reply = exchange.reply
        return Response(
            reply.status if ended is None else 0,
            reply.headers,
            reply.take(),
            exchange.sent_at,
            exchange.headers_at,
            exchange.wire.arrived_at if ended is None else ended.at,
            exchange.correlation_id or "",
            None if ended is None else _why(ended),
        )

    def stream(self, turn: Turn, emit: Emit) -> None:
        """One message; its answer comes in one piece, so it has a total but no chunks."""
        body = encode(request(turn.prompt, turn.session_id, turn.extra))
        exchange = self.connection.request("POST", self.path, body, {}, turn.limits)
        if not isinstance(exchange, Exchange):
            emit(exchange)
            return
        recorder = None if turn.recorder is None else Recorder(turn.recorder)
        if recorder is not None:
            recorder.keep(exchange.sent_at, "sent", body or b"")
        emit(Sent(exchange.sent_at, turn.intended_ns, exchange.correlation_id, exchange.handshake_ns))
        reply, ended, accepted = exchange.reply, None, False
        try:
            while ended is None and not reply.complete:
                ended = exchange.step()
                if (
                    ended is None
                    and not accepted
                    and exchange.headers_at is not None
                    and 200 <= reply.status < 300
                ):
                    accepted = True
                    exchange.wait.start("total", exchange.sent_at, turn.limits.total_ns)
                    emit(Accepted(exchange.headers_at))
        finally:
            exchange.finish()
        answer, at = reply.take(), exchange.wire.arrived_at
        if recorder is not None:
            recorder.keep(at, "received", f"{reply.status} ".encode() + answer)
        if ended is not None:
            emit(ended)
        elif not accepted:
            emit(refused(at, reply.status, answer, exchange.correlation_id))
        else:
            _finished(at, answer, turn, emit)


def _finished(at: int, answer: bytes, turn: Turn, emit: Emit) -> None:
    """The end of a 2xx; one whose body lacks a field of the contract is a broken one."""
    try:
        fields = orjson.loads(answer)
    except orjson.JSONDecodeError:
        fields = None
    if not isinstance(fields, dict):
        fields = {}
    named = {name: fields.get(name) for name in ("response", "session_id", "execution_id")}
    missing = [name for name, value in named.items() if not isinstance(value, str)]
    if missing:
        emit(Garbled(at, f"no {', '.join(missing)} in {answer[:64]!r}"))
    usage = fields.get("usage")
    tokens = usage.get("completion_tokens") if isinstance(usage, dict) else None
    emit(
        Finished(
            at,
            text=None if "response" in missing else fields["response"],
            id=None if "execution_id" in missing else fields["execution_id"],
            session_id=None if "session_id" in missing else fields["session_id"],
            tokens=tokens if isinstance(tokens, int) else None,
            streamed=False,
        )
    )


def _why(ended: Closed | Expired) -> str:
    return ended.how if isinstance(ended, Closed) else ended.clock
