"""A server that plays a script, byte by byte: what the drivers are tested against.

    with ScriptServer(hello, goodbye) as server:
        ...  # the first connection to server.port is played `hello`, the second `goodbye`

A script is a function of a `Peer`. What it raises is raised again when the server is left.
"""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeAlias

PATIENCE_S = 10.0
"""A script that waits longer for its client fails."""
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def frame(payload: bytes, opcode: int = TEXT, *, fin: bool = True) -> bytes:
    """A server's WebSocket frame."""
    head = bytes([(0x80 if fin else 0) | opcode])
    if len(payload) < 126:
        return head + bytes([len(payload)]) + payload
    if len(payload) < 65_536:
        return head + b"\x7e" + struct.pack(">H", len(payload)) + payload
    return head + b"\x7f" + struct.pack(">Q", len(payload)) + payload


def text(**fields: Any) -> bytes:
    """A JSON object in a text frame."""
    return frame(json.dumps(fields, ensure_ascii=False).encode())


def close(code: int) -> bytes:
    """A close frame."""
    return frame(struct.pack(">H", code), CLOSE)


class Peer:
    """The server's end of one connection. sent: the time before each `send`, monotonic ns. closed: set when
    the script has ended and its connection with it."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sent: list[int] = []
        self.closed = threading.Event()
        self._rest = b""
        self._shaken = False

    def secure(self, context: ssl.SSLContext) -> ssl.SSLSocket:
        """Goes on with TLS."""
        sock = context.wrap_socket(self.sock, server_side=True)
        self.sock = sock
        return sock

    # -- reading

    def _take(self, count: int) -> bytes:
        while len(self._rest) < count:
            data = self.sock.recv(65_536)
            if not data:
                raise EOFError
            self._rest += data
        taken, self._rest = self._rest[:count], self._rest[count:]
        return taken

    def request(self) -> tuple[str, dict[str, str], bytes]:
        """An HTTP request: first line, headers by their name in lower case, body."""
        while b"\r\n\r\n" not in self._rest:
            data = self.sock.recv(65_536)
            if not data:
                raise EOFError
            self._rest += data
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        return first, headers, self._take(int(headers.get("content-length", "0")))

    def frame(self) -> tuple[int, bytes]:
        """A client's WebSocket frame: opcode and payload."""
        first, second = self._take(2)
        length = second & 0x7F
        if length == 126:
            length = struct.unpack(">H", self._take(2))[0]
        mask = self._take(4)
        payload = bytes(byte ^ mask[i % 4] for i, byte in enumerate(self._take(length)))
        return first & 0x0F, payload

    def message(self) -> Any:
        """The JSON object of a client's text frame."""
        return json.loads(self.frame()[1])

    def gone(self) -> str:
        """Waits until the client has ended the connection, and echoes its close frame: `fin` or `reset`."""
        try:
            while not self._shaken and self.sock.recv(65_536):
                pass
            while self._shaken:
                if self.frame()[0] == CLOSE:
                    self.sock.sendall(close(1000))
        except (ConnectionResetError, BrokenPipeError):
            return "reset"
        except EOFError:
            pass
        return "fin"

    # -- writing

    def send(self, *parts: bytes) -> None:
        """Each part with one system call."""
        for part in parts:
            self.sent.append(time.perf_counter_ns())
            self.sock.sendall(part)

    def pause(self, ms: int) -> None:
        """Lets time pass; the client cannot tell a script when it is waiting."""
        time.sleep(ms / 1000)

    def shake(self, *, behind: bytes = b"", subprotocol: str | None = None) -> dict[str, str]:
        """Takes the handshake and accepts it, `behind` in the same segment; the request's headers."""
        _, headers, _ = self.request()
        self._shaken = True
        digest = hashlib.sha1(headers["sec-websocket-key"].encode() + GUID).digest()
        answer = [
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}",
        ]
        if subprotocol is not None:
            answer.append(f"Sec-WebSocket-Protocol: {subprotocol}")
        self.send("\r\n".join([*answer, "", ""]).encode() + behind)
        return headers

    def reset(self) -> None:
        """Ends the connection with a RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def fin(self) -> None:
        """Ends the connection with a FIN."""
        self.sock.shutdown(socket.SHUT_WR)
        self.gone()
        self.sock.close()


Script: TypeAlias = Callable[[Peer], object]


class ScriptServer:
    """Plays its scripts, one for each connection in the order they come; then refuses further ones."""

    def __init__(self, *scripts: Script, host: str = "127.0.0.1") -> None:
        self._scripts = scripts
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family)
        self._listener.settimeout(PATIENCE_S)
        self._thread = threading.Thread(target=self._serve, name="script server")
        self._failures: list[BaseException] = []
        self.port: int = self._listener.getsockname()[1]
        self.peers: list[Peer] = []

    def _serve(self) -> None:
        players = []
        try:
            for script in self._scripts:
                sock, _ = self._listener.accept()
                sock.settimeout(PATIENCE_S)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                peer = Peer(sock)
                self.peers.append(peer)
                player = threading.Thread(target=self._play, args=(script, peer), name="script")
                player.start()
                players.append(player)
        except OSError as failure:
            self._failures.append(failure)
        finally:
            self._listener.close()
            for player in players:
                player.join()

    def _play(self, script: Script, peer: Peer) -> None:
        try:
            script(peer)
        except BaseException as failure:  # noqa: BLE001  # raised again in the test's own thread
            self._failures.append(failure)
        finally:
            peer.sock.close()
            peer.closed.set()

    def __enter__(self) -> ScriptServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._thread.join()
        if error is None and self._failures:
            raise self._failures[0]
