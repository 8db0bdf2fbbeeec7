"""backend/api/socket.py: what one accepted WebSocket hands to its server, and for how long."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import pytest
from starlette.types import Message
from starlette.websockets import WebSocket

from backend.api.socket import Gone, Socket
from backend.runs.subscriber import SlowConsumer

pytestmark = pytest.mark.anyio

LIMIT_S = 1000.0
Send = Callable[[Message], Awaitable[None]]


async def accepted(
    send: Send, *, limit_s: float = LIMIT_S, abort: Callable[[], None] | None = None
) -> Socket:
    """One whose client says nothing, and leaves as soon as somebody listens.

    send: takes what comes behind the handshake.
    """
    says: list[Message] = [{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1001}]

    async def receive() -> Message:
        return says.pop(0)

    async def send_on(message: Message) -> None:
        if message["type"] != "websocket.accept":
            await send(message)

    websocket = WebSocket({"type": "websocket", "state": {"abort": abort}}, receive, send_on)
    await websocket.accept()
    return Socket(websocket, limit_s)


async def test_nothing_is_sent_to_a_client_that_has_left() -> None:
    """Whoever still has a frame for it is told; the server never sees that frame."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    socket = await accepted(send)
    with pytest.raises(Gone):
        await socket.receive()
    with pytest.raises(Gone):
        await socket.send(type="pong")
    await socket.close(1012)

    assert sent == []


async def test_a_frame_that_finds_no_client_is_told() -> None:
    """The server knows first; from then on the socket is closed."""

    async def send(message: Message) -> None:
        raise OSError

    socket = await accepted(send)
    with pytest.raises(Gone):
        await socket.send(type="pong")

    assert socket.closed


@pytest.mark.parametrize("kind", ["frame", "close"])
async def test_each_send_has_the_limit_that_was_set(kind: str) -> None:
    """The deadline that the server sends under lies one limit ahead, not more."""
    left_s: list[float] = []

    async def send(message: Message) -> None:
        left_s.append(anyio.current_effective_deadline() - anyio.current_time())

    socket = await accepted(send)
    await (socket.send(type="pong") if kind == "frame" else socket.close(1000))

    # A process that stands still for minutes would still be told from twice the limit, or half of it.
    assert [LIMIT_S * 0.6 < one <= LIMIT_S for one in left_s] == [True]


async def test_a_frame_that_nobody_takes_is_a_slow_consumer() -> None:
    async def send(message: Message) -> None:
        await anyio.sleep_forever()

    socket = await accepted(send, limit_s=0.05)
    with pytest.raises(SlowConsumer):
        await socket.send(type="pong")


async def test_a_close_that_nobody_takes_drops_the_connection() -> None:
    aborted: list[str] = []

    async def send(message: Message) -> None:
        await anyio.sleep_forever()

    socket = await accepted(send, limit_s=0.05, abort=lambda: aborted.append("at once"))
    await socket.close(1000)

    assert aborted == ["at once"]
