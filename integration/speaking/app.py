from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse

TRANSCRIPTS = Path(__file__).parents[1] / "instrument" / "transcripts"
GAP_S = 0.01
ENDS = {"text/event-stream": b"\n\n", "application/x-ndjson": b"\n", "text/plain": b" "}
KINDS = {"json-lines": "application/x-ndjson", "text": "text/plain"}

app = FastAPI()


def pieces(name: str, end: bytes) -> list[bytes]:
    """The transcript, a message each, every one with what ends it."""
    transcript = (TRANSCRIPTS / f"{name}.txt").read_bytes()
    parts = transcript.split(end)
    return [part + end for part in parts[:-1]] + [part for part in parts[-1:] if part]


@app.post("/{name}")
async def answer(name: str) -> StreamingResponse:
    kind = KINDS.get(name, "text/event-stream")

    async def paced() -> AsyncIterator[bytes]:
        for piece in pieces(name, ENDS[kind]):
            yield piece
            await asyncio.sleep(GAP_S)

    return StreamingResponse(paced(), media_type=kind)


@app.websocket("/{name}")
async def live(socket: WebSocket, name: str) -> None:
    await socket.accept()
    try:
        while True:
            await socket.receive_text()
            for piece in pieces(name, b"\n"):
                await socket.send_text(piece.decode().strip())
                await asyncio.sleep(GAP_S)
    except WebSocketDisconnect:
        return
