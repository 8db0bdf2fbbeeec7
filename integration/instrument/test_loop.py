"""Streams followed by gevent's loop, over real sockets and without Locust."""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Callable, Iterator

import gevent
import pytest
from gevent import socket

from integration.timing import PATIENCE_S
from load.loop import YOUNG, by_the_loop, settle


def until(came: Callable[[], object], what: str) -> None:
    """Lets the loop go round; AssertionError that names `what` when it does not come in time."""
    deadline = time.monotonic() + PATIENCE_S
    while not came():
        assert time.monotonic() < deadline, what
        gevent.sleep(0)


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

    def await_seen(self, seen: bytes) -> None:
        until(lambda: self.seen == seen, f"{seen!r} was not read")

    def close(self) -> None:
        self.peer.close()
        self.sock.close()


def test_every_read_is_taken_until_no_more_is_wanted() -> None:
    """What comes behind stays in the socket, which can be waited for as before."""
    reader = Reader()
    for seen in (b"a", b"ab", b"abx"):
        reader.peer.send(seen[-1:])
        reader.await_seen(seen)
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
    first = Reader()
    second = gevent.spawn(by_the_loop, first.sock, lambda: first.sock.recv(64) == b"never")
    both = [first.greenlet, second]
    first.peer.send(b"x")
    until(lambda: any(one.ready() for one in both), "nobody has read")
    first.peer.send(b"x")
    until(lambda: all(one.ready() for one in both), "one has read alone")
    done = [one.successful() for one in both]
    first.close()

    assert done == [True, True]


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
    reader.await_seen(b"a")
    reader.greenlet.kill(timeout=PATIENCE_S)
    witness = Reader()
    reader.peer.send(b"b")
    witness.peer.send(b"x")
    witness.greenlet.get(timeout=PATIENCE_S)  # the loop has looked at both sockets
    reader.sock.settimeout(PATIENCE_S)
    seen, left = reader.seen, reader.sock.recv(64)
    reader.close()
    witness.close()

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


@pytest.fixture
def unsettled() -> Iterator[None]:
    """The search for cycles as it was, afterwards."""
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


@pytest.mark.parametrize("fails", [False, True])
def test_a_stream_leaves_no_cycles(fails: bool) -> None:
    """Nobody looks for them while streams are measured; a reset is no rare end."""
    sock, peer = socket.socketpair()

    def step() -> bool:
        sock.recv(64)
        if fails:
            raise ConnectionResetError
        return False

    def follow() -> None:
        peer.send(b"x")
        with contextlib.suppress(ConnectionResetError):
            by_the_loop(sock, step)

    follow()
    gc.collect()
    gc.disable()
    try:
        for _ in range(10):
            follow()
        found = gc.collect()
    finally:
        gc.enable()
    sock.close()
    peer.close()

    assert found == 0


@pytest.mark.usefixtures("unsettled")
def test_streams_under_way_start_no_search_for_cycles() -> None:
    """A fifth of what starts one is there; then all of it."""
    searches: list[str] = []

    def note(phase: str, _: dict[str, int]) -> None:
        searches.append(phase)

    settle()
    gc.callbacks.append(note)
    try:
        chunks = [[number] for number in range(YOUNG // 5)]
        few = len(searches)
        chunks += [[number] for number in range(YOUNG)]
        many = len(searches)
    finally:
        gc.callbacks.remove(note)

    assert (len(chunks), few, many > 0) == (YOUNG // 5 + YOUNG, 0, True)
