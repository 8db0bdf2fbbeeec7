"""Subject processes with settings of their own, started quickly, and the ways a client or a machine fails.

A database is migrated and filled once; each server gets a copy of it. `running` starts such a server.
"""

from __future__ import annotations

import itertools
import json
import shlex
import socket
import struct
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import psutil  # type: ignore[import-untyped]
from sqlalchemy import create_engine, text
from websockets.asyncio.client import ClientConnection
from websockets.frames import Frame as WireFrame
from websockets.frames import Opcode

from backend.storage.schema import migrate
from integration.covered import Measured
from integration.subject.clients import (
    LABEL,
    Agent,
    Frame,
    Person,
    Service,
    http_client,
    label,
    sync_url,
)
from integration.timing import MS, PATIENCE_S, eventually
from integration.upstream import Entry, Script, Upstream
from load.target.config import TargetConfig, bundled

T = TypeVar("T")

PEOPLE = 800
"""Users of a seed; each test takes as many as it needs, and none of them twice from one server."""

GENEROUS = {
    # Limits that most rows are not about, out of the way.
    "BACKEND_RATE_MESSAGES_PER_MIN": "600000",
    "BACKEND_RATE_BURST": "10000",
    "BACKEND_WS_FRAMES_PER_SEC": "10000",
    "BACKEND_MAX_RUNS_PER_USER": "200",
    "BACKEND_MAX_CONNECTIONS_PER_USER": "200",
}

_stories = itertools.count(1)

TERMINAL = {"done": "COMPLETED", "cancelled": "CANCELLED"}
"""The status of a row whose frame is one of these; that of an `error` depends on its code."""


@dataclass(frozen=True, slots=True)
class Seed:
    """A migrated database with people and agents in it, and what `demo` printed about them."""

    url: str
    demo: Path
    file: Path | None = None
    """To be copied for each server; None: the server works on `url` itself."""


def once(make: Callable[[Measured], T]) -> Callable[[Measured], T]:
    """Made when the first asks for it; a second thread that asks meanwhile waits for it."""
    made: dict[Measured, T] = {}
    lock = threading.Lock()

    def get(measured: Measured) -> T:
        with lock:
            if measured not in made:
                made[measured] = make(measured)
            return made[measured]

    return get


@once
def sqlite_seed(measured: Measured) -> Seed:
    """The file that every server of this suite begins with a copy of."""
    url = "sqlite:///{scratch}/backend.db"
    config = bundled(PEOPLE, {"BACKEND_DATABASE_URL": url})
    folder = measured.folder / "seed"
    file = folder / "scratch" / "backend.db"
    file.parent.mkdir(parents=True)
    migrate(f"sqlite:///{file}")
    made = measured.run(config, "seed", "backend", "demo", "--users", str(PEOPLE), "--json")
    assert made.returncode == 0, made.stderr
    demo = folder / "demo.json"
    demo.write_text(made.stdout)
    return Seed(url, demo, file)


def seeded(
    measured: Measured, config: TargetConfig, *, seed: Seed | None = None, fresh: bool = True
) -> TargetConfig:
    """The same target, set up with a copy of the seed in place of its own set-up."""
    seed = seed or sqlite_seed(measured)
    first = ("cp", str(seed.file), "{scratch}/backend.db") if fresh and seed.file else ("true",)
    env = {**config.env, "BACKEND_DATABASE_URL": seed.url}
    return replace(config, env=env, setup=(first, ("cat", str(seed.demo))))


@contextmanager
def running(
    measured: Measured,
    name: str,
    settings: Mapping[str, str],
    *,
    seed: Seed | None = None,
    python: Path | None = None,
    fresh: bool = True,
    covered: bool = True,
) -> Generator[Service, None, None]:
    """A server with these settings and generous limits: see `start`."""
    service = start(
        measured, name, {**GENEROUS, **settings}, seed=seed, python=python, fresh=fresh, covered=covered
    )
    try:
        yield service
    finally:
        end(service)


