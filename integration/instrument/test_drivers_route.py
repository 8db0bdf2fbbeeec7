"""The way to a target, by its URL and the environment."""

from __future__ import annotations

import contextlib
import os

import pytest

from integration.instrument.script_server import Peer, ScriptServer
from load.drivers.route import Route, address_of, proxy_for, route_of
from load.drivers.wire import Wire
from load.errors import UsageError

SECOND = 1_000_000_000


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this machine goes through."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://h", ("h", 80)),
        ("ws://h:8000/path", ("h", 8000)),
        ("https://h", ("h", 443)),
        ("wss://h/path", ("h", 443)),
        ("http://[::1]:9/", ("::1", 9)),
    ],
)
def test_address(url: str, expected: tuple[str, int]) -> None:
    """Host and port."""
    assert address_of(url) == expected


@pytest.mark.parametrize("url", ["ftp://h", "http:///x", "h:80"])
def test_what_is_not_spoken_is_said(url: str) -> None:
    """Before anything is connected."""
    with pytest.raises(UsageError, match="only http://, https://, ws:// and wss://"):
        address_of(url)


BASIC = {"proxy-authorization": "Basic bWU6YUBi"}


@pytest.mark.parametrize(
    ("url", "environment", "expected"),
    [
        ("http://t", {}, Route("t", 80)),
        ("https://t", {}, Route("t", 443, "t")),
        ("https://t", {"HTTP_PROXY": "http://p"}, Route("t", 443, "t")),
        ("http://t/x", {"HTTP_PROXY": "http://p:8"}, Route("p", 8, origin="http://t:80")),
        ("http://[fe80::2]", {"HTTP_PROXY": "http://p"}, Route("p", 80, origin="http://[fe80::2]:80")),
        ("ws://t:9", {"HTTP_PROXY": "http://p:8"}, Route("p", 8, tunnel="t:9")),
        ("wss://t", {"https_proxy": "p:8"}, Route("p", 8, "t", tunnel="t:443")),
        ("https://t", {"ALL_PROXY": "http://p:8"}, Route("p", 8, "t", tunnel="t:443")),
        (
            "ws://t",
            {"HTTP_PROXY": "http://me:a%40b@p:8"},
            Route("p", 8, tunnel="t:80", proxy_headers=BASIC),
        ),
        ("http://t", {"HTTP_PROXY": "http://p:8", "NO_PROXY": "t"}, Route("t", 80)),
        ("http://localhost", {"HTTP_PROXY": "http://p:8"}, Route("localhost", 80)),
        ("https://127.8.8.8", {"HTTPS_PROXY": "http://p:8"}, Route("127.8.8.8", 443, "127.8.8.8")),
        ("ws://[::1]:5", {"HTTP_PROXY": "http://p:8"}, Route("::1", 5)),
    ],
)
def test_route(
    url: str, environment: dict[str, str], expected: Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy is asked for a tunnel, but forwards plain requests; this machine is never behind one."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert route_of(url) == expected


@pytest.mark.parametrize("proxy", ["https://p", "socks5://p", "http://"])
def test_another_kind_of_proxy_is_refused(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the way past it."""
    monkeypatch.setenv("HTTP_PROXY", proxy)
    with pytest.raises(UsageError, match=r"only http:// proxies are spoken to; NO_PROXY=t goes past it"):
        route_of("http://t")


@pytest.mark.parametrize(("proxy", "expected"), [("http://me:secret@p", "p:80"), ("", None)])
def test_the_proxy_that_a_report_names(
    proxy: str, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its credential."""
    monkeypatch.setenv("HTTP_PROXY", proxy)

    assert proxy_for("http://t") == expected


def test_a_tunnel(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy is told where to, and then out of the way."""
    asked: list[tuple[str, dict[str, str], bytes]] = []

    def script(peer: Peer) -> None:
        asked.append(peer.request())
        peer.send(b"HTTP/1.1 200 Connection ", b"established\r\n\r\n")
        peer.send(peer.sock.recv(5))

    with ScriptServer(script) as server:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{server.port}")
        wire = Wire.connect("ws://target.example/x", 5 * SECOND)
        wire.send(b"hello")
        echo = wire.read()
        wire.shut()

    assert asked == [("CONNECT target.example:80 HTTP/1.1", {"host": "target.example:80"}, b"")]
    assert (echo, wire.origin) == (b"hello", "")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "answered b'HTTP/1.1 407"),
        (b"nonsense\r\n\r\n", "answered b'nonsense"),
        (b"HTTP/1.1 200", "did not answer"),
    ],
)
def test_a_proxy_that_does_not_connect(answer: bytes, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is reached, and it says so."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(answer)
        peer.fin()

    with ScriptServer(script) as server:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{server.port}")
        with pytest.raises(ConnectionRefusedError, match=expected):
            Wire.connect("ws://target.example", 5 * SECOND)


def test_a_proxy_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """64 KiB of it are enough."""

    def script(peer: Peer) -> None:
        peer.request()
        with contextlib.suppress(OSError):  # it has gone
            peer.send(b"x" * 1_000_000)

    with ScriptServer(script) as server:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{server.port}")
        with pytest.raises(ConnectionRefusedError, match="did not answer"):
            Wire.connect("ws://target.example", 5 * SECOND)


def test_a_proxy_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the time of the connect."""
    with ScriptServer(lambda peer: peer.gone()) as server:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{server.port}")
        with pytest.raises(TimeoutError):
            Wire.connect("ws://target.example", SECOND // 20)


def test_a_proxy_that_dawdles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that come give it no more time."""

    def script(peer: Peer) -> None:
        peer.request()
        with contextlib.suppress(OSError):  # it has gone, long before the end
            for _ in range(1000):
                peer.send(b"x")
                peer.pause(10)

    with ScriptServer(script) as server:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{server.port}")
        with pytest.raises(TimeoutError):
            Wire.connect("ws://target.example", SECOND // 20)
