"""Frames that are none, too many, too large, too late, or cut off in the middle: the rest of rows F.

Long because the rows F share one server and the same few raw clients.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from websockets.asyncio.client import connect
from websockets.frames import Frame as WireFrame
from websockets.frames import Opcode

from integration.clocks import Clocks
from integration.subject.clients import (
    AGENTCHAT,
    Agent,
    Caller,
    Frame,
    Service,
    answer_of,
    first,
    hear,
    say,
    text_of,
    to_the_close,
)
from integration.subject.stage import RawClient
from integration.timing import eventually_async

pytestmark = pytest.mark.anyio

STRIKES = 5
MESSAGE_BYTES = 65_536


async def run_ended(service: Service, user: Caller) -> dict[str, Any]:
    """The one run of the user, once it is terminal."""

    def look() -> dict[str, Any] | None:
        [row] = service.runs_of(user.person)
        return row if row["completed_at"] is not None else None

    row = await eventually_async(look, "the end of the run")
    assert row is not None
    return row


MALFORMED = [
    pytest.param("no json", id="not JSON"),
    pytest.param("", id="nothing"),
    pytest.param("[]", id="a list"),
    pytest.param("5", id="a number"),
    pytest.param("null", id="null"),
    pytest.param("{}", id="neither type nor message"),
    pytest.param('{"type": "dance"}', id="unknown type"),
    pytest.param('{"type": 5}', id="type of the wrong type"),
    pytest.param('{"type": "chat"}', id="no message"),
    pytest.param('{"message": 5}', id="message of the wrong type"),
    pytest.param('{"message": "Hi", "max_tokens": "5"}', id="number as text"),
    pytest.param('{"message": "Hi", "sesion_id": "x"}', id="unknown member"),
    pytest.param('{"type": "cancel"}', id="cancel of nothing"),
    pytest.param('{"type": "ping", "nonce": 5}', id="nonce of the wrong type"),
]


@pytest.mark.parametrize("text", MALFORMED)
async def test_F1_malformed_frame_is_an_error_and_the_next_is_served(
    service: Service, user: Caller, quick: Agent, text: str
) -> None:
    """A frame that does not speak the protocol is named, leaves no run, and the connection goes on."""
    async with service.connect(quick, user.person) as socket:
        await socket.send(text)
        error = await hear(socket)
        await say(socket, message="Hello")
        frames = await answer_of(socket)

    assert error["type"] == "error"
    assert error["error"]["code"] == "malformed_frame"
    assert error["error"]["retryable"] is False
    assert error["fatal"] is False
    assert frames[-1]["type"] == "done"
    assert len(service.runs_of(user.person)) == 1


async def test_F1_fifth_malformed_frame_is_fatal(service: Service, user: Caller, quick: Agent) -> None:
    """Four are forgiven, also with good frames in between; with the fifth the connection ends: 4400."""
    async with service.connect(quick, user.person) as socket:
        for number in range(STRIKES - 1):
            await socket.send("no json")
            assert (await hear(socket))["fatal"] is False
            await say(socket, message="Hello", max_tokens=number + 1)
            await answer_of(socket)
        await socket.send("no json")
        frames, code, reason = await to_the_close(socket)

    assert [frame["error"]["code"] for frame in frames] == ["malformed_frame"]
    assert frames[0]["fatal"] is True
    assert (code, reason) == (4400, "malformed_frame")
    assert [run["status"] for run in service.runs_of(user.person)] == ["COMPLETED"] * (STRIKES - 1)
    assert (await service.converse(quick, user.person))[-1]["type"] == "done"


@pytest.mark.parametrize(
    "send",
    [
        pytest.param(lambda: "x" * (MESSAGE_BYTES + 1), id="whole"),
        pytest.param(lambda: iter(["x" * MESSAGE_BYTES, "x"]), id="in two fragments"),
    ],
)
async def test_F4_too_large_frame_is_1009(
    service: Service, user: Caller, slow: Agent, send: Callable[[], Any]
) -> None:
    """One byte too many, whole or in fragments, closes without a frame; the active run is cancelled."""
    async with service.connect(slow, user.person) as socket:
        await say(socket, message="Hello")
        await first(socket, "delta")
        await socket.send(send())
        frames, code, _reason = await to_the_close(socket)
    row = await run_ended(service, user)

    assert {frame["type"] for frame in frames} <= {"delta"}
    assert code == 1009
    assert (row["status"], row["error_code"]) == ("CANCELLED", "client_disconnected")
    assert (await service.converse(slow, user.person, max_tokens=1))[-1]["type"] == "done"


async def test_frame_of_exactly_the_limit_is_read(service: Service, user: Caller, quick: Agent) -> None:
    """64 KiB pass: the frame is judged, not the connection closed."""
    frame = json.dumps({"message": "Hello"})
    async with service.connect(quick, user.person) as socket:
        await socket.send(frame + " " * (MESSAGE_BYTES - len(frame)))
        frames = await answer_of(socket)

    assert frames[-1]["type"] == "done"


async def test_F5_binary_frame_is_1003(service: Service, user: Caller, quick: Agent) -> None:
    """Binary is not understood: a fatal `unsupported_media_type`, then 1003."""
    async with service.connect(quick, user.person, subprotocols=AGENTCHAT) as socket:
        await hear(socket)
        await socket.send(b'{"message": "Hello"}')
        frames, code, reason = await to_the_close(socket)

    assert [frame["error"]["code"] for frame in frames] == ["unsupported_media_type"]
    assert frames[0]["fatal"] is True
    assert (code, reason) == (1003, "unsupported_media_type")
    assert service.runs_of(user.person) == []
    assert (await service.converse(quick, user.person))[-1]["type"] == "done"


def masked(opcode: int, data: bytes, *, fin: bool = True, rsv1: bool = False) -> bytes:
    """A client's frame with whatever the protocol forbids."""
    first_byte = (0x80 if fin else 0) | (0x40 if rsv1 else 0) | opcode
    length = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2, "big")
    return bytes([first_byte]) + length + b"\0\0\0\0" + data


