"""`python -m integration.runs.bench.server JOURNAL CHUNKS PACE_MS CORE [HOST]`: a target with a journal.

One thread, one loop, one `send` for each chunk, the clock read right before it. Speaks what docs/protocol.md
describes, over a WebSocket (any GET) and over server-sent events (any POST), and chat completions as most
servers of models do (POST below /v1/); a pace of 0 sends as fast as the sockets take it. Prints its port,
and a line when the first answer is asked for; when its standard input ends it writes the journal and ends.
"""

from __future__ import annotations

import base64
import hashlib
import heapq
import json
import os
import select
import socket
import struct
import sys
import time
from pathlib import Path
from typing import Final

GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
WORD: Final = "word "
LATER_NS: Final = 200_000
"""A full socket is tried again so much later."""


def chunk(number: int, name: str) -> bytes:
    """A delta of the length that all of a stream have."""
    head = f'{{"type":"delta","seq":{number:<6d},"execution_id":"{name}","request_id":"req_{name[4:28]}"'
    return f'{head},"delta":"{WORD}","done":false}}'.encode()


def completion(kind: str, name: str) -> bytes:
    """An event of a chat completion; the last with the end mark behind it."""
    delta = {"started": {"role": "assistant"}, "delta": {"content": WORD}}.get(kind, {})
    choice = {"index": 0, "delta": delta, "finish_reason": "stop" if kind == "done" else None}
    fields = {"id": name, "object": "chat.completion.chunk", "created": 1, "model": "bench"}
    event = f"data: {json.dumps(fields | {'choices': [choice]})}\n\n"
    return f"{event}data: [DONE]\n\n".encode() if kind == "done" else event.encode()


def framed(payload: bytes) -> bytes:
    """One text frame."""
    if len(payload) < 126:
        return b"\x81" + bytes([len(payload)]) + payload
    return b"\x81\x7e" + struct.pack(">H", len(payload)) + payload


class Stream:
    """One answer. began: when its first chunk was due, ns. sent: the time before each `send` of a chunk."""

    def __init__(self, peer: Peer, name: str, chunks: int, first_at: int) -> None:
        self.peer = peer
        self.name = name
        self.chunks = chunks
        self.began = first_at
        self.sent: list[int] = []

    def ending(self) -> bytes:
        text = WORD * self.chunks
        fields = {"type": "done", "seq": self.chunks + 2, "execution_id": self.name, "session_id": "s"}
        return json.dumps(fields | {"response": text, "finish_reason": "stop", "done": True}).encode()


