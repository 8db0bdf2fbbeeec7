"""A stream beside the provider's journal of it: how long each chunk was on its way, and where the time to the
first one went. All times are monotonic ns of one machine.

    connect called    sent          received        first written      first chunk
          |- connect -|- admission -|- provider ... -|- backend ........-|

Admission ends with the earlier of the target's `accepted` and the provider's receipt; what lies between the
two then counts as the backend's, so that the four parts add up to connect called -> first chunk.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass

from load.metrics.stream import Stream

SLACK_NS = 1_000_000
"""A chunk that came this much before it was written was not timed by the same clock."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that reached the provider.

    word: the first word of its message, which only one turn of a run begins with. written_ns: when each chunk
    was handed to the kernel. ended: `done`, `rst`, `fin` by the provider, `peer` by who asked; None: not yet.
    finished: whether the provider had said before that the answer is whole.
    """

    word: str
    model: str
    received_ns: int
    written_ns: array[int]
    ended: str | None
    ended_ns: int | None
    finished: bool = False


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What a stream keeps until the journal is read. chunks_ns: at least one; of chunks that shared a read
    the stamp of the read, so the latest that each can have come."""

    sent_ns: int
    accepted_ns: int | None
    handshake_ns: int | None
    chunks_ns: array[int]

    @classmethod
    def of(cls, stream: Stream) -> Arrivals | None:
        """None without a chunk."""
        if stream.sent is None or not stream.deltas:
            return None
        return cls(
            stream.sent.at,
            stream.accepted_at,
            stream.sent.handshake_ns,
            array("q", [delta.at for delta in stream.deltas]),
        )


@dataclass(frozen=True, slots=True)
class Split:
    """relay: for each chunk; empty where provider and client count different chunks."""

    connect: int
    admission: int
    provider: int
    backend: int
    relay: tuple[int, ...]


def split(arrivals: Arrivals, asked: Asked) -> Split | None:
    """None where the provider wrote nothing, or its times contradict those of the client."""
    if not asked.written_ns:
        return None
    first_written, first_chunk = asked.written_ns[0], arrivals.chunks_ns[0]
    if min(asked.received_ns - arrivals.sent_ns, first_chunk - first_written) < -SLACK_NS:
        return None
    admitted = asked.received_ns
    if arrivals.accepted_ns is not None:
        admitted = min(admitted, arrivals.accepted_ns)
    admission = max(0, admitted - arrivals.sent_ns)
    provider = first_written - asked.received_ns
    same = len(asked.written_ns) == len(arrivals.chunks_ns)
    pairs = zip(asked.written_ns, arrivals.chunks_ns, strict=True) if same else ()
    return Split(
        connect=arrivals.handshake_ns or 0,
        admission=admission,
        provider=provider,
        backend=max(0, first_chunk - arrivals.sent_ns - admission - provider),
        relay=tuple(max(0, came - written) for written, came in pairs),
    )
