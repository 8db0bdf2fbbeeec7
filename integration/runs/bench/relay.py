"""`python -m integration.runs.bench.relay JOURNAL HOST SERVER_PORT DELAY_MS CORE`: what lies between.

Sits before the server of this folder, in the same place, and sends each frame on by itself, DELAY_MS after it
came. Keeps a journal of the server's shape, the clock read right before each `send`: what a client saw is
held against it. Prints its port; when its standard input ends it writes the journal and ends.
"""

from __future__ import annotations

import heapq
import json
import os
import re
import select
import socket
import sys
import time
from pathlib import Path
from typing import Final

NAME: Final = re.compile(rb'"type":"delta".*?"execution_id":"(exe_[0-9a-f]+)"')

END: Final = b""
"""In place of a frame: the server has closed."""


def pieces(data: bytes) -> tuple[list[bytes], bytes]:
    """What the server has sent, cut into heads of HTTP, frames of a WebSocket and chunks of a body; and the
    rest, which is none of them yet."""
    found = []
    while data:
        end = _end(data)
        if end is None or len(data) < end:
            break
        found.append(data[:end])
        data = data[end:]
    return found, data


def _end(data: bytes) -> int | None:
    """Where the first frame ends; None where it cannot be known yet."""
    if data.startswith(b"HTTP"):
        at = data.find(b"\r\n\r\n")
        return None if at < 0 else at + 4
    if data[0] & 0x80:
        if len(data) < 4:
            return None
        return 4 + int.from_bytes(data[2:4], "big") if data[1] == 126 else 2 + data[1]
    size, found, _ = data.partition(b"\r\n")
    return len(size) + 2 + int(size, 16) + 2 if found else None


class Side:
    """One of the two sockets of a connection. rest: the start of a frame that has not come whole."""

    def __init__(self, sock: socket.socket, *, of_server: bool) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self.of_server = of_server
        self.other: Side
        self.rest = b""


class Relay:
    """delay_ns: how long each frame of the server is held back."""

    def __init__(self, host: str, server_port: int, delay_ns: int) -> None:
        self.host, self.server_port, self.delay_ns = host, server_port, delay_ns
        self.listener = socket.create_server((host, 0), backlog=4096)
        self.port = self.listener.getsockname()[1]
        self.sides: dict[int, Side] = {}
        self.held: list[tuple[int, int, bytes, Side]] = []
        self.count = 0
        self.journal: dict[str, list[int]] = {}
        self.poll = select.epoll()

    def run(self) -> None:
        """Until the standard input ends."""
        self.poll.register(self.listener, select.EPOLLIN)
        self.poll.register(0, select.EPOLLIN | select.EPOLLHUP)
        while True:
            # To the next millisecond: the server spends the rest of their core looking at the clock.
            wait_s = max(0.0, (self.held[0][0] - time.perf_counter_ns()) / 1e9) if self.held else -1.0
            for number, _ in self.poll.poll(wait_s):
                if number == 0:
                    return
                if number == self.listener.fileno():
                    self.accept()
                elif number in self.sides:
                    self.receive(self.sides[number])
            while self.held and self.held[0][0] <= time.perf_counter_ns():
                _, _, piece, client = heapq.heappop(self.held)
                self.pass_on(piece, client)

    def accept(self) -> None:
        """A client, and with it a connection of ours to the server."""
        client = Side(self.listener.accept()[0], of_server=False)
        server = Side(socket.create_connection((self.host, self.server_port)), of_server=True)
        client.other, server.other = server, client
        for side in (client, server):
            self.sides[side.sock.fileno()] = side
            self.poll.register(side.sock, select.EPOLLIN)

    def receive(self, side: Side) -> None:
        try:
            data = side.sock.recv(65536)
        except ConnectionError:
            data = b""
        if side.of_server:
            found, side.rest = pieces(side.rest + data)
            due = time.perf_counter_ns() + self.delay_ns
            for piece in found if data else [END]:
                self.count += 1
                heapq.heappush(self.held, (due, self.count, piece, side.other))
            if not data:
                self.poll.unregister(side.sock)
        elif data:
            side.other.sock.sendall(data)
        else:
            self.drop(side)

    def drop(self, side: Side) -> None:
        """Both ends; what is still held goes nowhere."""
        for one in (side, side.other):
            self.sides.pop(one.sock.fileno(), None)
            one.sock.close()  # which takes it out of what is polled

    def pass_on(self, piece: bytes, client: Side) -> None:
        if client.sock.fileno() < 0:
            return
        if piece == END:
            self.drop(client)
            return
        delta = NAME.search(piece)
        at = time.perf_counter_ns()
        try:
            client.sock.sendall(piece)
        except ConnectionError:
            return
        if delta is not None:
            self.journal.setdefault(delta[1].decode(), [at]).append(at)


def main(journal: str, host: str, server_port: int, delay_ms: float, core: int) -> None:
    if core >= 0:
        os.sched_setaffinity(0, {core})
    relay = Relay(host, server_port, int(delay_ms * 1e6))
    print(relay.port, flush=True)  # noqa: T201
    relay.run()
    Path(journal).write_text(json.dumps(relay.journal))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5]))
