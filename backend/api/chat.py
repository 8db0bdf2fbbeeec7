"""One message, one answer over HTTP: `POST /api/agents/{id}/chat`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Any, Final, Literal

import orjson
from fastapi import APIRouter, Depends
from pydantic import Field, JsonValue
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from backend import telemetry
from backend.api.answers import not_found, reply
from backend.api.auth import Asking, database_of
from backend.api.body import Schema, invalid, read_json
from backend.api.replay import stored_answer, terminal_frame
from backend.api.sse import EventStream, event
from backend.errors import ErrorCode, Problem
from backend.runs.admission import Repeated
from backend.runs.frames import usage_object
from backend.runs.manager import Runs
from backend.runs.order import Order, Stop
from backend.runs.parts import Parts
from backend.runs.task import RunTask
from backend.storage.executions import get_execution
from backend.storage.models import Transport
from backend.storage.users import Viewer

router = APIRouter()

MAX_METADATA_BYTES: Final = 2048

SessionKey = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
RequestId = Annotated[str, Field(min_length=1, max_length=64)]


class Message(Schema):
    """What a `chat` carries on every transport; `order()` knows the rules that are settings."""

    message: str
    session_id: SessionKey | None = None
    request_id: RequestId | None = None
    action: Annotated[str, Field(max_length=40)] = "chat"
    max_tokens: Annotated[int, Field(ge=1, le=2048)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    metadata: dict[str, JsonValue] | None = None
    on_disconnect: Literal["cancel", "continue"] = "cancel"

    def order(
        self,
        runs: Runs,
        user_id: str,
        agent_id: str,
        transport: Transport,
        *,
        token_id: str | None = None,
    ) -> Order:
        most = runs.settings.message_max_chars
        if not self.message.strip():
            raise invalid("/message", "blank", "must not be blank")  # F2
        if len(self.message) > most:
            raise invalid("/message", "string_too_long", f"must have at most {most} characters")  # F3
        if self.metadata is not None and len(orjson.dumps(self.metadata)) > MAX_METADATA_BYTES:
            raise invalid("/metadata", "too_long", f"must have at most {MAX_METADATA_BYTES} bytes")
        return Order(
            user_id=user_id,
            agent_id=agent_id,
            message=self.message,
            action=self.action,
            transport=transport,
            correlation_id=telemetry.correlation_id(),
            token_id=token_id,
            session_key=self.session_id,
            request_id=self.request_id,
            on_disconnect=self.on_disconnect,
            max_tokens=self.max_tokens,
            temperature=self.temperature,
            metadata=self.metadata,
        )


class ChatRequest(Message):
    stream: bool = False


def runs_of(request: Request) -> Runs:
    """The runs of the application that serves this request."""
    runs: Runs = request.app.state.runs
    return runs


def refuse_if_draining(request: Request) -> None:
    runs_of(request).refuse_if_draining()


class _Waiting:
    """The request that waits for its answer as the controller of its run."""

    def superseded(self) -> None:
        """It goes on waiting: the answer is the same, whoever steers."""


@router.post("/api/agents/{agent_id}/chat", dependencies=[Depends(refuse_if_draining)])
async def chat(request: Request, agent_id: str, viewer: Asking) -> Response:
    runs = runs_of(request)
    body = await read_json(request, ChatRequest)
    transport = Transport.SSE if body.stream else Transport.HTTP
    order = body.order(runs, viewer.user_id, agent_id, transport)
    waiting = _Waiting()
    try:
        run = await runs.start(order, waiting)
    except Repeated as repeated:
        return await _repeated(request, repeated, order, viewer, stream=body.stream)
    try:
        # A stream begins with `started`: a run that ends without it is answered by an ordinary problem.
        await _unless_left(request, partial(run.log.wait_beyond, 0) if body.stream else run.ended.wait)
        if body.stream and run.log.last_seq > int(run.log.closed):
            stream = EventStream(runs, run, 0, controls=True)
            run.control.take(stream)
            return stream
    finally:
        runs.release(run, waiting, Stop.DISCONNECTED)
    return answer_of(run)


async def _unless_left(request: Request, work: Callable[[], Awaitable[object]]) -> None:
    """Waits for the work; raises ClientDisconnect when the client does not."""
    left = False

    async def watch() -> None:
        nonlocal left
        while (await request.receive())["type"] != "http.disconnect":
            pass
        left = True
        parts.end()

    async with Parts() as parts:
        parts.start(watch)
        await parts.do(work)
        parts.end()
    if left:
        raise ClientDisconnect  # C10


def answer_of(run: RunTask) -> Response:
    """The 200 of a run that has ended, or the problem it ended with."""
    outcome, record = run.outcome, run.record
    assert outcome is not None
    if outcome.problem is not None:
        raise told(outcome.problem, run)
    times = record.times
    content: dict[str, Any] = {
        "response": record.text,
        "session_id": record.admitted.session_key,
        "execution_id": run.execution_id,
        "request_id": run.order.request_id,
        "agent_id": run.order.agent_id,
        "finish_reason": outcome.finish_reason,
        "usage": usage_object(outcome.usage),
        "provider": record.provider.name if record.provider else None,
        "model": record.admitted.agent.model,
        "first_token_ms": times.first_token_ms,
        "duration_ms": times.duration_ms,
        "replayed": False,
    }
    return reply(content)


def told(problem: Problem, run: RunTask) -> Problem:
    """The problem a run ended with, with the run's id and what was said before."""
    code = ErrorCode.CANCELLED if problem.status is None else problem.code
    answer = Problem(
        code,
        problem.detail,
        retry_after_ms=problem.retry_after_ms,
        execution_id=run.execution_id,
        partial=run.record.text or None,
    )
    answer.members |= problem.members
    return answer


async def _repeated(
    request: Request, repeated: Repeated, order: Order, viewer: Viewer, *, stream: bool
) -> Response:
    """What became of the earlier run of this `request_id`."""
    earlier = repeated.earlier
    if earlier.request_hash != order.fingerprint():
        raise Problem(ErrorCode.IDEMPOTENCY_MISMATCH)  # L12
    if not earlier.status.terminal:
        raise Problem(ErrorCode.REQUEST_IN_PROGRESS, execution_id=earlier.execution_id)  # L12
    runs = runs_of(request)
    kept = runs.find(earlier.execution_id) if stream else None
    if kept is not None:
        return EventStream(runs, kept, 0)
    row = await database_of(request).read(
        lambda connection: get_execution(viewer, connection, earlier.execution_id)
    )
    if row is None:
        raise not_found()
    if stream:
        frame = terminal_frame(row, telemetry.correlation_id())
        return Response(event(row.last_seq, frame), media_type="text/event-stream")  # L12
    return stored_answer(row)  # L12