def start(
    measured: Measured,
    name: str,
    settings: Mapping[str, str],
    *,
    seed: Seed | None = None,
    python: Path | None = None,
    fresh: bool = True,
    covered: bool = True,
) -> Service:
    """A server on a copy of the seed; with `fresh=False` on what the last server of that name left behind.

    `covered=False`: its lines do not count, and its end does not wait for them to be written.
    """
    config = seeded(measured, bundled(0, settings), seed=seed, fresh=fresh)
    if python is not None:
        config = replace(config, python=python)
    if not covered:
        config = replace(config, coverage="off")
    target = measured.launch(config, name)
    return Service(target, http_client(target.url))


def end(service: Service) -> None:
    service.close()
    service.target.stop()
    service.http.close()


def limited_python(folder: Path, limit: str) -> Path:
    """An interpreter that runs under a limit of the shell: `-n 256`."""
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / "python"
    script.write_text(f'#!/bin/bash\nulimit {limit}\nexec {shlex.quote(sys.executable)} "$@"\n')
    script.chmod(0o755)
    return script


# What is stored


def ended(service: Service, execution_id: str, within_s: float = PATIENCE_S) -> dict[str, Any]:
    """The row of a run once it is terminal."""

    def look() -> dict[str, Any] | None:
        row = service.run(execution_id)
        return row if row["completed_at"] is not None else None

    row = eventually(look, f"the end of {execution_id}", within_s)
    assert row is not None
    return row


def assert_row(row: dict[str, Any], status: str, code: str | None, text: str | None = None) -> None:
    found = (row["status"], row["error_code"])
    assert found == (status, code), f"{row['id']} is {found}, not {(status, code)}"
    if text is not None:
        stored = row["output_text"] or ""
        assert stored == text, f"{row['id']} holds {stored!r}, not {text!r}"


def assert_whole(frames: list[Frame], first_seq: int = 1) -> None:
    """Numbered without a gap, of one run, with one terminal frame: the last."""
    numbers = [frame.get("seq") for frame in frames]
    assert numbers == list(range(first_seq, first_seq + len(frames))), f"numbered {numbers}"
    assert len({frame["execution_id"] for frame in frames}) == 1, "frames of several runs"
    ends = [frame["type"] for frame in frames if frame["done"]]
    assert ends == [frames[-1]["type"]], f"terminal frames: {ends}, the last: {frames[-1]['type']}"


def descriptors(service: Service) -> int:
    count: int = psutil.Process(service.target.pid).num_fds()
    return count


def peers(service: Service) -> set[int]:
    """The ports of those to whom the process holds a connection."""
    ends = psutil.Process(service.target.pid).net_connections(kind="tcp")
    return {end.raddr.port for end in ends if end.raddr}


def holds(service: Service, client: RawClient) -> bool:
    """Whether the process still has its end of that connection."""
    return client.socket.getsockname()[1] in peers(service)


def resident_bytes(service: Service) -> int:
    size: int = psutil.Process(service.target.pid).memory_info().rss
    return size


# What the provider saw


THE_END: Script = [["finish", "stop"], ["done"]]
LONG_STORY: Script = [["repeat", 2000, [["delta", "word "], ["sleep", 20]]], *THE_END]
"""Goes on for 40 s unless it is stopped."""


@dataclass(frozen=True, slots=True)
class Story:
    """An agent whose answers are a script of its own, and what became of the requests for it."""

    agent: Agent
    name: str
    upstream: Upstream

    def requests(self) -> list[Entry]:
        """All of them so far, once each is over."""
        return self.upstream.ended(self.name, 0)

    def assert_cut_off(self, left_ns: int) -> None:
        """There was one request, and the service ended it soon after this moment.

        That takes some milliseconds. A second is for a machine that has other things to do.
        """
        [request] = self.upstream.ended(self.name, 1)
        assert request["ended"] == "peer", f"the provider's stream ended by {request['ended']}"
        assert request["peer_closed_at_ns"] - left_ns < 1000 * MS * 1e9


