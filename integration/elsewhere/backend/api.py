"""The service: login and refresh, answers over server-sent events and over a WebSocket."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Header, HTTPException, WebSocket, WebSocketDisconnect
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from backend import database, model, tokens


class Login(BaseModel):
    name: str
    password: str


class Refresh(BaseModel):
    refresh: str


class Question(BaseModel):
    question: str = Field(min_length=1)
    model: str
    thread: str | None = None


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.model = model.client()
    yield
    await app.state.model.close()


app = FastAPI(lifespan=lifespan)


@app.get("/up")
def up() -> dict[str, str]:
    return {"status": "up"}


@app.post("/auth/login")
def login(asked: Login) -> dict[str, Any]:
    with database.connect() as connection:
        found = connection.execute("select password from people where name = ?", (asked.name,)).fetchone()
    if found is None or found[0] != asked.password:
        raise HTTPException(401, "who are you?")
    return pair(asked.name)


@app.post("/auth/refresh")
def refresh(asked: Refresh) -> dict[str, Any]:
    person = tokens.person_of(asked.refresh, "refresh")
    if person is None:
        raise HTTPException(401, "log in again")
    return pair(person)


def pair(person: str) -> dict[str, Any]:
    return {
        "access": tokens.issue(person, "access"),
        "refresh": tokens.issue(person, "refresh"),
        "seconds": tokens.LIFETIME_S["access"],
    }


@app.post("/v2/answers")
async def answer(asked: Question, authorization: str = Header("")) -> StreamingResponse:
    person = tokens.person_of(authorization.removeprefix("Bearer "), "access")
    if person is None:
        raise HTTPException(401, "log in again")

    async def events() -> AsyncIterator[str]:
        async for frame in frames(person, asked):
            yield f"event: {frame.pop('op')}\ndata: {json.dumps(frame)}\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")


@app.websocket("/v2/live")
async def live(socket: WebSocket) -> None:
    person = tokens.person_of(socket.query_params.get("ticket", ""), "access")
    if person is None:
        await socket.close(4001, "log in again")
        return
    await socket.accept()
    try:
        while True:
            asked = await socket.receive_json()
            if asked.get("op") == "ask":
                async for frame in frames(person, Question(**asked["about"])):
                    await socket.send_json(frame)
            else:
                await socket.send_json({"op": "huh"})
    except WebSocketDisconnect:
        return


async def frames(person: str, asked: Question) -> AsyncIterator[dict[str, Any]]:
    """One answer: `hello`, `tok` after `tok`, `end` or `sorry`; numbered from 0."""
    answer_id, said, outcome = uuid.uuid4().hex, list[str](), "left"
    yield {"op": "hello", "no": 0, "answer": answer_id}
    try:
        async for word in model.words(app.state.model, asked.model, asked.question):
            said.append(word)
            yield {"op": "tok", "no": len(said), "t": word}
        outcome = "given"
        yield {"op": "end", "no": len(said) + 1, "answer": answer_id, "whole": "".join(said)}
    except model.Trouble as trouble:
        outcome = trouble.kind
        yield {"op": "sorry", "no": len(said) + 1, "answer": answer_id, "kind": trouble.kind}
    finally:
        text = "".join(said)
        await run_in_threadpool(database.store, answer_id, person, asked.question, text, outcome, len(said))
