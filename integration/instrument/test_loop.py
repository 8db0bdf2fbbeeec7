"""Streams followed by gevent's loop, over real sockets and without Locust."""

from __future__ import annotations

import gc
from collections.abc import Callable

import gevent
import pytest
from gevent import socket

from load.loop import by_the_loop

PATIENCE_S = 5.0


class Reader:
    """One end of a pair of sockets, and a greenlet that follows it until an `x` comes."""

    def __init__(self, read: Callable[[bytes], bool] = lambda data: data[-1:] not in (b"x", b"")) -> None:
        self.peer, self.sock = socket.socketpair()
        self.seen = b""
        self._read = read
        self.greenlet = gevent.spawn(by_the_loop, self.sock, self.step)

    def step(self) -> bool:
        data = self.sock.recv(64)
        self.seen += data
        return self._read(data)

    def close(self) -> None:
        self.peer.close()
        self.sock.close()


def test_every_read_is_taken_until_no_more_is_wanted() -> None:
    """What comes behind stays in the socket, which can be waited for as before."""
    reader = Reader()
    for data in (b"a", b"b", b"x"):
        reader.peer.send(data)
        gevent.sleep(0.01)
    reader.greenlet.get(timeout=PATIENCE_S)
    reader.peer.send(b"later")
    behind = reader.sock.recv(64)
    reader.close()

    assert (reader.seen, behind) == (b"abx", b"later")


def test_the_end_of_the_connection_is_a_read() -> None:
    """An empty one."""
    reader = Reader()
    reader.peer.close()
    reader.greenlet.get(timeout=PATIENCE_S)
    reader.close()

    assert reader.seen == b""


def test_a_socket_that_was_read_meanwhile_is_waited_for_again() -> None:
    """Somebody else was faster."""
    reader = Reader()
    other = gevent.spawn(by_the_loop, reader.sock, lambda: reader.sock.recv(64) == b"never")
    gevent.sleep(0)
    reader.peer.send(b"x")
    gevent.sleep(0.01)
    reader.peer.send(b"x")
    gevent.joinall([reader.greenlet, other], timeout=PATIENCE_S)
    done = (reader.greenlet.successful(), other.successful())
    reader.close()

    assert done == (True, True)


def test_a_defect_belongs_to_whoever_follows() -> None:
    """The loop goes on with the others."""

    def broken(_: bytes) -> bool:
        raise KeyError("broken")

    reader, other = Reader(broken), Reader()
    reader.peer.send(b"a")
    with pytest.raises(KeyError, match="broken"):
        reader.greenlet.get(timeout=PATIENCE_S)
    other.peer.send(b"x")
    other.greenlet.get(timeout=PATIENCE_S)
    reader.close()
    other.close()

    assert other.seen == b"x"


def test_who_is_killed_reads_no_more() -> None:
    """Locust ends users in the middle of a stream."""
    reader = Reader()
    reader.peer.send(b"a")
    gevent.sleep(0.01)
    reader.greenlet.kill(timeout=PATIENCE_S)
    reader.peer.send(b"b")
    gevent.sleep(0.01)
    seen, left = reader.seen, reader.sock.recv(64)
    reader.close()

    assert (seen, left) == (b"a", b"b")


def test_those_that_end_together_go_on_in_a_round_each() -> None:
    """So that reads of the others come in between."""
    rounds = 0

    def count() -> None:
        nonlocal rounds
        rounds += 1

    went_on: list[int] = []
    pairs = [socket.socketpair() for _ in range(3)]

    def follow(sock: socket.socket) -> None:
        by_the_loop(sock, lambda: sock.recv(64) == b"never")
        went_on.append(rounds)

    prepare = gevent.get_hub().loop.prepare()
    prepare.start(count)
    following = [gevent.spawn(follow, sock) for sock, _ in pairs]
    gevent.sleep(0)
    for _, peer in pairs:
        peer.send(b"x")
    gevent.joinall(following, timeout=PATIENCE_S, raise_error=True)
    prepare.stop()
    prepare.close()
    for sock, peer in pairs:
        sock.close()
        peer.close()

    assert len(set(went_on)) == len(went_on) == 3


def test_a_stream_leaves_no_cycles() -> None:
    """Nobody looks for them while streams are measured."""
    sock, peer = socket.socketpair()
    peer.send(b"first")
    by_the_loop(sock, lambda: sock.recv(64) == b"never")
    gc.collect()
    gc.disable()
    try:
        for _ in range(10):
            peer.send(b"x")
            by_the_loop(sock, lambda: sock.recv(64) == b"never")
        found = gc.collect()
    finally:
        gc.enable()
    sock.close()
    peer.close()

    assert found == 0