def close_code(wire: bytes) -> int:
    """The code of the close frame with which the bytes end, behind whole frames."""
    while wire:
        opcode, length = wire[0] & 0x0F, wire[1]
        start = 2
        if length == 126:
            length, start = int.from_bytes(wire[2:4], "big"), 4
        data, wire = wire[start : start + length], wire[start + length :]
        if opcode == Opcode.CLOSE:
            return int.from_bytes(data[:2], "big")
    raise AssertionError("the connection ended without a close frame")


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        pytest.param(masked(1, b"\xff\xfe"), 1007, id="text that is not UTF-8"),
        pytest.param(masked(1, b"\xc3", fin=False) + masked(0, b"\x28"), 1007, id="bad UTF-8, in fragments"),
        pytest.param(WireFrame(Opcode.TEXT, b"{}").serialize(mask=False), 1002, id="unmasked"),
        pytest.param(masked(3, b""), 1002, id="opcode 3"),
        pytest.param(masked(11, b""), 1002, id="opcode 11"),
        pytest.param(masked(1, b"{}", rsv1=True), 1002, id="reserved bit"),
        pytest.param(masked(9, b"x" * 126), 1002, id="ping of 126 bytes"),
        pytest.param(masked(9, b"", fin=False), 1002, id="fragmented ping"),
        pytest.param(masked(8, b"\x03\xed"), 1002, id="close with 1005"),
        pytest.param(masked(8, b"\x03"), 1002, id="close of one byte"),
        pytest.param(masked(0, b"{}"), 1002, id="continuation of nothing"),
        pytest.param(masked(1, b"{", fin=False) + masked(1, b"}"), 1002, id="text within text"),
    ],
)
async def test_F6_broken_framing_is_1002_or_1007(
    service: Service, user: Caller, slow: Agent, sent: bytes, code: int
) -> None:
    """The library closes; the run that was active ends with its client, others are served."""
    with RawClient(service) as client:
        client.upgrade(slow, user.person)
        client.say(message="Hello")
        await eventually_async(lambda: service.runs_of(user.person), "the run is stored")
        client.socket.sendall(sent)
        received = b""
        while part := client.socket.recv(65_536):
            received += part
    row = await run_ended(service, user)

    assert close_code(received) == code
    assert (row["status"], row["error_code"]) == ("CANCELLED", "client_disconnected")
    assert (await service.converse(slow, user.person, max_tokens=1))[-1]["type"] == "done"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param('{"message": ' + "[" * 2000 + "]" * 2000 + "}", "malformed_frame", id="2,000 levels"),
        pytest.param("[" * 60_000, "malformed_frame", id="60,000 levels, unfinished"),
        pytest.param('{"message": "Hi", "temperature": 1e999}', "malformed_frame", id="1e999"),
        pytest.param('{"message": "Hi", "temperature": NaN}', "malformed_frame", id="NaN"),
        pytest.param('{"message": "\\ud800"}', "malformed_frame", id="lone surrogate"),
        pytest.param('{"message": "a\\u0000b"}', "invalid_request", id="U+0000"),
        pytest.param(
            '{"message": "Hi", "metadata": {"a": "\\u0000"}}', "invalid_request", id="U+0000 inside"
        ),
    ],
)
async def test_F7_what_json_should_not_hold(
    service: Service, user: Caller, quick: Agent, text: str, code: str
) -> None:
    """Answered as any bad frame, in little time, and the connection goes on."""
    before_s = service.target.facts()["cpu_s"]
    async with service.connect(quick, user.person) as socket:
        await socket.send(text)
        error = await hear(socket)
        await say(socket, message="Hello")
        frames = await answer_of(socket)

    assert error["error"]["code"] == code
    assert frames[-1]["type"] == "done"
    assert len(service.runs_of(user.person)) == 1
    # Not bounded by the clock of this test but by the server's own work: megabytes would show.
    assert service.target.facts()["cpu_s"] - before_s < 2


