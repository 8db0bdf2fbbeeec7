"""Carries out the operations of one connection on the frames that come down to its client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from load.faults.proxy.journal import Journal
from load.faults.proxy.plan import ERROR_CODE, Operation
from load.faults.proxy.pump import Link, Over, Sink, until
from load.faults.proxy.units import BAD_JSON, BAD_UTF8, Codec, Unit, corrupted, encoded, error_of, segments

MS: Final = 1_000_000
SEGMENT_PAUSE_S: Final = 0.002
"""Between the parts of a split frame: the client reads each by itself, if it is not very busy."""
CUT_PAUSE_S: Final = 0.005
"""Before a RST, which may overtake what the client has not read yet."""
LEAVE_S: Final = 1.0
"""How long a client may take to answer a close frame."""
INTERNAL_ERROR: Final = 1011


class Planter:
    """The stage of a direction with frames. An operation waits for the first stream of its connection that
    has its chunk; what was held back for a chunk that never came is let go before the stream's end."""

    def __init__(self, codec: Codec, sink: Sink, link: Link, journal: Journal) -> None:
        self._codec = codec
        self._sink = sink
        self._link = link
        self._journal = journal
        self._out = b""
        self._has_chunk = False
        self._chunk_out_ns: int | None = None
        self._frames = self._stream = self._chunks = 0
        self._last: Mapping[str, Any] = {}
        self._grown_ns = 0
        self._swapped: tuple[Operation, int, list[bytes]] | None = None
        self._late: tuple[Operation, int, list[bytes]] | None = None
        self._group: tuple[Operation, int] | None = None
        self._muted = False

    async def take(self, data: bytes, arrived_ns: int) -> None:
        for unit in self._codec.units(data):
            if unit.kind != "raw":
                self._frames += 1
            if not self._muted:
                await self._unit(unit, arrived_ns)
        if self._group is None:
            await self._flush()

    async def end(self) -> None:
        if self._muted:
            await self._link.left.wait()
        else:
            self._let_go()
            self._out += self._codec.rest()
            await self._flush()
        self._sink.finish()

    async def _unit(self, unit: Unit, arrived_ns: int) -> None:
        if unit.kind == "chunk":
            await self._chunk(unit, arrived_ns)
        elif unit.kind == "terminal":
            self._terminal(unit)
        elif unit.kind == "close":
            self._close(unit)
        elif unit.kind == "raw":
            self._out += unit.raw
        else:
            if unit.kind == "begin":
                self._begin()
            self._emit(unit.raw)

    def _begin(self) -> None:
        self._stream += 1
        self._chunks = self._grown_ns = 0
        self._chunk_out_ns = None

    async def _chunk(self, unit: Unit, arrived_ns: int) -> None:
        self._chunks += 1
        self._last = unit.fields
        await self._wait(arrived_ns)
        frames, swapped = [unit.raw], self._swapped
        behind: list[Operation] = []
        for operation in [one for one in self._link.operations if one.chunk == self._chunks]:
            match operation.kind:
                case "drop":
                    frames = []
                case "duplicate":
                    frames *= 2
                case "corrupt":
                    changed = corrupted(unit.fields)
                    frames = [self._codec.frame(encoded(changed), changed)]
                case "reorder":
                    self._swapped, frames = (operation, self._chunks, frames), []
                    continue
                case "late":
                    self._late, frames = (operation, self._chunks, frames), []
                    continue
                case "coalesce":
                    await self._flush()
                    self._group = (operation, self._chunks)
                    continue
                case "split":
                    await self._split(frames, operation.amount)
                    frames = []
                case _:
                    behind.append(operation)
                    continue
            self._note(operation)
        for frame in frames:
            self._emit(frame, chunk=True)
        if swapped is not None:
            self._swapped = None
            self._note(swapped[0], swapped[1])
            for frame in swapped[2]:
                self._emit(frame, chunk=True)
        await self._full_group()
        for operation in behind:
            await self._behind(operation)

    async def _wait(self, arrived_ns: int) -> None:
        """Whatever makes this chunk later than it was."""
        for operation in list(self._link.operations):
            if operation.kind == "grow":
                if self._chunks == 1:
                    self._note(operation, keep=True)
                self._grown_ns += self._chunks * operation.amount * MS
                await self._flush()
                await until(arrived_ns + self._grown_ns)
            elif operation.holds_back == self._chunks:
                await self._flush()
                self._note(operation)
                since = arrived_ns if self._chunk_out_ns is None else self._chunk_out_ns
                await until(since + operation.amount * MS)

    async def _full_group(self) -> None:
        if self._group is not None:
            operation, first = self._group
            if self._chunks - first + 1 == operation.amount:
                self._group = None
                self._note(operation, first)
                await self._flush()

    async def _split(self, frames: list[bytes], count: int) -> None:
        for frame in frames:
            for segment in segments(frame, count):
                await self._flush()
                await asyncio.sleep(SEGMENT_PAUSE_S)
                self._emit(segment, chunk=True)

    async def _behind(self, operation: Operation) -> None:
        """What follows its chunk."""
        await self._flush()
        if operation.kind == "cut":
            await asyncio.sleep(CUT_PAUSE_S)
            self._note(operation)
            raise Over("rst" if operation.what == "rst" else "fin")
        if operation.kind == "close":
            self._note(operation)
            await self._leave(operation.amount)
        elif operation.kind == "mute":
            self._note(operation)
            self._muted = True
        elif operation.kind == "inject":
            self._note(operation)
            await self._inject(operation.what)

    async def _inject(self, what: str) -> None:
        codec = self._codec
        if what == "error":
            error = error_of(self._last, ERROR_CODE)
            self._emit(codec.frame(encoded(error), error))
            # The service still streams: only on a connection of its own can the client go on.
            await self._leave(INTERNAL_ERROR)
        elif what in ("ping", "comment"):
            self._emit(codec.sign)
        else:
            self._emit(codec.frame(BAD_JSON if what == "badjson" else BAD_UTF8, {}))

    async def _leave(self, code: int) -> None:
        """Ends what the client sees; it gets the time to answer."""
        self._out += self._codec.ending(code)
        await self._flush()
        self._muted = True
        with suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_S):
                await self._link.left.wait()
        raise Over("fin")

    def _terminal(self, unit: Unit) -> None:
        self._let_go()
        self._link.operations[:] = [
            one for one in self._link.operations if one.kind != "grow" or not self._grown_ns
        ]
        self._emit(unit.raw)
        if self._late is not None:
            operation, chunk, frames = self._late
            self._late = None
            self._note(operation, chunk)
            for frame in frames:
                self._emit(frame)

    def _close(self, unit: Unit) -> None:
        raw = unit.raw
        for operation in self._link.operations:
            if operation.kind == "recode" and operation.amount == unit.code:
                raw = self._codec.ending(operation.other)
                self._note(operation, 0)
                break
        self._emit(raw)

    def _let_go(self) -> None:
        """Of what was held back for a chunk that does not come."""
        if self._swapped is not None:
            for frame in self._swapped[2]:
                self._emit(frame, chunk=True)
        self._swapped = self._group = None

    def _note(self, operation: Operation, chunk: int | None = None, *, keep: bool = False) -> None:
        if not keep:
            self._link.operations.remove(operation)
        self._journal.write(
            self._link.number,
            str(operation),
            stream=0 if operation.kind == "recode" else self._stream,
            chunk=self._chunks if chunk is None else chunk,
            frame=self._frames,
            execution_id=self._last.get("execution_id"),
        )

    def _emit(self, raw: bytes, *, chunk: bool = False) -> None:
        self._out += self._codec.wrap(raw)
        self._has_chunk = self._has_chunk or chunk

    async def _flush(self) -> None:
        if self._out:
            out, self._out = self._out, b""
            await self._sink.write(out)
            if self._has_chunk:
                self._has_chunk = False
                self._chunk_out_ns = time.monotonic_ns()