class Peer:
    """One connection."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self.data = b""
        self.upgraded = False
        self.sse = False
        self.completions = False
        self.gone = False

    def wrap(self, kind: str, number: int, payload: bytes, name: str, *, last: bool = False) -> bytes:
        """A frame of a run as this connection carries it. name: of its stream."""
        if not self.sse:
            return framed(payload)
        body = f"event: {kind}\nid: {number}\ndata: ".encode() + payload + b"\n\n"
        if self.completions:
            body = completion(kind, name)
        return b"%x\r\n%s\r\n%s" % (len(body), body, b"0\r\n\r\n" if last else b"")

    def send(self, data: bytes) -> None:
        """All of it, or BlockingIOError when the socket takes nothing at all."""
        taken = self.sock.send(data)
        if taken < len(data):
            self.sock.setblocking(True)
            self.sock.sendall(data[taken:])
            self.sock.setblocking(False)

    def requests(self) -> int:
        """How many answers are asked for by what has come."""
        count = 0
        while True:
            if not self.upgraded:
                head, found, rest = self.data.partition(b"\r\n\r\n")
                if not found:
                    return count
                fields = {
                    name.lower(): value.strip()
                    for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:])
                }
                if head.startswith(b"GET"):
                    self._upgrade(fields.get(b"sec-websocket-key"))
                    self.data = rest
                    continue
                length = int(fields.get(b"content-length", b"0"))
                if len(rest) < length:
                    return count
                self.sse = True
                self.completions = head.startswith(b"POST /v1/")
                self.data = rest[length:]
                self.sock.send(
                    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
                    b"transfer-encoding: chunked\r\n\r\n"
                )
                count += 1
                continue
            if len(self.data) < 2:
                return count
            length, at = self.data[1] & 127, 2
            if length == 126:
                if len(self.data) < 4:
                    return count
                length, at = struct.unpack(">H", self.data[2:4])[0], 4
            if len(self.data) < at + 4 + length:
                return count
            opcode, self.data = self.data[0] & 15, self.data[at + 4 + length :]
            if opcode == 8:
                self.sock.send(b"\x88\x02\x03\xe8")
                self.gone = True
                return count
            count += opcode == 1

    def _upgrade(self, key: bytes | None) -> None:
        if key is None:
            self.sock.send(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
            return
        accept = base64.b64encode(hashlib.sha1(key + GUID, usedforsecurity=False).digest())
        self.sock.send(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        self.upgraded = True


class Server:
    """chunks: of each answer. pace_ns: between two of them."""

    def __init__(self, chunks: int, pace_ns: int, host: str) -> None:
        self.chunks = chunks
        self.pace_ns = pace_ns
        self.listener = socket.create_server((host, 0), backlog=4096)
        self.listener.setblocking(False)
        self.port = self.listener.getsockname()[1]
        self.streams: list[Stream] = []
        self.due: list[tuple[int, int, Stream]] = []
        self.peers: dict[int, Peer] = {}
        self.poll = select.epoll()

    def run(self) -> None:
        """Until the standard input ends."""
        self.poll.register(self.listener, select.EPOLLIN)
        self.poll.register(0, select.EPOLLIN | select.EPOLLHUP)
        while True:
            wait_s = -1.0
            if self.due:
                wait_s = max(0.0, (self.due[0][0] - time.perf_counter_ns()) / 1e9)
            # Below a millisecond the kernel would round up: that is spent looking.
            for number, _ in self.poll.poll(wait_s - 0.001 if wait_s > 0.001 else min(wait_s, 0.0)):
                if number == 0:
                    return
                if number == self.listener.fileno():
                    self.accept()
                else:
                    self.receive(self.peers[number])
            self.send_due()

    def accept(self) -> None:
        try:
            while True:
                peer = Peer(self.listener.accept()[0])
                self.peers[peer.sock.fileno()] = peer
                self.poll.register(peer.sock, select.EPOLLIN)
        except BlockingIOError:
            return

    def receive(self, peer: Peer) -> None:
        try:
            data = peer.sock.recv(65536)
            peer.data += data
            for _ in range(peer.requests()):
                self.begin(peer)
        except ConnectionError:  # it asked, and left
            data = b""
        if not data or peer.gone:
            peer.gone = True
            del self.peers[peer.sock.fileno()]
            self.poll.unregister(peer.sock)
            peer.sock.close()

    def begin(self, peer: Peer) -> None:
        """An answer. Raises ConnectionError."""
        if not self.streams:
            print("began", flush=True)  # noqa: T201 - whoever started it waits for this line
        name = f"exe_{len(self.streams):032x}"
        stream = Stream(peer, name, self.chunks, time.perf_counter_ns() + self.pace_ns)
        self.streams.append(stream)
        fields = {"type": "started", "seq": 1, "execution_id": name, "session_id": "s", "done": False}
        peer.sock.send(peer.wrap("started", 1, json.dumps(fields).encode(), name))
        heapq.heappush(self.due, (stream.began, len(self.streams), stream))

    def send_due(self) -> None:
        """One chunk of each stream that waits for it, and of nobody twice."""
        due, now = self.due, time.perf_counter_ns()
        for _ in range(len(due)):
            if due[0][0] > now:
                return
            _, order, stream = due[0]
            if stream.peer.gone:
                heapq.heappop(due)
                continue
            number = len(stream.sent)
            if number == stream.chunks:
                payload = stream.peer.wrap("done", number + 2, stream.ending(), stream.name, last=True)
            else:
                payload = stream.peer.wrap("delta", number + 2, chunk(number + 2, stream.name), stream.name)
            at = time.perf_counter_ns()
            try:
                stream.peer.send(payload)
            except BlockingIOError:
                heapq.heapreplace(due, (at + LATER_NS, order, stream))
                continue
            except ConnectionError:
                stream.peer.gone = True
                continue
            if number == stream.chunks:
                heapq.heappop(due)
                continue
            stream.sent.append(at)
            # The end follows its last chunk at once.
            steps = number + 1 if number + 1 < stream.chunks else number
            after = stream.began + steps * self.pace_ns if self.pace_ns else at
            heapq.heapreplace(due, (after, order, stream))


def main(journal: str, chunks: int, pace_ms: float, core: int, host: str = "127.0.0.1") -> None:
    if core >= 0:
        os.sched_setaffinity(0, {core})
    server = Server(chunks, int(pace_ms * 1e6), host)
    print(server.port, flush=True)  # noqa: T201
    server.run()
    rows = {stream.name: [stream.began, *stream.sent] for stream in server.streams}
    Path(journal).write_text(json.dumps(rows))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]), *sys.argv[5:])