async def test_F9_second_chat_while_one_runs_is_busy(service: Service, user: Caller, slow: Agent) -> None:
    """The second is refused, the first is not touched."""
    async with service.connect(slow, user.person) as socket:
        await say(socket, message="Hello", request_id="one")
        await first(socket, "delta")
        await say(socket, message="Hello", request_id="two")
        busy = await first(socket, "error")
        frames = await answer_of(socket)
        await say(socket, message="Hello", max_tokens=1)
        after = await answer_of(socket)

    assert busy["error"]["code"] == "stream_busy"
    assert busy["error"]["retryable"] is True
    assert busy["request_id"] == "two"
    assert busy["fatal"] is False
    assert "seq" not in busy
    assert frames[-1]["type"] == "done"
    assert frames[-1]["request_id"] == "one"
    assert after[-1]["type"] == "done"
    runs = service.runs_of(user.person)
    assert [run["request_id"] for run in runs] == ["one", None]


async def test_F10_flood_of_frames_is_4429(service: Service, user: Caller, quick: Agent) -> None:
    """A burst beyond the frame rate is refused frame by frame, then the connection ends, and it alone."""
    async with service.connect(quick, user.person, subprotocols=AGENTCHAT) as socket:
        await hear(socket)
        for _ in range(100):
            await socket.send('{"type": "ping"}')
        other = await service.converse(quick, service.person())
        frames, code, reason = await to_the_close(socket)

    errors = [frame for frame in frames if frame["type"] == "error"]
    assert {frame["error"]["code"] for frame in errors} == {"rate_limited"}
    assert [frame["fatal"] for frame in errors] == [False] * STRIKES + [True]
    assert all(frame["error"]["retry_after_ms"] > 0 for frame in errors)
    assert (code, reason) == (4429, "rate_limited")
    assert other[-1]["type"] == "done"
    assert service.runs_of(user.person) == []
    assert (await service.converse(quick, user.person))[-1]["type"] == "done"


async def test_F11_flood_of_pings_is_answered(service: Service, user: Caller, quick: Agent) -> None:
    """Every RFC 6455 ping has its pong; a client beside it is served meanwhile."""
    number = 20_000
    ping = WireFrame(Opcode.PING, b"12345678").serialize(mask=True)
    with RawClient(service) as client:
        client.upgrade(quick, user.person)

        def flood() -> int:
            received, sent = 0, 0
            # A window of a thousand: a flooder that never reads would only block itself.
            while received < number * 10:
                if sent * 10 - received < 10_000 and sent < number:
                    client.socket.sendall(ping * 500)
                    sent += 500
                else:
                    received += len(client.socket.recv(65_536))
            return received

        async with anyio.create_task_group() as tasks:
            pongs: list[int] = []

            async def attack() -> None:
                pongs.append(await anyio.to_thread.run_sync(flood))

            tasks.start_soon(attack)
            begun = time.monotonic()
            frames = await service.converse(quick, service.person())
            took_s = time.monotonic() - begun

    assert pongs == [number * 10]
    assert frames[-1]["type"] == "done"
    assert took_s < 5  # an answer of 20 ms, on a machine that is busy with pings


