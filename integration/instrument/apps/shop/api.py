import asyncio
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]


async def app(
    scope: Message,
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    status, body = await answer(scope["path"])
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def answer(path: str) -> tuple[int, bytes]:
    if path == "/hold":
        return await hold()
    if path == "/cancel":
        return await cancel()
    if path == "/environment":
        return 200, "\n".join(sorted(os.environ)).encode()
    return (200, b"ok") if path == "/ready" else (404, b"nothing")


async def hold() -> tuple[int, bytes]:
    print("holding", flush=True)  # noqa: T201
    try:
        await asyncio.sleep(3600)
    finally:
        held = "let go"  # the line of a shutdown
    return 200, held.encode()


async def cancel() -> tuple[int, bytes]:
    await end(asyncio.create_task(asyncio.sleep(3600)))
    after = b"cancelled"
    return 200, after


async def end(task: asyncio.Task[None]) -> None:
    await asyncio.sleep(0)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        ended = True
    assert ended


def make() -> Any:
    return app


def never() -> int:
    return 1
