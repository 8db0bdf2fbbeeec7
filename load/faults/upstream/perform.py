"""Carries a script out on one connection, and keeps the journal's entry of it."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import struct
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

from load.faults.upstream import wire
from load.faults.upstream.journal import Entry
from load.faults.upstream.script import Operation

STALL_S: Final = 600.0
"""Even a stall ends, should the peer never leave."""

IN_A_ROW: Final = 16
"""So many writes without a wait."""


class PeerLeft(Exception):
    """The other side closed the connection before the script was over."""


class Peer:
    """The other side of one request: still there, or gone."""

    def __init__(self) -> None:
        self.left = False
        self._waiter: asyncio.Future[None] | None = None

    def leave(self) -> None:
        self.left = True
        self._wake()

    async def left_within(self, delay_s: float) -> bool:
        """Waits so long at the most; by a future and a timer, since a scope for each chunk costs far more."""
        if not self.left:
            loop = asyncio.get_running_loop()
            self._waiter = loop.create_future()
            timer = loop.call_later(delay_s, self._wake)
            try:
                await self._waiter
            finally:
                timer.cancel()
        return self.left

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Performance:
    """One answer, streamed. `keep` says afterwards whether the connection can take another request."""

    def __init__(self, writer: asyncio.StreamWriter, entry: Entry, peer: Peer) -> None:
        self.keep = True
        self._writer = writer
        self._entry = entry
        self._peer = peer
        self._opened = False
        self._whole = False
        self._split = 0
        self._in_a_row = 0
        self._bytes_per_s = 0.0
        self._common = {
            "id": f"chatcmpl-{entry.received_at_ns}",
            "created": int(time.time()),
            "model": entry.model,
        }

    async def play(self, operations: Iterable[Operation]) -> None:
        """Raises `PeerLeft`."""
        try:
            for name, *arguments in operations:
                await self._do(str(name), arguments)
                if not self.keep:
                    return
            if not self._whole:
                await self._end_body()
            self._entry.end("done", time.monotonic_ns())
        except ConnectionError as error:
            raise PeerLeft from error

    async def _do(self, name: str, arguments: list[Any]) -> None:
        match name, arguments:
            case (("accept_delay" | "sleep"), [delay_ms]):
                await self._wait(delay_ms / 1000)
            case "status", [status, headers, body]:
                self._whole = True
                await self._write(wire.answer(status, body, headers))
            case "sse_open", [headers]:
                await self._open(headers)
            case "delta", [text]:
                written_ns = time.monotonic_ns()
                await self._event(self._chunk({"content": text}))
                self._entry.delta(text, written_ns)
            case "role", []:
                await self._event(self._chunk({"role": "assistant", "content": ""}))
            case "finish", [reason]:
                await self._event(self._chunk({}, reason))
                self._entry.finished = True
            case "usage", [prompt, completion]:
                counts = {"prompt_tokens": prompt, "completion_tokens": completion}
                await self._event(
                    self._chunk(None) | {"usage": counts | {"total_tokens": prompt + completion}}
                )
            case "done", []:
                await self._body(b"data: [DONE]\n\n")
            case "comment", []:
                await self._body(b": keep-alive\n\n")
            case "error_event", [error]:
                await self._event({"error": error})
            case "raw", [encoded]:
                await self._body(base64.b64decode(encoded))
            case "chunk_split", [size]:
                self._split = size
            case "rate", [bytes_per_s]:
                self._bytes_per_s = bytes_per_s
            case "stall", []:
                await self._wait(STALL_S)
            case "half_close", []:
                self._writer.write_eof()
                await self._wait(STALL_S)
                self._leave("fin")
            case "fin", []:
                await self._end_body()
                self._leave("fin")
            case "truncate", []:
                self._leave("fin")
            case "rst", []:
                self._reset()

    def _chunk(self, delta: Mapping[str, object] | None, finish: str | None = None) -> dict[str, object]:
        choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
        return {**self._common, "object": "chat.completion.chunk", "choices": choices}

    async def _event(self, content: Mapping[str, object]) -> None:
        encoded = json.dumps(content, ensure_ascii=False).encode("utf-8", "surrogatepass")
        await self._body(b"data: " + encoded + b"\n\n")

    async def _open(self, headers: Mapping[str, object]) -> None:
        self._opened = True
        standard = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
        await self._write(wire.head(200, {**standard, **headers, "Transfer-Encoding": "chunked"}))

    async def _body(self, data: bytes) -> None:
        """In chunks of at most `chunk_split` bytes, each written by itself."""
        if not self._opened:
            await self._open({})
        step = self._split or len(data)
        for start in range(0, len(data), step or 1):
            piece = data[start : start + step]
            await self._write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            if self._bytes_per_s:
                await self._wait(len(piece) / self._bytes_per_s)

    async def _end_body(self) -> None:
        if not self._opened:
            await self._open({})
        await self._write(b"0\r\n\r\n")

    async def _write(self, data: bytes) -> None:
        if self._peer.left:
            raise PeerLeft
        self._writer.write(data)
        self._entry.bytes += len(data)
        await self._writer.drain()
        self._in_a_row += 1
        if self._in_a_row == IN_A_ROW:
            # The loop gets a turn in between: the peer's end must be seen in a flood, too.
            self._in_a_row = 0
            await asyncio.sleep(0)

    async def _wait(self, delay_s: float) -> None:
        """Not beyond the moment the peer leaves."""
        self._in_a_row = 0
        if await self._peer.left_within(delay_s):
            raise PeerLeft

    def _leave(self, how: str) -> None:
        self.keep = False
        self._entry.end(how, time.monotonic_ns())
        self._writer.close()

    def _reset(self) -> None:
        wire_socket = self._writer.get_extra_info("socket")
        wire_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.keep = False
        self._entry.end("rst", time.monotonic_ns())
        self._writer.transport.abort()


class Whole(Performance):
    """The same script for who did not ask for a stream: one answer at its end, in the same time."""

    def __init__(self, writer: asyncio.StreamWriter, entry: Entry, peer: Peer) -> None:
        super().__init__(writer, entry, peer)
        self._text: list[str] = []
        self._finish: str | None = None
        self._more: dict[str, object] = {}

    async def _event(self, content: Mapping[str, Any]) -> None:
        if "error" in content:
            self._whole = True
            await self._write(wire.answer(500, content, {"Connection": "close"}))  # such scripts end so
            return
        for choice in content["choices"]:
            self._text.append(choice["delta"].get("content", ""))
            self._finish = choice["finish_reason"]
        if "usage" in content:
            self._more["usage"] = content["usage"]

    async def _open(self, headers: Mapping[str, object]) -> None:
        """Nothing is sent before the end."""

    async def _body(self, data: bytes) -> None:
        """Comments, markers and raw bytes belong to streams."""

    async def _end_body(self) -> None:
        if self._whole:
            return
        message = {"role": "assistant", "content": "".join(self._text), "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self._finish}
        whole = {**self._common, "object": "chat.completion", "choices": [choice], **self._more}
        await self._write(wire.answer(200, whole))