async def test_F12_no_first_frame_is_4408(impatient: Service, clocks: Clocks) -> None:
    """Who connects and says nothing is told so, and disconnected."""
    agent, user = impatient.agent(), impatient.caller()
    begun = time.monotonic()
    async with impatient.connect(agent, user.person, subprotocols=AGENTCHAT) as socket:
        await hear(socket)
        frames, code, reason = await to_the_close(socket)
        took_ms = (time.monotonic() - begun) * 1000

    assert [frame["error"]["code"] for frame in frames] == ["idle_timeout"]
    assert frames[0]["fatal"] is True
    assert (code, reason) == (4408, "idle_timeout")
    clocks.fired("first frame", 1000, round(took_ms))
    assert impatient.runs_of(user.person) == []
    assert (await impatient.converse(agent, user.person))[-1]["type"] == "done"


async def test_F12_idle_after_an_answer_is_4408(impatient: Service, clocks: Clocks) -> None:
    """The clock of idleness begins with the end of an answer; the plain contract sees only the close."""
    agent, user = impatient.agent(), impatient.caller()
    async with impatient.connect(agent, user.person) as socket:
        begun = time.monotonic()  # not after the answer: the service knows first that it is over
        await say(socket, message="Hello")
        await answer_of(socket)
        frames, code, _reason = await to_the_close(socket)
        took_ms = (time.monotonic() - begun) * 1000

    assert frames == []
    assert code == 4408
    clocks.fired("idle", 1500, round(took_ms))
    assert [run["status"] for run in impatient.runs_of(user.person)] == ["COMPLETED"]
    assert (await impatient.converse(agent, user.person))[-1]["type"] == "done"


async def test_F13_pings_that_are_not_answered_are_1011(impatient: Service, clocks: Clocks) -> None:
    """A client that reads but sends no pong is given up after interval and timeout, and its run with it."""
    agent, user = impatient.agent(tokens=40, interval_ms=70), impatient.caller()
    begun = time.monotonic()  # not after the handshake: the service knows first that it is done
    with RawClient(impatient) as client:
        client.upgrade(agent, user.person)
        client.say(message="Hello")
        received = await anyio.to_thread.run_sync(lambda: to_the_end(client))
        took_ms = (time.monotonic() - begun) * 1000
    row = await run_ended(impatient, user)

    assert close_code(received) == 1011
    clocks.fired("ping interval + timeout", 1200, round(took_ms))
    assert (row["status"], row["error_code"]) == ("CANCELLED", "client_disconnected")
    assert (await impatient.converse(agent, user.person, max_tokens=1))[-1]["type"] == "done"


def to_the_end(client: RawClient) -> bytes:
    received = b""
    while part := client.socket.recv(65_536):
        received += part
    return received


async def test_heartbeats_come_while_nothing_else_does(impatient: Service) -> None:
    """`agentchat.v1` hears every half second that the server is there, and which runs are active."""
    agent, user = impatient.agent(first_token_ms=900), impatient.caller()
    async with impatient.connect(agent, user.person, subprotocols=AGENTCHAT) as socket:
        await hear(socket)
        await say(socket, type="chat", message="Hello")
        started = await first(socket, "started")
        beat = await first(socket, "heartbeat")
        frames = await answer_of(socket)

    assert beat["active"] == [started["execution_id"]]
    assert set(beat) == {"type", "ts", "active"}
    assert frames[-1]["type"] == "done"


@pytest.mark.parametrize(
    ("on_disconnect", "status", "code"),
    [("cancel", "CANCELLED", "client_disconnected"), ("continue", "COMPLETED", None)],
)
async def test_F14_client_closes_during_a_run(
    service: Service, user: Caller, slow: Agent, on_disconnect: str, status: str, code: str | None
) -> None:
    """The close is answered at once; the run is cancelled, or goes on without its client."""
    words = {"cancel": 40, "continue": 12}[on_disconnect]  # in both cases more than can have been read
    async with service.connect(slow, user.person) as socket:
        await say(socket, message="Hello", on_disconnect=on_disconnect, max_tokens=words)
        text = (await first(socket, "delta"))["delta"]
        await socket.close()
        closed = socket.close_code
    row = await run_ended(service, user)

    assert closed == 1000
    assert (row["status"], row["error_code"]) == (status, code)
    assert row["output_text"].startswith(text)
    assert (await service.converse(slow, user.person, max_tokens=1))[-1]["type"] == "done"


