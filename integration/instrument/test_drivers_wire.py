"""One connection, where no protocol is needed to see it."""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Iterator

import pytest

from integration.instrument.script_server import Peer, ScriptServer
from load.drivers.clock import Clock
from load.drivers.wire import Wire
from load.errors import LocalFault

SECOND = 1_000_000_000


@pytest.fixture
def no_descriptors() -> Iterator[None]:
    """This process may open no further file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.usefixtures("no_descriptors")
def test_without_a_file_descriptor_it_is_our_own_fault(host: str) -> None:
    """Whatever stands at the address; a look-up of its name hides the reason, which is found all the same."""
    with pytest.raises(LocalFault, match="out of file descriptors"):
        Wire.connect(f"http://{host}:9", 5 * SECOND)


@pytest.mark.parametrize("receive_buffer", [None, 4096])
def test_nothing_at_the_address_is_none_of_ours(receive_buffer: int | None) -> None:
    """A refused connect stays the system's own error."""
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unheard.getsockname()[1]}"
        with pytest.raises(ConnectionRefusedError):
            Wire.connect(url, 5 * SECOND, receive_buffer=receive_buffer)


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
