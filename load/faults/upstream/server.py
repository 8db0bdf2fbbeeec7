"""Connections of the provider: requests in turn, each with its script, while the peer's end is watched."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Iterable
from contextlib import suppress
from urllib.parse import parse_qs, unquote

from load.faults.upstream import script, sim, wire
from load.faults.upstream.journal import Entry, Journal
from load.faults.upstream.perform import PeerLeft, Performance
from load.faults.upstream.script import Operation, Script

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
                model = {"id": "sim:", "object": "model", "created": 0, "owned_by": "streamgauge"}
                return wire.answer(200, {"object": "list", "data": [model]})
            case "GET", "/__admin/journal":
                wanted = parse_qs(request.query).get("id", [None])[0]
                return wire.answer(200, self._journal.told(wanted))
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

    async def _complete(
        self, request: wire.Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bytes | None:
        try:
            body = json.loads(request.body)
            model, key = str(body["model"]), _key(request)
            name, operations = self._script(model, key, body)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            writer.write(wire.answer(400, _error(str(error) or "not a request")))
            await writer.drain()
            return b""
        entry = Entry(
            name,
            model,
            key[-4:] if key else None,
            request.headers.get("x-correlation-id"),
            hashlib.sha256(request.body).hexdigest(),
            time.monotonic_ns(),
        )
        self._journal.begin(entry)
        peer = asyncio.Event()
        performance = Performance(writer, entry, peer)
        watch = asyncio.create_task(_watch(reader, entry, peer))
        try:
            await performance.play(operations)
        except PeerLeft:
            entry.end("peer", time.monotonic_ns())
        finally:
            watch.cancel()
            await asyncio.wait([watch])
            self._journal.finish(entry)
        if not performance.keep or peer.is_set():
            return None
        return b"" if watch.cancelled() else watch.result()

    def _script(
        self, model: str, key: str | None, body: dict[str, object]
    ) -> tuple[str, Iterable[Operation]]:
        name = model.removeprefix("script:") if model.startswith("script:") else None
        if key is not None and key.startswith("sk-script-"):
            name = key.removeprefix("sk-script-")
        if name is not None:
            entries = self._scripts[name]
            asked = self._asked[name]
            self._asked[name] = asked + 1
            return name, script.flattened(entries[min(asked, len(entries) - 1)])
        if not sim.bare(model).startswith("sim:"):
            raise ValueError("neither sim: nor script:")
        once = sim.parsed(model).once
        seen = once and model in self._asked
        if once:
            self._asked[model] = 1
        said = [str(one["content"]) for one in body["messages"]]  # type: ignore[attr-defined]
        limit = body.get("max_tokens")
        prompt_tokens = -(-sum(map(len, said)) // 4)
        most = limit if isinstance(limit, int) else None
        return model, script.flattened(sim.script_of(model, said[-1], prompt_tokens, most, seen=seen))


async def _watch(reader: asyncio.StreamReader, entry: Entry, peer: asyncio.Event) -> bytes:
    """The first byte of the next request, or nothing once the peer has left."""
    ahead = b""
    with suppress(ConnectionError):  # a reset is an end as any other
        ahead = await reader.read(1)
    if not ahead:
        entry.peer_closed_at_ns = time.monotonic_ns()
        peer.set()
    return ahead


def _key(request: wire.Request) -> str | None:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return key if scheme.lower() == "bearer" and key else None


def _error(message: str) -> dict[str, object]:
    return {"error": {"message": message, "type": "invalid_request_error", "code": None}}
