"""HTTP on one connection, where a whole request does not show it."""

from __future__ import annotations

import threading

from integration.instrument.agentchat import limits
from integration.instrument.script_server import Peer, ScriptServer
from load.drivers.exchange import Connection, Exchange
from load.metrics.events import Closed, Expired

MS = 1_000_000


def test_a_connect_that_is_never_answered_times_out(full: str) -> None:
    """A server whose queue of connections is full."""
    ended = Connection(full, {}).request("GET", "/", None, {}, limits(connect_ns=50))

    assert isinstance(ended, Expired)
    assert (ended.clock, ended.limit_ns) == ("connect", 50 * MS)


def test_a_server_that_never_reads_times_out() -> None:
    """A body larger than all buffers cannot be handed over."""
    given_up = threading.Event()

    def script(peer: Peer) -> None:
        given_up.wait(5)

    with ScriptServer(script) as server:
        connection = Connection(f"http://127.0.0.1:{server.port}", {})
        exchange = connection.request("POST", "/", b"x" * 20_000_000, {}, limits(accept_ns=80))
        assert isinstance(exchange, Exchange)
        ended = exchange.step()
        exchange.finish()
        given_up.set()

    assert isinstance(ended, Expired)
    assert ended.clock == "accept"


def test_a_flood_ends_with_the_total() -> None:
    """Bytes without end do not keep us beyond it."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 x\r\n\r\n")
        try:
            while True:
                peer.send(b"x" * 10_000)
        except OSError:
            pass

    with ScriptServer(script) as server:
        connection = Connection(f"http://127.0.0.1:{server.port}", {})
        exchange = connection.request("GET", "/", None, {}, limits(total_ns=80))
        assert isinstance(exchange, Exchange)
        ended: Closed | Expired | None = None
        while ended is None:
            ended = exchange.step()
            exchange.reply.take()
        exchange.finish()

    assert isinstance(ended, Expired)
    assert (ended.clock, exchange.reply.status) == ("total", 200)
