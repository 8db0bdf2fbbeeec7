"""The facts of one stream and the figures that follow from them, in ns. docs/metrics.md defines each."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from load.metrics.events import Closed, Delta, Errored, Expired, Finished, Refused, Sent
from load.metrics.machine import TerminalState

SLOPE_GAPS = 8
"""From so many gaps on a stream has a slope."""
SLOPE_ENDS = 4
"""So many gaps at each end are compared."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long we wait, in ns. accept, first_delta and total count from the sent request, gap from the last
    chunk. stall_ns ends nothing: a longer gap counts as a stall."""

    connect_ns: int = 10_000_000_000
    accept_ns: int = 30_000_000_000
    first_delta_ns: int = 30_000_000_000
    gap_ns: int = 30_000_000_000
    total_ns: int = 300_000_000_000
    stall_ns: int = 250_000_000


@dataclass(frozen=True, slots=True)
class Gaps:
    """Times between consecutive chunks.

    exact: each known by itself. groups: (G, k): k chunks came in one read after a silence of G, so their k
    gaps sum to G and each is known only as 0..G. opening: (G, k) of a read that held the first chunk and k
    more; G is part of the time to the first chunk.
    """

    exact: list[int]
    groups: list[tuple[int, int]]
    opening: tuple[int, int] | None


class Stream:
    """What was seen of one stream; `Timeline` fills it. state is None until the stream has ended."""

    __slots__ = (
        "accepted_at",
        "beats",
        "breaks",
        "cancel_at",
        "close",
        "code",
        "deltas",
        "ended_at",
        "errored",
        "excerpts",
        "execution_id",
        "expired",
        "finished",
        "flags",
        "limits",
        "refusal",
        "sent",
        "session_id",
        "state",
        "strays",
    )

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.state: TerminalState | None = None
        self.code: str | None = None
        self.breaks: dict[str, int] = {}
        self.flags: set[str] = set()
        self.excerpts: list[str] = []
        self.deltas: list[Delta] = []
        self.beats = 0
        self.strays = 0
        self.execution_id: str | None = None
        self.session_id: str | None = None
        self.sent: Sent | None = None
        self.accepted_at: int | None = None
        self.cancel_at: int | None = None
        self.ended_at: int | None = None
        self.finished: Finished | None = None
        self.errored: Errored | None = None
        self.refusal: Refused | None = None
        self.close: Closed | None = None
        self.expired: Expired | None = None

    @property
    def text(self) -> str:
        """The answer as it was streamed; of a plain response, as it stood there."""
        if self.finished is not None and not self.finished.streamed:
            return self.finished.text or ""
        return "".join([delta.text for delta in self.deltas])

    @property
    def status(self) -> int | None:
        """HTTP status of a refusal."""
        return None if self.refusal is None else self.refusal.status

    @property
    def limit_ms(self) -> float | None:
        """The deadline of the target that fired, by its own word."""
        problem = self.errored or self.refusal
        return None if problem is None else problem.limit_ms

    @property
    def elapsed_ms(self) -> float | None:
        """How long the target says it had waited when its deadline fired."""
        problem = self.errored or self.refusal
        return None if problem is None else problem.elapsed_ms

    @property
    def correlation_id(self) -> str | None:
        """The id that went out with the request or handshake."""
        source = self.sent or self.refusal
        return None if source is None else source.correlation_id

    @property
    def chunks(self) -> int:
        """Number of deltas."""
        return len(self.deltas)

    @property
    def unresolved(self) -> int:
        """Chunks that shared their read with others: their own arrival is not known."""
        return sum(1 for delta in self.deltas if delta.mates != 1)

    @property
    def tokens(self) -> int | None:
        """By the server's usage; None where it gave none. Never computed from lengths."""
        return None if self.finished is None else self.finished.tokens

    @property
    def first_delta_at(self) -> int | None:
        """Arrival of the first chunk of any kind; in a group, at the latest."""
        return self.deltas[0].at if self.deltas else None

    @property
    def first_delta_low_at(self) -> int | None:
        """The earliest the first chunk can have come: the last stamp before a read that others shared."""
        if not self.deltas:
            return None
        first = self.deltas[0]
        if first.mates == 1:
            return first.at
        if self.accepted_at is not None and self.accepted_at < first.at:
            return self.accepted_at
        return None if self.sent is None else min(self.sent.at, first.at)

    @property
    def last_delta_at(self) -> int | None:
        """Arrival of the last chunk."""
        return self.deltas[-1].at if self.deltas else None

    @property
    def start_wait_ns(self) -> int | None:
        """Intended -> sent: lag of the generator, or queueing behind the user's former stream."""
        return None if self.sent is None else max(0, self.sent.at - self.sent.intended_at)

    @property
    def start_lag_ns(self) -> int | None:
        """The same without the handshake: from when it should have begun to when we began with it."""
        wait = self.start_wait_ns
        return None if wait is None else max(0, wait - (self.handshake_ns or 0))

    @property
    def handshake_ns(self) -> int | None:
        """Connect called -> connection usable; None on a connection that was open."""
        return None if self.sent is None else self.sent.handshake_ns

    @property
    def accept_ns(self) -> int | None:
        """Sent -> Accepted."""
        return self._since_sent(self.accepted_at)

    @property
    def ttft_ns(self) -> int | None:
        """Sent -> first delta; None without one, never 0 for it."""
        return self._since_sent(self.first_delta_at)

    @property
    def ttft_low_ns(self) -> int | None:
        """The lower bound of `ttft_ns`; equal to it where the first delta is resolved."""
        return self._since_sent(self.first_delta_low_at)

    @property
    def ttft_answer_ns(self) -> int | None:
        """Sent -> first delta of the answer itself."""
        return self._since_sent(next((delta.at for delta in self.deltas if delta.kind == "answer"), None))

    @property
    def ttft_intended_ns(self) -> int | None:
        """Intended -> first delta."""
        return self._since_intended(self.first_delta_at)

    @property
    def total_ns(self) -> int | None:
        """Sent -> terminal event."""
        return self._since_sent(self.ended_at)

    @property
    def total_intended_ns(self) -> int | None:
        """Intended -> terminal event."""
        return self._since_intended(self.ended_at)

    @property
    def tail_ns(self) -> int | None:
        """Last delta -> terminal event."""
        if self.ended_at is None or self.last_delta_at is None:
            return None
        return max(0, self.ended_at - self.last_delta_at)

    @property
    def cancel_ns(self) -> int | None:
        """Cancel sent -> Cancelled."""
        if self.cancel_at is None or self.ended_at is None or self.state is not TerminalState.CANCELLED:
            return None
        return max(0, self.ended_at - self.cancel_at)

    def gaps(self) -> Gaps:
        """The times between consecutive chunks; empty for fewer than two."""
        exact: list[int] = []
        groups: list[tuple[int, int]] = []
        deltas = self.deltas
        opening = 0
        read_at = deltas[0].read_at if deltas else 0
        for earlier, later in pairwise(deltas):
            if later.mates == 1:
                exact.append(later.at - earlier.at)
            elif later.read_at != earlier.read_at:
                groups.append((later.at - earlier.at, 1))
            elif groups and later.read_at != read_at:
                groups[-1] = (groups[-1][0], groups[-1][1] + 1)
            else:
                opening += 1
        if not opening:
            return Gaps(exact, groups, None)
        low = self.first_delta_low_at
        return Gaps(exact, groups, (deltas[0].at - (deltas[0].at if low is None else low), opening))

    def gaps_in_order(self) -> list[int]:
        """One fewer than chunks, empty if none; a group is one gap of its sum and zeros."""
        return [later.at - earlier.at for earlier, later in pairwise(self.deltas)]

    @property
    def slope(self) -> float | None:
        """Mean of the last four gaps over the mean of the first four; None below SLOPE_GAPS gaps."""
        deltas = self.deltas
        if len(deltas) <= SLOPE_GAPS:
            return None
        first = deltas[SLOPE_ENDS].at - deltas[0].at
        return (deltas[-1].at - deltas[-1 - SLOPE_ENDS].at) / first if first else None

    def _since_sent(self, at: int | None) -> int | None:
        return None if at is None or self.sent is None else max(0, at - self.sent.at)

    def _since_intended(self, at: int | None) -> int | None:
        return None if at is None or self.sent is None else max(0, at - self.sent.intended_at)
