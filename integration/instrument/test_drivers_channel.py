"""One WebSocket connection, where a whole stream does not show it."""

from __future__ import annotations

from integration.instrument.script_server import Peer, ScriptServer, close
from load.drivers.channel import Channel
from load.drivers.watchdog import Wait
from load.metrics.events import Closed, Expired

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


def test_behind_a_close_frame_nothing_is_followed() -> None:
    """Who follows then learns that there is no more."""

    def script(peer: Peer) -> None:
        peer.shake()
        peer.sock.recv(64)
        peer.send(close(1001))
        peer.gone()

    followed: list[list[bytes]] = []

    def take(messages: list[bytes]) -> bool:
        followed.append(messages)
        return True

    with ScriptServer(script) as server:
        channel = connected(server)
        channel.send(b"{}")
        announced = channel.read()
        channel.wire.shut_writing()
        left = channel.follow(take)
        channel.wire.shut()

    assert (announced, left, followed) == ([], [], [])
    assert isinstance(channel.closed, Closed)
    assert (channel.closed.code, channel.closed.how) == (1001, "close")
