"""One WebSocket connection, where a whole stream does not show it."""

from __future__ import annotations

from integration.instrument.script_server import Peer, ScriptServer
from load.drivers.channel import Channel
from load.drivers.watchdog import Wait
from load.metrics.events import Expired

SECOND = 1_000_000_000


def connected(server: ScriptServer) -> Channel:
    channel = Channel.connect(f"ws://127.0.0.1:{server.port}/", {}, (), 5 * SECOND)
    assert isinstance(channel, Channel)
    return channel


def test_a_reset_behind_our_own_limit_is_not_the_peers() -> None:
    """The limit had passed first; that the peer then resets is no wonder."""

    def script(peer: Peer) -> None:
        peer.shake()
        peer.reset()

    with ScriptServer(script) as server:
        channel = connected(server)
        server.peers[0].closed.wait(5)
        channel.wire.wait = Wait("gap", 0, 7, expired="gap", late=3)
        messages = channel.read()
        channel.wire.shut()
    expired = channel.expired()

    assert (messages, channel.closed) == ([], None)
    assert isinstance(expired, Expired)
    assert (expired.clock, expired.limit_ns, expired.late_ns) == ("gap", 7, 3)


def test_a_connect_that_is_never_answered_times_out(full: str) -> None:
    """A server whose queue of connections is full."""
    unusable = Channel.connect(full.replace("http", "ws"), {}, (), SECOND // 20)

    assert isinstance(unusable, Expired)
    assert (unusable.clock, unusable.limit_ns) == ("connect", SECOND // 20)
