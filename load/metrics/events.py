"""What a driver saw of one stream, protocol-free.

Every `at` is monotonic ns: the kernel's stamp where there is one, else the user clock. A driver emits one
terminal event (`Finished`, `Errored`, `Cancelled`, `Refused`, `Closed`, `Expired`) for each turn, last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["answer", "reasoning", "tool"]
ClockName: TypeAlias = Literal["connect", "accept", "first_delta", "gap", "total"]
By: TypeAlias = Literal["us", "peer", "network"]


@dataclass(frozen=True, slots=True)
class Sent:
    """The request was handed to the kernel.

    handshake_ns: connect called -> connection usable; None on one that was open.
    """

    at: int
    intended_at: int
    correlation_id: str | None = None
    handshake_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The server took the request: `started`, or HTTP 2xx headers (then without id)."""

    at: int
    id: str | None = None
    seq: int | None = None
    session_id: str | None = None


@dataclass(frozen=True, slots=True)
class Beat:
    """Alive, but no text: `heartbeat`, `comment`, `role`, `usage`, `resumed`, `cancel` (we asked for it).

    seq: where the protocol numbers these messages, too.
    """

    at: int
    what: str
    seq: int | None = None


@dataclass(slots=True)
class Delta:
    """One chunk. Immutable by rule: frozen it would cost four times as much, once for every chunk.

    read_at: when the read that completed it returned. seq: None where the protocol has no numbers.
    mates: frames completed by the same read, itself included; 1 means that `at` is its own arrival.
    """

    at: int
    read_at: int
    seq: int | None
    text: str
    kind: Kind = "answer"
    mates: int = 1


@dataclass(frozen=True, slots=True)
class Finish:
    """The answer is complete, its terminal marker is still to come."""

    at: int
    reason: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The terminal marker of success.

    text: the whole answer by the server's own word. tokens: from its usage. streamed: False for a plain
    response, which never has deltas.
    """

    at: int
    text: str | None = None
    seq: int | None = None
    id: str | None = None
    session_id: str | None = None
    reason: str | None = None
    tokens: int | None = None
    streamed: bool = True


@dataclass(frozen=True, slots=True)
class Errored:
    """The server ended the stream with an error. limit_ms, elapsed_ms: of its deadline, by its own word.
    fatal: it said that it ends the connection, too."""

    at: int
    code: str
    seq: int | None = None
    id: str | None = None
    partial: str | None = None
    limit_ms: float | None = None
    elapsed_ms: float | None = None
    retry_after_ms: float | None = None
    fatal: bool = False


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The server confirmed a cancel."""

    at: int
    reason: str | None = None
    seq: int | None = None
    id: str | None = None
    partial: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """Not accepted: a handshake or request answered with `status`. body: its first 64 KiB. execution_id: of
    the run that the answer speaks of, where there is one."""

    at: int
    status: int
    code: str | None = None
    body: bytes = b""
    limit_ms: float | None = None
    elapsed_ms: float | None = None
    retry_after_ms: float | None = None
    correlation_id: str | None = None
    execution_id: str | None = None


@dataclass(frozen=True, slots=True)
class Closed:
    """The connection ended.

    clean: by a close handshake or FIN. code: of the peer's close frame. how: `close`, `fin`, `reset`, `end`
    for a response that was ended orderly and too early, `unreachable`, or `protocol` for what no protocol
    allows. by: who ended it.
    """

    at: int
    clean: bool
    code: int | None
    by: By
    how: str


@dataclass(frozen=True, slots=True)
class Expired:
    """One of our own limits passed. late_ns: how much later than the limit it was noticed."""

    at: int
    clock: ClockName
    limit_ns: int
    late_ns: int = 0


@dataclass(frozen=True, slots=True)
class Garbled:
    """A frame that breaks the contract: not UTF-8, not JSON, a field missing. what: its beginning."""

    at: int
    what: str


@dataclass(frozen=True, slots=True)
class Stray:
    """A frame of a stream that has ended, or was never ours."""

    at: int
    id: str


Event: TypeAlias = (
    Sent
    | Accepted
    | Beat
    | Delta
    | Finish
    | Finished
    | Errored
    | Cancelled
    | Refused
    | Closed
    | Expired
    | Garbled
    | Stray
)
