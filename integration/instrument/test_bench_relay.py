"""The relay of the bench cuts what the server sends where the server had called `send`."""

from __future__ import annotations

import json

import pytest

from integration.runs.bench.relay import NAME, pieces
from integration.runs.bench.server import chunk, framed

NAMES = [f"exe_{number:032x}" for number in (1, 2)]
HEAD = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
STARTED = framed(json.dumps({"type": "started", "execution_id": NAMES[0]}).encode())
DELTA = framed(chunk(2, NAMES[0]))
LONG = framed(b"x" * 70)
WEBSOCKET = [HEAD, STARTED, DELTA, LONG, framed(chunk(3, NAMES[1])), b"\x88\x02\x03\xe8"]
BODY = b"event: delta\nid: 2\ndata: " + chunk(2, NAMES[0]) + b"\n\n"
SSE = [
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
    b"%x\r\n%s\r\n" % (len(BODY), BODY),
    b"0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\n",
]


@pytest.mark.parametrize("sent", [WEBSOCKET, SSE])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10_000])
def test_frames_are_found_however_they_come(sent: list[bytes], size: int) -> None:
    """In reads of any size."""
    whole, found, rest = b"".join(sent), [], b""
    for at in range(0, len(whole), size):
        more, rest = pieces(rest + whole[at : at + size])
        found += more

    assert (found, rest) == (sent, b"")


def test_only_a_chunk_has_its_stream_in_the_journal() -> None:
    """Neither what began it nor what ends it."""
    found = [NAME.search(piece) for piece in (*WEBSOCKET, *SSE)]

    assert [at[1].decode() if at else "" for at in found] == [
        "", "", NAMES[0], "", NAMES[1], "",
        "", NAMES[0], "", "",
    ]  # fmt: skip