async def test_F15_twenty_chats_in_one_segment(service: Service, user: Caller, slow: Agent) -> None:
    """The first runs, the others are busy, in the order they were sent."""
    with RawClient(service) as client:
        client.upgrade(slow, user.person)
        segment = b"".join(
            WireFrame(
                Opcode.TEXT, json.dumps({"message": "Hello", "request_id": f"r{n}", "max_tokens": 3}).encode()
            ).serialize(mask=True)
            for n in range(20)
        )
        client.socket.sendall(segment)
        frames = await anyio.to_thread.run_sync(lambda: texts(client, lambda seen: terminal(seen) == 20))

    busy = [frame for frame in frames if frame["type"] == "error"]
    run = [frame for frame in frames if frame["type"] != "error"]
    assert [frame["request_id"] for frame in busy] == [f"r{n}" for n in range(1, 20)]
    assert {frame["error"]["code"] for frame in busy} == {"stream_busy"}
    assert {frame["request_id"] for frame in run} == {"r0"}
    assert run[-1]["type"] == "done"
    assert [row["request_id"] for row in service.runs_of(user.person)] == ["r0"]
    assert (await service.converse(slow, service.person(), max_tokens=1))[-1]["type"] == "done"


def terminal(frames: list[Frame]) -> int:
    return sum(frame["done"] for frame in frames)


def texts(client: RawClient, enough: Callable[[list[Frame]], bool]) -> list[Frame]:
    """The text frames of the server, read until there are enough."""
    found: list[Frame] = []
    buffer = b""
    while not enough(found):
        part = client.socket.recv(65_536)
        assert part, f"the connection ended behind {found!r}"
        buffer += part
        while len(buffer) >= 2:
            length, start = buffer[1], 2
            if length == 126:
                length, start = int.from_bytes(buffer[2:4], "big"), 4
            if len(buffer) < start + length:
                break
            if buffer[0] & 0x0F == Opcode.TEXT:
                found.append(json.loads(buffer[start : start + length]))
            buffer = buffer[start + length :]
    return found


async def test_one_byte_at_a_time_is_the_same_chat(service: Service, user: Caller, quick: Agent) -> None:
    """A chat that arrives byte by byte is a chat."""
    with RawClient(service) as client:
        client.upgrade(quick, user.person)
        wire = WireFrame(Opcode.TEXT, b'{"message": "Hello"}').serialize(mask=True)
        for position in range(len(wire)):
            client.socket.sendall(wire[position : position + 1])
        frames = await anyio.to_thread.run_sync(lambda: texts(client, lambda seen: terminal(seen) == 1))

    assert frames[-1]["type"] == "done"
    assert text_of(frames) == frames[-1]["response"]


async def test_F16_compression_is_not_negotiated(service: Service, user: Caller, quick: Agent) -> None:
    """An offer of permessage-deflate is ignored."""
    headers = {"Authorization": f"Bearer {user.person.token}"}
    async with connect(
        service.stream_url(quick.id), additional_headers=headers, compression="deflate", proxy=None
    ) as socket:
        assert socket.response is not None
        assert "Sec-WebSocket-Extensions" not in socket.response.headers
        await say(socket, message="Hello")
        frames = await answer_of(socket)

    assert frames[-1]["type"] == "done"
    assert len(service.runs_of(user.person)) == 1


async def test_F16_compressed_frame_is_1002(service: Service, user: Caller, quick: Agent) -> None:
    """A client that compresses all the same breaks the protocol."""
    with RawClient(service) as client:
        client.upgrade(quick, user.person)
        client.socket.sendall(masked(1, b"\xaaV*.MNNMOU\xb2RrT\xd2QJ", rsv1=True))
        received = await anyio.to_thread.run_sync(lambda: to_the_end(client))

    assert close_code(received) == 1002
    assert service.runs_of(user.person) == []
    assert (await service.converse(quick, user.person))[-1]["type"] == "done"