def story(service: Service, upstream: Upstream, *scripts: Script) -> Story:
    """A new one; without a script a long one."""
    name = f"story-{next(_stories)}"
    model = upstream.put(name, *(scripts or (LONG_STORY,)))
    return Story(service.agent(model=model), name, upstream)


# How a client leaves


def cut(wire: Any, *, reset: bool) -> None:
    """Ends a connection under its owner's feet, by RST or by FIN."""
    if reset:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    else:
        wire.shutdown(socket.SHUT_WR)


def reset(connection: ClientConnection) -> None:
    """RST: what a crashed client's machine sends."""
    cut(connection.transport.get_extra_info("socket"), reset=True)
    connection.transport.abort()


def hang_up(connection: ClientConnection) -> None:
    """FIN without a close frame: what a killed client's machine sends."""
    connection.transport.abort()


# A client that speaks bytes


class RawClient:
    """A TCP connection to the subject; `receive_buffer` bounds what its kernel takes before it is read."""

    def __init__(self, service: Service, receive_buffer: int | None = None) -> None:
        address = service.target.url.removeprefix("http://")
        self.host = address
        self.socket = socket.socket()
        self.socket.settimeout(PATIENCE_S)
        if receive_buffer is not None:
            # Before connecting, or the window that was promised is larger.
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        name, _, port = address.partition(":")
        self.socket.connect((name, int(port)))

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def request(self, method: str, path: str, person: Person, body: bytes = b"") -> None:
        """Sends a whole request and reads nothing."""
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {self.host}\r\nAuthorization: Bearer {person.token}\r\n"
            f"{LABEL}: {label()}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self.socket.sendall(head.encode() + body)

    def upgrade(self, agent: Agent, person: Person) -> None:
        """Becomes an open stream; of what the server sends only the answer to the handshake is read."""
        self.ask_to_upgrade(agent.id, person)
        assert self.head().startswith(b"HTTP/1.1 101 "), "the handshake was refused"

    def ask_to_upgrade(self, agent_id: str, person: Person) -> None:
        """Sends a handshake and reads nothing."""
        self.socket.sendall(
            f"GET /api/agents/{agent_id}/stream HTTP/1.1\r\nHost: {self.host}\r\n"
            f"Authorization: Bearer {person.token}\r\n{LABEL}: {label()}\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )

    def head(self) -> bytes:
        """Reads to the end of the headers, and not a byte further."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = self.socket.recv(1)
            assert byte, f"the connection ended behind {head!r}"
            head += byte
        return head

    def say(self, **frame: Any) -> None:
        self.send_frame(Opcode.TEXT, json.dumps(frame).encode())

    def send_frame(self, opcode: Opcode, data: bytes) -> None:
        self.socket.sendall(WireFrame(opcode, data).serialize(mask=True))

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event."""

    id: int
    type: str
    frame: Frame


def events(response: httpx2.Response) -> Iterator[Event]:
    """The events of a response that is being read; comments are left out."""
    fields: dict[str, str] = {}
    for line in response.iter_lines():
        name, _, value = line.partition(": ")
        if line and name:
            fields[name] = value
        elif fields:
            frame = json.loads(fields["data"])
            assert fields["event"] == frame["type"]
            assert int(fields["id"]) == frame["seq"]
            yield Event(frame["seq"], frame["type"], frame)
            fields = {}


def quiet(service: Service, look: Callable[[dict[str, float]], bool], what: str) -> dict[str, float]:
    """The metrics once they look like that."""

    def metrics() -> dict[str, float] | None:
        now = service.metrics()
        return now if look(now) else None

    found = eventually(metrics, what)
    assert found is not None
    return found


def write(service: Service, statement: str) -> None:
    """Changes the database from outside, as another process would."""
    engine = create_engine(sync_url(service.target.database_url))
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()
