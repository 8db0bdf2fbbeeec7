"""What is cut out of a WebSocket's bytes is what the full parser of `websockets` finds there."""

from __future__ import annotations

import random
from typing import Final

import pytest
from websockets.client import ClientProtocol
from websockets.exceptions import ProtocolError
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN, Protocol
from websockets.uri import parse_uri

from integration.instrument.script_server import BINARY, CLOSE, PING, PONG, TEXT, frame
from load.drivers.frames import Head, Splitter

CONT: Final = 0
SIZES: Final = (0, 1, 2, 3, 124, 125, 126, 127, 300, 65_535, 65_536, 70_000)
"""Around each change of the form of a length."""
SEEDS: Final = range(12)


def opened() -> Protocol:
    """The rules behind a handshake, which is none of a splitter's business."""
    protocol = ClientProtocol(parse_uri("ws://127.0.0.1/"), max_size=None)
    protocol.state = OPEN
    protocol.parser = Protocol.parse(protocol)
    next(protocol.parser)
    return protocol


def texts(protocol: Protocol) -> list[bytes]:
    """Whole text messages of frames, fragments joined."""
    found: list[bytes] = []
    parts: list[bytes] = []
    for event in protocol.events_received():
        assert isinstance(event, Frame)
        if event.opcode in (Opcode.TEXT, Opcode.CONT):
            parts.append(bytes(event.data))
            if event.fin:
                found.append(b"".join(parts))
                parts = []
    return found


def drawn(seed: int) -> bytes:
    """Texts of every size, whole and in fragments, with other frames between and within them."""
    draw = random.Random(seed)
    wire = b""
    for number in range(30):
        payload = bytes([97 + number % 26]) * draw.choice(SIZES)
        kind = draw.random()
        if kind < 0.2:
            wire += frame(payload, fin=False) + frame(b"", PING) + frame(payload, CONT, fin=False)
            wire += frame(payload[:9], CONT)
        elif kind < 0.3:
            wire += frame(payload[:125], draw.choice((PING, PONG)))
        elif kind < 0.4:
            wire += frame(payload, BINARY)
        else:
            wire += frame(payload, TEXT)
    return wire


@pytest.mark.parametrize("seed", SEEDS)
def test_messages_are_those_of_the_full_parser(seed: int) -> None:
    """However the bytes were cut, in the same order."""
    wire, draw = drawn(seed), random.Random(-1 - seed)
    full = opened()
    full.receive_data(wire)
    splitter, protocol, messages = Splitter(), opened(), list[bytes]()
    parts: list[bytes] = []
    at = 0
    while at < len(wire):
        size = draw.choice((1, 2, 3, 5, 100, 4_000, 65_536))
        passed_on = splitter.take(wire[at : at + size], messages)
        at += size
        while passed_on:
            protocol.receive_data(passed_on)
            for event in protocol.events_received():
                assert isinstance(event, Frame)
                if event.opcode in (Opcode.TEXT, Opcode.CONT):
                    parts.append(bytes(event.data))
                    if event.fin:
                        messages.append(b"".join(parts))
                        parts = []
            passed_on = splitter.take(b"", messages)

    assert messages == texts(full)
    assert splitter.rest() == b""


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(b"\x81\x85\0\0\0\0hello", id="masked"),
        pytest.param(b"\xc1\x05hello", id="reserved bit"),
        pytest.param(b"\x83\x05hello", id="reserved opcode"),
        pytest.param(frame(b"x", CONT), id="nothing to continue"),
        pytest.param(frame(b"x", fin=False) + frame(b"more of it"), id="not continued"),
        pytest.param(frame(b"x" * 126, PING), id="long ping"),
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 4, id="no frame"),
    ],
)
def test_what_no_rule_allows_is_passed_on(wrong: bytes) -> None:
    """At once, and nothing of it is taken for a message."""
    splitter, protocol, messages = Splitter(), opened(), list[bytes]()
    passed_on = splitter.take(frame(b"good") + wrong, messages)
    while passed_on:
        protocol.receive_data(passed_on)
        passed_on = b"" if protocol.parser_exc else splitter.take(b"", messages)

    assert messages == [b"good"]
    assert isinstance(protocol.parser_exc, ProtocolError)


def test_what_follows_a_frame_that_was_passed_on_is_kept() -> None:
    """For whoever ends the connection with it."""
    splitter, messages = Splitter(), list[bytes]()

    assert splitter.take(frame(b"\x03\xe8", CLOSE) + b"\x81", messages) == frame(b"\x03\xe8", CLOSE)
    assert (messages, splitter.rest(), splitter.rest()) == ([], b"\x81", b"")


@pytest.mark.parametrize("first", range(1, 12))
def test_frames_begin_behind_the_head(first: int) -> None:
    """Also where the end of the head was cut."""
    answer = b"a: b\r\n\r\n\x81\r\n\r\n"
    head = Head()
    taken = [head.end(answer[:first])] if first < 8 else []
    taken.append(head.end(answer[sum(taken) :]))

    assert sum(taken) == 8
