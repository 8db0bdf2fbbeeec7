"""One direction of one connection: bytes in, stamped, delayed, handed to a stage that writes them."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol, TypeAlias

from load.faults.proxy.journal import Journal
from load.faults.proxy.network import Network, Way
from load.faults.proxy.plan import Operation

READ_BYTES: Final = 16_384
QUEUED_READS: Final = 64
"""What a delayed direction holds before its sender is slowed down: at most 1 MiB."""
RATE_STEPS: Final = 20
"""A slowed direction passes so many portions a second."""
SPIN_NS: Final = 1_500_000
"""The event loop wakes up to a millisecond late; the end of a wait is spent looking at the clock."""

How: TypeAlias = Literal["rst", "fin"]


class Over(Exception):
    """The connection is to end like that, on both sides."""

    def __init__(self, how: How) -> None:
        super().__init__(how)
        self.how = how


@dataclass(slots=True)
class Link:
    """What both directions know. number: 0 while the connection is none that is counted. operations: still to
    be planted. left: the client has ended its side."""

    number: int = 0
    operations: list[Operation] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)


class Stage(Protocol):
    """What happens to the bytes of one direction."""

    async def take(self, data: bytes, arrived_ns: int) -> None:
        """Bytes that arrived then."""

    async def end(self) -> None:
        """No more come."""


async def until(due_ns: int) -> None:
    """Waits for a monotonic time, to a tenth of a millisecond."""
    while (left := due_ns - time.monotonic_ns()) > 0:  # noqa: ASYNC110  # a time, not an event
        await asyncio.sleep((left - SPIN_NS) / 1e9 if left > SPIN_NS else 0)


class Sink:
    """Where one direction is written to."""

    def __init__(
        self, writer: asyncio.StreamWriter, network: Network, journal: Journal, link: Link, way: Way
    ) -> None:
        self._writer = writer
        self._network = network
        self._journal = journal
        self._link = link
        self._way: Way = way
        self.passed = 0

    async def write(self, data: bytes) -> None:
        """Raises Over once a `rst after` or `fin after` is reached."""
        network, number = self._network, self._link.number
        await network.lifted("freeze", number, self._way)
        how, room = self._room()
        reached = how is not None and len(data) >= room
        data = data[:room] if reached else data
        if data:
            self._writer.write(data)
            await self._writer.drain()
            self.passed += len(data)
        if how is not None and reached:
            self._journal.write(number, f"{how} after {self.passed} {self._way}")
            raise Over(how)

    def finish(self) -> None:
        """Half of a close: the other direction goes on."""
        if self._writer.can_write_eof() and not self._writer.is_closing():
            self._writer.write_eof()

    def _room(self) -> tuple[How | None, int]:
        kinds: tuple[How, How] = ("rst", "fin")
        for how in kinds:
            amount = self._network.amount(how, self._link.number, self._way)
            if amount is not None:
                return how, max(0, amount - self.passed)
        return None, 0


class Untouched:
    """The stage of bytes that nothing happens to."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    async def take(self, data: bytes, arrived_ns: int) -> None:
        await self._sink.write(data)

    async def end(self) -> None:
        self._sink.finish()


class Pump:
    """Reads as fast as it may, so that what is delayed is delayed from its arrival."""

    def __init__(
        self, source: asyncio.StreamReader, stage: Stage, network: Network, link: Link, way: Way
    ) -> None:
        self._source = source
        self._stage = stage
        self._network = network
        self._link = link
        self._way: Way = way
        self._queue: asyncio.Queue[tuple[bytes, int]] = asyncio.Queue(QUEUED_READS)

    async def run(self) -> None:
        """To the end of this direction. Raises Over, and ConnectionError when the sink is gone."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read())
            group.create_task(self._write())

    async def _read(self) -> None:
        network, way = self._network, self._way
        while True:
            await network.lifted("freeze", self._link.number, way)
            rate = network.amount("rate", self._link.number, way)
            try:
                data = await self._source.read(READ_BYTES if rate is None else max(1, rate // RATE_STEPS))
                reset = False
            except ConnectionError:
                data, reset = b"", True
            arrived_ns = time.monotonic_ns()
            if not data and way == "up":
                self._link.left.set()
            if network.amount("blackhole", self._link.number, way) is not None:
                if data:
                    continue
                await network.lifted("blackhole", self._link.number, way)
            if reset:
                raise Over("rst")
            await self._queue.put((data, arrived_ns))
            if not data:
                return
            # Asked again: the read may have begun before the fault.
            rate = network.amount("rate", self._link.number, way)
            if rate is not None:
                await asyncio.sleep(len(data) / rate)

    async def _write(self) -> None:
        while True:
            data, arrived_ns = await self._queue.get()
            latency_ms = self._network.amount("latency", self._link.number, self._way)
            if latency_ms is not None:
                await until(arrived_ns + latency_ms * 1_000_000)
            if not data:
                await self._stage.end()
                return
            await self._stage.take(data, arrived_ns)
