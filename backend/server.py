"""The process: a bound socket, protocols that no client can hold for ever, a shutdown that drains first.

What the protocols add to uvicorn's, each because the original was seen to hang:
    abort   `scope["state"]["abort"]` drops the transport: `close()` waits for a buffer that nobody empties
    grace   after a handler's end, a missing pong, a shutdown the transport is aborted, not only closed
    431     a handshake whose headers are too large is answered; the original logs it and says nothing
    408     so is a request whose headers do not arrive in time; the original waits for ever
They lean on internals of uvicorn, so its version is locked.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import resource
import socket
import sys
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any, Final, Protocol, cast

import anyio
import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from backend import telemetry
from backend.settings import Settings, StartupRefused, load_settings

__all__ = ["make_server"]

log = telemetry.logger(__name__)

Drain = Callable[[anyio.Event], Awaitable[None]]

# What the last frames of a shutdown may take to leave; the process is gone within the drain time + 2 s.
_FLUSH_S: Final = 0.4
_REQUEST_TIMEOUT: Final = (
    b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"  # H12
)


class Server(Protocol):
    def run(self) -> None:
        """Serves until a signal comes; ends the process with status 78 if it cannot start."""
        ...


def make_server(app: ASGIApp, settings: Settings | None = None) -> Server:
    """A server for the application; without settings, those of the environment."""
    return _Service(app, settings or load_settings())


class _Config(uvicorn.Config):
    """uvicorn's configuration and the limits that it does not know."""

    header_timeout_s: float
    close_grace_s: float


class _Http(HttpToolsProtocol):
    _header_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_headers()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"]["abort"] = self.transport.abort
        self._await_headers()

    def on_headers_complete(self) -> None:
        self._headers_are_here()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._headers_are_here()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        super().shutdown()
        _abort_later(self)

    def _await_headers(self) -> None:
        if self._header_timer is None:
            limit_s = cast(_Config, self.config).header_timeout_s
            self._header_timer = self.loop.call_later(limit_s, self._headers_are_late)

    def _headers_are_here(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _headers_are_late(self) -> None:
        self._header_timer = None
        if not self.transport.is_closing():
            self.transport.write(_REQUEST_TIMEOUT)
            self.transport.close()
            _abort_later(self)


class _WebSocket(WebSocketsSansIOProtocol):
    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if hasattr(self, "scope"):  # the handshake was good enough for a request
            cast(dict[str, Any], self.scope)["state"]["abort"] = self.transport.abort

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:  # H13
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()

    async def send(self, message: Any) -> None:
        await super().send(message)
        if self.initial_response is not None:
            self.handshake_complete = True  # the original takes a refusal for a handshake that was forgotten

    async def run_asgi(self) -> None:
        await super().run_asgi()
        _abort_later(self)

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()  # F13
        _abort_later(self)

    def shutdown(self) -> None:
        super().shutdown()
        _abort_later(self)


def _abort_later(protocol: _Http | _WebSocket) -> None:
    grace_s = cast(_Config, protocol.config).close_grace_s
    protocol.loop.call_later(grace_s, protocol.transport.abort)


class _Lifespan:
    """Remembers why the application did not start, and keeps its traceback off the one line that says so."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.refusal: str | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self.app(scope, receive, send)
            return

        async def without_traceback(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed":
                message = {"type": message["type"], "message": ""}
            await send(message)

        try:
            await self.app(scope, receive, without_traceback)
        except StartupRefused as refused:
            self.refusal = str(refused)
            raise
        except Exception:
            self.refusal = "start: unexpected error, see the log"
            log.exception("lifespan_failed")
            raise


class _DrainingServer(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        assert sockets is not None
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
        print(json.dumps({"listening": _url(sockets[0])}), flush=True)  # noqa: T201

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # The original makes a difference between signals, and forgets the lifespan at the second SIGINT.
        self._captured_signals.append(sig)
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drains first: uvicorn would end every stream before the lifespan hears of it."""
        drain: Drain | None = self.lifespan.state.get("drain")
        if drain is not None:
            hurry = anyio.Event()
            async with anyio.create_task_group() as group:
                group.start_soon(self._watch_signals, hurry)
                await drain(hurry)
                group.cancel_scope.cancel()
        await self._flush()
        await super().shutdown(sockets)

    async def _watch_signals(self, hurry: anyio.Event) -> None:
        # A signal handler must not touch the loop; uvicorn looks for signals in the same way.
        while len(self._captured_signals) < 2:  # noqa: ASYNC110 - no event can be set there
            await anyio.sleep(0.05)
        hurry.set()

    async def _flush(self) -> None:
        """Waits a moment for bytes that are still to be sent, then aborts whoever does not take them."""
        with anyio.move_on_after(_FLUSH_S):
            while self._stuck():  # noqa: ASYNC110 - a transport has no event for it
                await anyio.sleep(0.02)
        for transport in self._stuck():
            transport.abort()

    def _stuck(self) -> list[asyncio.Transport]:
        transports = [connection.transport for connection in self.server_state.connections]
        return [transport for transport in transports if transport.get_write_buffer_size() > 0]


class _Service:
    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = _Lifespan(app)
        self._settings = settings

    def run(self) -> None:
        telemetry.set_up_logging()
        try:
            listener = _bind(self._settings)
            _raise_descriptor_limit()
            self._serve(listener)
        except StartupRefused as refused:
            print(refused, file=sys.stderr, flush=True)  # noqa: T201
            sys.exit(StartupRefused.exit_status)

    def _serve(self, listener: socket.socket) -> None:
        settings = self._settings
        config = _Config(
            self._app,
            loop="auto",  # uvloop where it can be imported
            http=_Http,
            ws=_WebSocket,
            lifespan="on",
            log_config=None,
            log_level="critical",  # until it has started: a refusal is one line
            access_log=False,
            server_header=False,
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=[str(network) for network in settings.trusted_proxies],
            ws_max_size=settings.ws_max_message_bytes,
            ws_ping_interval=settings.ws_ping_interval,
            ws_ping_timeout=settings.ws_ping_timeout,
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=1,
        )
        logging.getLogger("uvicorn.error").addFilter(_without_traceback)
        config.header_timeout_s = settings.http_header_timeout
        config.close_grace_s = settings.close_grace
        try:
            _DrainingServer(config).run(sockets=[listener])
        except SystemExit:
            if self._app.refusal is None:
                raise
            raise StartupRefused(self._app.refusal) from None


def _without_traceback(record: logging.LogRecord) -> bool:
    """Text that is no UTF-8 is a client's fault, told by 1007; its traceback says nothing."""
    if str(record.msg).startswith("Invalid UTF-8"):
        record.exc_info = None
    return True


def _bind(settings: Settings) -> socket.socket:
    try:
        found = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, kind, protocol, _, address = found[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, settings.socket_sndbuf)
        listener.bind(address)
    except OSError as error:  # S10
        where = f"{settings.host}:{settings.port}"
        raise StartupRefused(f"cannot listen on {where}: {error.strerror or error}") from error
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _raise_descriptor_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # macOS refuses its own "unlimited"; then the soft limit stays and the connection cap fits it.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
