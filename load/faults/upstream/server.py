"""Connections of the provider: requests in turn, each with its script, while the peer's end is watched."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from urllib.parse import parse_qs, unquote

from load.faults.upstream import script, sim, wire
from load.faults.upstream.journal import PAGE, Entry, Journal
from load.faults.upstream.perform import Peer, PeerLeft, Performance, Whole
from load.faults.upstream.script import Operation, Script
from load.faults.upstream.wanted import Wanted, wanted

SCRIPTS = "/__admin/scripts/"


class Upstream:
    def __init__(self) -> None:
        self._journal = Journal()
        self._scripts: dict[str, tuple[Script, ...]] = {}
        self._asked: dict[str, int] = {}
        """Requests of each script since it was stored, and of each `once-` model."""
        self._writers: set[asyncio.StreamWriter] = set()

    def abort(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            ahead: bytes | None = b""
            while ahead is not None and (request := await wire.read_request(reader, ahead)):
                ahead = await self._answer(request, reader, writer)
        except wire.BadRequest as error:
            writer.write(wire.answer(400, _error(str(error)), {"Connection": "close"}))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the peer is gone; there is nobody to tell
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _answer(
        self, request: wire.Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bytes | None:
        """What was read of the next request; None if the connection takes no other."""
        if (request.method, request.path) == ("POST", "/v1/chat/completions"):
            return await self._complete(request, reader, writer)
        writer.write(self._admin(request))
        await writer.drain()
        return b""

    def _admin(self, request: wire.Request) -> bytes:
        match request.method, request.path:
            case "GET", "/v1/models":
                names = ["sim:", *(f"script:{name}" for name in self._scripts)]
                return wire.answer(200, {"object": "list", "data": [_model(name) for name in names]})
            case "GET", "/__admin/journal":
                return self._told(parse_qs(request.query))
            case "GET", "/__admin/stats":
                return wire.answer(200, self._journal.stats())
            case "PUT", path if path.startswith(SCRIPTS) and len(path) > len(SCRIPTS):
                try:
                    entries = script.checked(json.loads(request.body))
                except ValueError as error:
                    return wire.answer(422, _error(str(error)))
                name = unquote(path.removeprefix(SCRIPTS))
                self._scripts[name] = entries
                self._asked[name] = 0
                return wire.answer(200, {"id": name, "entries": len(entries)})
        return wire.answer(404, _error("no such path"))

    def _told(self, query: Mapping[str, list[str]]) -> bytes:
        try:
            after, limit = (int(query[name][0]) if name in query else None for name in ("after", "limit"))
        except ValueError:
            return wire.answer(422, _error("after and limit are numbers"))
        if after is None:
            return wire.answer(200, self._journal.told(query.get("id", [None])[0]))
        return wire.answer(200, self._journal.page(after, PAGE if limit is None else limit))

    async def _complete(
        self, request: wire.Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bytes | None:
        received_ns = time.monotonic_ns()
        try:
            asked, key = wanted(request.body), _key(request)
            name, operations = self._script(asked, key)
        except (ValueError, KeyError) as error:
            writer.write(_not_played(error))
            await writer.drain()
            return b""
        entry = Entry(
            name,
            asked.model,
            asked.word,
            key[-4:] if key else None,
            request.headers.get("x-correlation-id"),
            hashlib.sha256(request.body).hexdigest(),
            received_ns,
        )
        self._journal.begin(entry)
        peer = Peer()
        performance = (Performance if asked.stream else Whole)(writer, entry, peer)
        watch = asyncio.create_task(_watch(reader, entry, peer))
        try:
            await performance.play(operations)
        except PeerLeft:
            left_ns = time.monotonic_ns()
            entry.end("peer", left_ns)
            # A write may notice it before a read does.
            entry.peer_closed_at_ns = entry.peer_closed_at_ns or left_ns
        finally:
            watch.cancel()
            await asyncio.wait([watch])
            self._journal.finish(entry)
        if not performance.keep or peer.left:
            return None
        return b"" if watch.cancelled() else watch.result()

    def _script(self, asked: Wanted, key: str | None) -> tuple[str, Iterable[Operation]]:
        """Its name and operations. Raises `KeyError` for an unknown model, `ValueError` for a bad one."""
        model = asked.model
        name = model.removeprefix("script:") if model.startswith("script:") else None
        if key is not None and key.startswith("sk-script-"):
            name = key.removeprefix("sk-script-")
        if name is not None:
            entries = self._scripts[name]
            before = self._asked[name]
            self._asked[name] = before + 1
            return name, script.flattened(entries[min(before, len(entries) - 1)])
        if not sim.bare(model).startswith("sim:"):
            raise KeyError(model)
        once = sim.parsed(model).once
        seen = once and model in self._asked
        if once:
            self._asked[model] = 1
        return model, script.flattened(sim.script_of(asked, seen=seen))


def _not_played(error: ValueError | KeyError) -> bytes:
    """The refusal of a request that no script answers."""
    if isinstance(error, KeyError):
        return wire.answer(404, _error(f"The model {error} does not exist", "model_not_found"))
    return wire.answer(400, _error(str(error)))


async def _watch(reader: asyncio.StreamReader, entry: Entry, peer: Peer) -> bytes:
    """The first byte of the next request, or nothing once the peer has left."""
    ahead = b""
    with suppress(ConnectionError):  # a reset is an end as any other
        ahead = await reader.read(1)
    if not ahead:
        entry.peer_closed_at_ns = time.monotonic_ns()
        peer.leave()
    return ahead


def _model(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "streamgauge"}


def _key(request: wire.Request) -> str | None:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return key if scheme.lower() == "bearer" and key else None


def _error(message: str, code: str | None = None) -> dict[str, object]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}
