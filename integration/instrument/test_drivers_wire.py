"""One connection, where no protocol is needed to see it."""

from __future__ import annotations

import socket

import pytest

from integration.instrument.script_server import Peer, ScriptServer
from load.drivers.clock import Clock
from load.drivers.wire import Wire, address_of
from load.errors import UsageError

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://h", ("h", 80)),
        ("ws://h:8000/path", ("h", 8000)),
        ("http://[::1]:9/", ("::1", 9)),
    ],
)
def test_address(url: str, expected: tuple[str, int]) -> None:
    """Host and port."""
    assert address_of(url) == expected


@pytest.mark.parametrize("url", ["https://h", "ftp://h", "http:///x", "h:80"])
def test_what_is_not_spoken_is_said(url: str) -> None:
    """Before anything is connected."""
    with pytest.raises(UsageError, match="only http:// and ws://"):
        address_of(url)


def test_reads_are_stamped_in_order() -> None:
    """Sent, arrived, read; then the end."""
    clock = Clock()
    with ScriptServer(lambda peer: peer.send(b"a")) as server:
        wire = Wire.connect(f"http://127.0.0.1:{server.port}", 5 * SECOND, clock)
        data = wire.read()
        arrived, read = wire.arrived_at, wire.read_at
        ended = wire.read()
        wire.shut()

    assert (data, ended, clock.drain().reads) == (b"a", b"", 1)
    assert server.peers[0].sent[0] <= arrived <= read


def test_without_stamps_the_user_clock_tells() -> None:
    """As where the option does not exist."""
    clock = Clock()
    with ScriptServer(lambda peer: peer.send(b"a")) as server:
        sock = socket.create_connection(("127.0.0.1", server.port), timeout=5)
        wire = Wire(sock, clock)
        wire.read()
        wire.shut()

    assert (wire.arrived_at, clock.drain().stamp_source) == (wire.read_at, "user")


def test_a_peek_never_waits() -> None:
    """Nothing has come, and nothing will."""

    def script(peer: Peer) -> None:
        peer.gone()

    with ScriptServer(script) as server:
        wire = Wire.connect(f"http://127.0.0.1:{server.port}", 5 * SECOND)
        seen = wire.peek()
        wire.shut()

    assert seen is None


@pytest.mark.parametrize(("how", "seen"), [("shut", "fin"), ("reset", "reset")])
def test_how_a_connection_is_ended(how: str, seen: str) -> None:
    """As the other side sees it; twice is harmless."""
    noticed: list[str] = []
    with ScriptServer(lambda peer: noticed.append(peer.gone())) as server:
        wire = Wire.connect(f"http://127.0.0.1:{server.port}", 5 * SECOND)
        getattr(wire, how)()
        getattr(wire, how)()

    assert noticed == [seen]
