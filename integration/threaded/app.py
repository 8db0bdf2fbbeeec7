from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from queue import Queue
from typing import Any

from fastapi import BackgroundTasks, FastAPI, HTTPException
from fastapi.responses import JSONResponse, Response, StreamingResponse

PACE_S = 0.01
LIMIT_S = 0.5

audits: Queue[str | None] = Queue()
press = threading.Lock()


class OutOfPaper(Exception):
    code = "out_of_paper"


def audit() -> None:
    """Written down by one thread for all, started before the first request."""
    while (model := audits.get()) is not None:
        try:
            if model == "unaudited":
                raise KeyError(model)
        except KeyError:
            continue


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    worker = threading.Thread(target=audit)
    worker.start()
    yield
    audits.put(None)
    worker.join()


app = FastAPI(lifespan=lifespan)


def words(model: str) -> Iterator[str]:
    try:
        for number in range(5):
            time.sleep(PACE_S)
            if model == "short" and number == 3:
                raise OutOfPaper
            yield chunk({"choices": [{"delta": {"content": f"word{number} "}}]})
    except OutOfPaper as error:
        yield chunk({"error": {"code": error.code, "message": "out of paper"}})
    else:
        yield chunk({"choices": [{"delta": {}, "finish_reason": "stop"}]})
    finally:
        audits.put(model)
    yield "data: [DONE]\n\n"


def chunk(value: object) -> str:
    return f"data: {json.dumps(value)}\n\n"


def bill(model: str) -> None:
    """After the answer, in a thread of the pool."""
    try:
        if model == "unbilled":
            raise PermissionError(model)
    except PermissionError:
        return


@app.post("/v1/chat/completions")
def complete(body: dict[str, Any], after: BackgroundTasks) -> Response:
    model = str(body["model"])
    if model == "missing":
        raise HTTPException(404, "no such model")
    after.add_task(bill, model)
    return StreamingResponse(words(model), media_type="text/event-stream", background=after)


@app.post("/print")
def print_once() -> Response:
    """One at a time."""
    if not press.acquire(blocking=False):
        return JSONResponse({}, status_code=409)
    try:
        time.sleep(PACE_S)
    finally:
        press.release()
    return JSONResponse({})


@app.get("/stuck")
async def stuck() -> Response:
    try:
        async with asyncio.timeout(LIMIT_S):
            await asyncio.sleep(60)
    except TimeoutError:
        return JSONResponse({}, status_code=504)
    return JSONResponse({})


@app.get("/patient")
async def patient() -> Response:
    async with asyncio.timeout(LIMIT_S):
        await asyncio.sleep(0)
    return JSONResponse({})


@app.get("/up")
async def up() -> dict[str, str]:
    return {}
