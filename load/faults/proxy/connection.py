"""One client and its connection to the target, from accept to the end of both."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from load.faults.proxy.asking import Asking
from load.faults.proxy.eventstream import EventStreams
from load.faults.proxy.planter import Planter
from load.faults.proxy.pump import Link, Over, Pump, Sink, Stage, Untouched
from load.faults.proxy.refused import Refused
from load.faults.proxy.shared import Shared
from load.faults.proxy.websocket import WebSocketFrames

BUFFER_BYTES: Final = 16_384
LEAVE_S: Final = 1.0
"""How long a peer may take to answer a FIN."""
LINGER_0: Final = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class End:
    """One of the two sockets."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def of(cls, sock: socket.socket) -> End:
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return cls(*await asyncio.open_connection(sock=sock, limit=BUFFER_BYTES))

    def reset(self) -> None:
        """RST; a Unix socket only knows a plain end."""
        transport = self.writer.transport
        with suppress(OSError):  # it may have ended already
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_0)
        transport.abort()

    async def close(self) -> None:
        """FIN, and a little time to read what still comes: a close with unread bytes would be a RST."""
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(LEAVE_S):
                if self.writer.can_write_eof():
                    self.writer.write_eof()
                while await self.reader.read(BUFFER_BYTES):
                    pass
        self.writer.close()


class Connection:
    """Both directions, each with its stage."""

    def __init__(self, shared: Shared, client: socket.socket) -> None:
        self._shared = shared
        self._client = client
        self.link = Link()
        if shared.plan.mode == "tcp":
            shared.count(self.link)

    async def run(self) -> None:
        """To the end; whatever the peers do, it is no error of the proxy."""
        client = await End.of(self._client)
        try:
            target = await End.of(await self._connected())
        except OSError:
            client.reset()
            return
        how: str | None = "rst"  # if the proxy itself is stopped
        try:
            async with asyncio.TaskGroup() as group:
                for pump in self._pumps(client, target):
                    group.create_task(pump.run())
            how = None
        except* Over as over:
            how = _first(over)
        except* (ConnectionError, Refused, ValueError):
            how = "rst"  # a peer that is gone, or one that speaks another protocol
        finally:
            if how == "rst":
                client.reset()
                target.reset()
            else:
                await asyncio.gather(client.close(), target.close())

    async def _connected(self) -> socket.socket:
        family, address = self._shared.target
        sock = socket.socket(family)
        sock.setblocking(False)
        if self._shared.buffer_bytes is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._shared.buffer_bytes)
        try:
            await asyncio.get_running_loop().sock_connect(sock, address)
        except OSError:
            sock.close()
            raise
        return sock

    def _pumps(self, client: End, target: End) -> tuple[Pump, Pump]:
        shared, link = self._shared, self.link
        network, journal = shared.network, shared.journal
        to_target = Sink(target.writer, network, journal, link, "up")
        to_client = Sink(client.writer, network, journal, link, "down")
        up: Stage = Untouched(to_target)
        down: Stage = Untouched(to_client)
        if shared.plan.mode != "tcp":
            codec = WebSocketFrames() if shared.plan.mode == "ws" else EventStreams()
            up = Asking(to_target, to_client, link, journal, shared.count)
            down = Planter(codec, to_client, link, journal)
        return Pump(client.reader, up, network, link, "up"), Pump(target.reader, down, network, link, "down")


def _first(group: BaseExceptionGroup[Over]) -> str:
    """The group may be nested: each pump has one of its own."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, Over)
    return error.how
