"""A great many numbered chunks, cut and merged as networks do: every planted fault is named, nothing else.

One stream of ten has a fault, at a place that the seed decides; one of 25 comes byte by byte.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import pytest

from integration.instrument.agentchat import LIMITS, delta, done, end, events, follow, frames, started
from integration.instrument.script_server import PING, TEXT, Peer, Script, ScriptServer, frame
from load.drivers.base import Driver
from load.drivers.dialects.reading import preset
from load.drivers.mapped_http import MappedHttpDriver
from load.drivers.mapped_websocket import MappedWebSocketDriver
from load.drivers.sse import SseDriver
from load.drivers.websocket import WebSocketDriver
from load.metrics.timeline import Timeline

SEED: Final = 7
CHUNKS: Final = 500
"""Of one stream; of one whose every byte is a segment of its own, FEW."""
FEW: Final = 20
WORDS: Final = ("a", "café ", "😀", "\\n", '"', " of the 中文 ", "e\u0301", "x" * 200, "\u2028")
NAMED: Final = {
    "drop": "loss",
    "duplicate": "duplicate",
    "swap": "order",
    "late": "order",
    "corrupt": "text",
}
HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
LAST: Final = b"0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Sent:
    """One stream as the server meant it. fault: a key of NAMED, or None; segments: its bytes, cut."""

    fault: str | None
    text: str
    chunks: int
    segments: list[bytes]

    @property
    def expected(self) -> tuple[str, str | None, dict[str, int]]:
        """State, code and breaks."""
        if self.fault is None:
            return ("DONE", None, {})
        return ("BROKEN", NAMED[self.fault], {NAMED[self.fault]: 1})


Encode: TypeAlias = Callable[[list[dict[str, Any]], random.Random], bytes]


def sent(total: int, encode: Encode) -> Iterator[Sent]:
    """Streams, those without a fault having `total` chunks or some more together."""
    drawn, faults = random.Random(SEED), itertools.cycle(NAMED)
    for number in itertools.count(1):
        if total <= 0:
            return
        bytewise = number % 25 == 0
        chunks = FEW if bytewise else CHUNKS
        fault = next(faults) if number % 10 == 0 else None
        total -= 0 if fault else chunks
        words = [drawn.choice(WORDS) for _ in range(chunks)]
        data = encode(planned(f"exe_{number}", words, fault, drawn), drawn)
        longest = 1 if bytewise else drawn.choice((200, 2_000, 20_000))
        yield Sent(fault, "".join(words), chunks, list(cut(data, longest, drawn)))


def planned(run: str, words: list[str], fault: str | None, drawn: random.Random) -> list[dict[str, Any]]:
    """The frames of one stream with that fault."""
    deltas = [delta(seq, word, run) for seq, word in enumerate(words, 2)]
    last = [done(len(words) + 2, "".join(words), run)]
    at = drawn.randrange(1, len(words) - 1) if fault else 0
    if fault == "drop":
        del deltas[at]
    elif fault == "duplicate":
        deltas.insert(drawn.randrange(at, len(words)) + 1, deltas[at])
    elif fault == "swap":
        deltas[at - 1], deltas[at] = deltas[at], deltas[at - 1]
    elif fault == "late":
        last.append(deltas.pop(at))
    elif fault == "corrupt":
        deltas[at] = delta(at + 2, words[at] + "!", run)
    return [started(run), *deltas, *last]


def cut(data: bytes, longest: int, drawn: random.Random) -> Iterator[bytes]:
    """Pieces of any length up to `longest`."""
    at = 0
    while at < len(data):
        length = drawn.randint(1, longest)
        yield data[at : at + length]
        at += length


def between(parts: list[bytes], others: Sequence[bytes], drawn: random.Random) -> bytes:
    """Now and then something that says nothing."""
    return b"".join(drawn.choice(others) + part if drawn.random() < 0.02 else part for part in parts)


def of_websocket(objects: list[dict[str, Any]], drawn: random.Random) -> bytes:
    others = (frame(b"?", PING), *frames({"type": "heartbeat", "ts": 1, "active": []}))
    return between(frames(*objects), others, drawn)


def of_http(objects: list[dict[str, Any]], drawn: random.Random) -> bytes:
    body = between(events(*objects), (b": hb\n\n", b":\r\n", b"retry: 9\n\n"), drawn)
    pieces = cut(body, drawn.choice((300, 9_000)), drawn)
    return HEAD + b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in pieces) + LAST


def over_websocket(plan: Iterable[Sent], said: deque[Sent]) -> Script:
    """One connection; each message is answered with the next stream."""

    def script(peer: Peer) -> None:
        peer.shake()
        for one in plan:
            while peer.frame()[0] != TEXT:
                pass  # pongs
            said.append(one)
            peer.send(*one.segments)
        peer.gone()

    return script


def over_http(plan: Iterable[Sent], said: deque[Sent]) -> Script:
    """The same, over a connection that is kept alive."""

    def script(peer: Peer) -> None:
        for one in plan:
            peer.request()
            said.append(one)
            peer.send(*one.segments)
        peer.gone()

    return script


@dataclass(frozen=True, slots=True)
class Way:
    """One driver, and what its server does."""

    make: Callable[[str], Driver]
    encode: Encode
    script: Callable[[Iterable[Sent], deque[Sent]], Script]


WAYS: Final = {
    "ws": Way(lambda at: WebSocketDriver(f"ws://{at}/", {}, LIMITS), of_websocket, over_websocket),
    "sse": Way(lambda at: SseDriver(f"http://{at}", {}, LIMITS), of_http, over_http),
    "ws by table": Way(
        lambda at: MappedWebSocketDriver(f"http://{at}", {}, LIMITS, preset("agentchat-ws"), {"model": "m"}),
        of_websocket,
        over_websocket,
    ),
    "sse by table": Way(
        lambda at: MappedHttpDriver(f"http://{at}", {}, LIMITS, preset("agentchat-sse"), {"model": "m"}),
        of_http,
        over_http,
    ),
}


@pytest.mark.parametrize(
    ("way", "total"),
    [
        ("ws", 50_000),
        ("sse", 50_000),
        *(pytest.param(way, 1_000_000, marks=[pytest.mark.holds, pytest.mark.timeout(600)]) for way in WAYS),
    ],
)
def test_faults_are_named_and_nothing_else(way: str, total: int) -> None:
    """A stream is looked at when the next one of its connection has ended: a late chunk may still come."""
    how = WAYS[way]
    said: deque[Sent] = deque()
    planted: Counter[str | None] = Counter()
    named: Counter[str | None] = Counter()
    clean = 0

    def look(timeline: Timeline) -> None:
        one = said.popleft()
        planted[one.fault] += 1
        named[one.fault] += end(timeline) == one.expected
        assert one.fault is not None or (timeline.text, len(timeline.deltas)) == (one.text, one.chunks)

    with ScriptServer(how.script(sent(total, how.encode), said)) as server:
        user = how.make(f"127.0.0.1:{server.port}")
        former: Timeline | None = None
        while clean < total:
            timeline = follow(user)
            clean += said[-1].chunks if said[-1].fault is None else 0
            if former is not None:
                look(former)
            former = timeline
        user.close()
    assert former is not None
    look(former)

    assert named == planted
    assert min(planted[fault] for fault in NAMED) >= total // (CHUNKS * 100)
