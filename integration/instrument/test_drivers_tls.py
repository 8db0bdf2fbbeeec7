"""TLS on a plain socket: what is read, when it arrived, whom it believes."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from integration.instrument import certificates
from integration.instrument.script_server import Peer, ScriptServer, text
from load.drivers.channel import Channel
from load.drivers.clock import Clock
from load.drivers.http import HttpDriver
from load.drivers.tls import Trust
from load.drivers.watchdog import Wait, look
from load.drivers.wire import Wire
from load.errors import UsageError
from load.metrics.timeline import Limits

SECOND = 1_000_000_000
MS = 1_000_000
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Records:
    """A server's TLS whose records the script sends itself, whole or cut."""

    def __init__(self, peer: Peer, context: ssl.SSLContext) -> None:
        self.peer = peer
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)

    def of(self, *texts: bytes) -> bytes:
        """A record for each."""
        for one in texts:
            self.tls.write(one)
        return self.outgoing.read()

    def shake(self, behind: bytes = b"") -> None:
        """The handshake, with `behind` in the segment of its last flight."""
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.peer.send(self.outgoing.read())
                self.incoming.write(self.peer.sock.recv(65_536))
        self.peer.send(self.of(behind) if behind else self.outgoing.read())


def connect(server: ScriptServer, clock: Clock | None = None) -> Wire:
    return Wire.connect(f"https://127.0.0.1:{server.port}", 5 * SECOND, clock or Clock())


def test_a_stamp_is_the_arrival_and_not_the_look(believed: ssl.SSLContext) -> None:
    """The reader comes 100 ms late, and knows it."""

    def script(peer: Peer) -> None:
        peer.secure(believed)
        peer.send(b"text")
        peer.gone()

    with ScriptServer(script) as server:
        wire = connect(server)
        peer = server.peers[0]
        while not peer.sent:
            time.sleep(0.001)
        time.sleep(0.1)
        read = wire.read()
        sent, arrived, read_at = peer.sent[0], wire.arrived_at, wire.read_at
        wire.shut()

    assert read == b"text"
    assert (sent <= arrived, read_at - arrived > 50 * MS, arrived - sent < 50 * MS) == (True, True, True)


def test_a_record_in_two_segments_has_the_stamp_of_the_second(believed: ssl.SSLContext) -> None:
    """There is no text without its end."""

    def script(peer: Peer) -> None:
        records = Records(peer, believed)
        records.shake()
        record = records.of(b"one text")
        peer.send(record[:12])
        peer.pause(50)
        peer.send(record[12:])
        peer.gone()

    clock = Clock()
    with ScriptServer(script) as server:
        wire = connect(server, clock)
        read = wire.read()
        arrived = wire.arrived_at
        wire.shut()

    assert (read, arrived >= server.peers[0].sent[-1]) == (b"one text", True)


def test_the_records_of_one_read_come_together(believed: ssl.SSLContext) -> None:
    """And the part of a third waits for its rest."""

    def script(peer: Peer) -> None:
        records = Records(peer, believed)
        records.shake()
        all_three = records.of(b"one, ", b"two, ", b"three")
        peer.send(all_three[:-4])
        peer.sock.recv(65_536)
        peer.send(all_three[-4:])
        peer.gone()

    with ScriptServer(script) as server:
        wire = connect(server)
        first = wire.read()
        wire.send(b"go on")
        second = wire.read()
        wire.shut()

    assert (first, second) == (b"one, two, ", b"three")


def test_who_follows_is_given_every_record(believed: ssl.SSLContext) -> None:
    """Also the one that came with the handshake; then it wants no more."""

    def script(peer: Peer) -> None:
        records = Records(peer, believed)
        records.shake(b"hello")
        peer.sock.recv(65_536)
        peer.send(records.of(b"one"))
        peer.gone()

    followed: list[bytes] = []

    def take(data: bytes) -> bool:
        followed.append(data)
        if data == b"hello":
            wire.send(b"go on")
        return data != b"one"

    with ScriptServer(script) as server:
        wire = connect(server)
        wire.follow(take)
        wire.shut()

    assert followed == [b"hello", b"one"]


def test_what_comes_with_the_handshake_is_neither_lost_nor_late(certificate: Path) -> None:
    """TLS 1.2: a server may speak in the segment that ends the handshake; nobody has read it yet."""
    context = certificates.serving(certificate)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    trust = Trust()
    trust.use(certificate, insecure=False)

    def script(peer: Peer) -> None:
        Records(peer, context).shake(b"hello")
        peer.gone()

    with ScriptServer(script) as server:
        wire = Wire.connect(f"https://localhost:{server.port}", 5 * SECOND, trust=trust)
        wire.wait = Wait("gap", 0, 1)
        look(wire, time.perf_counter_ns())
        before = (wire.pending(), wire.wait.expired)
        read = wire.read()
        after = wire.pending()
        wire.shut()

    assert (before, read, after) == ((True, None), b"hello", False)


def orderly(peer: Peer, sock: ssl.SSLSocket) -> None:
    sock.unwrap()


def without_an_alert(peer: Peer, sock: ssl.SSLSocket) -> None:
    peer.fin()


@pytest.mark.parametrize("end", [orderly, without_an_alert])
def test_the_end(end: Callable[[Peer, ssl.SSLSocket], None], believed: ssl.SSLContext) -> None:
    """Behind the last text, by an alert or by a FIN alone; and again for who asks again."""

    def script(peer: Peer) -> None:
        sock = peer.secure(believed)
        peer.send(b"last")
        peer.sock.recv(100)
        end(peer, sock)

    with ScriptServer(script) as server:
        wire = connect(server)
        seen = [wire.read()]
        wire.send(b"x")
        seen += [wire.read()]
        if end is orderly:
            seen += [wire.read()]
        wire.shut()

    assert seen[:2] == [b"last", b""]
    assert seen[2:] in ([], [b""])


def test_a_farewell_is_said(believed: ssl.SSLContext) -> None:
    """The peer reads an orderly end; a second time is harmless."""
    seen: list[bytes] = []

    def script(peer: Peer) -> None:
        peer.secure(believed)
        seen.append(peer.sock.recv(100))

    with ScriptServer(script) as server:
        wire = connect(server)
        wire.shut_writing()
        wire.shut()
        wire.shut()

    assert seen == [b""]


def test_a_peek_never_waits(believed: ssl.SSLContext) -> None:
    """The tickets behind a handshake are nothing to read."""

    def script(peer: Peer) -> None:
        peer.secure(believed)
        peer.gone()

    with ScriptServer(script) as server:
        wire = connect(server)
        seen = wire.peek()
        wire.shut()

    assert seen is None


def test_much_text(believed: ssl.SSLContext) -> None:
    """More than one record and one buffer hold, in both directions."""
    much = bytes(range(256)) * 4096

    def script(peer: Peer) -> None:
        peer.secure(believed)
        got = b""
        while len(got) < len(much):
            got += peer.sock.recv(65_536)
        peer.send(got)
        peer.gone()

    with ScriptServer(script) as server:
        wire = connect(server)
        wire.send(much)
        back = b""
        while len(back) < len(much):
            back += wire.read()
        wire.shut()

    assert back == much


@pytest.mark.parametrize(
    ("host", "believing", "reason"),
    [("127.0.0.1", False, "self-signed certificate"), ("127.0.0.2", True, "IP address mismatch")],
)
def test_a_certificate_that_is_not_believed(
    host: str, believing: bool, reason: str, certificate: Path
) -> None:
    """Of an authority that nobody named, or for somebody else: with what can be done."""
    trust = Trust()
    trust.use(certificate if believing else None, insecure=False)
    context = certificates.serving(certificate)

    def script(peer: Peer) -> None:
        with pytest.raises((ssl.SSLError, ConnectionError)):  # the client's alert, or its FIN before it
            peer.secure(context).recv(1)

    with ScriptServer(script, host=host) as server, pytest.raises(UsageError, match=reason) as raised:
        Wire.connect(f"https://{host}:{server.port}", 5 * SECOND, trust=trust)

    assert "--tls-ca FILE names an authority of your own, --insecure believes anybody" in str(raised.value)


def test_anybody_is_believed_where_it_is_wanted(certificate: Path) -> None:
    """Also who stands for somebody else."""
    trust = Trust()
    trust.use(None, insecure=True)
    context = certificates.serving(certificate)

    def script(peer: Peer) -> None:
        peer.secure(context)
        peer.send(b"x")

    with ScriptServer(script, host="127.0.0.2") as server:
        wire = Wire.connect(f"https://127.0.0.2:{server.port}", 5 * SECOND, trust=trust)
        seen = wire.read()
        wire.shut()

    assert seen == b"x"


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "No such file"), ("nothing", "no certificate in PEM")]
)
def test_an_authority_that_is_none(content: str | None, reason: str, tmp_path: Path) -> None:
    """Said before anybody connects."""
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(UsageError, match=f"--tls-ca .*{reason}"):
        Trust().use(file, insecure=False)


def test_only_http_1_1_is_offered(believed: ssl.SSLContext) -> None:
    """Of what the server would speak."""
    spoken: list[str | None] = []

    def script(peer: Peer) -> None:
        spoken.append(peer.secure(believed).selected_alpn_protocol())

    with ScriptServer(script) as server:
        connect(server).shut()

    assert spoken == ["http/1.1"]


@pytest.mark.parametrize(
    ("answer", "error"),
    [(b"HTTP/1.0 400 Bad Request\r\n\r\n", ssl.SSLError), (b"", ConnectionResetError)],
)
def test_what_is_no_tls(answer: bytes, error: type[OSError]) -> None:
    """A plain server, or one that hangs up."""

    def script(peer: Peer) -> None:
        peer.sock.recv(100)
        peer.send(answer)
        peer.fin()

    with ScriptServer(script) as server, pytest.raises(error):
        connect(server)


def test_a_handshake_has_the_time_of_the_connect() -> None:
    """A server that accepts and says nothing."""
    with ScriptServer(lambda peer: peer.gone()) as server, pytest.raises(TimeoutError):
        Wire.connect(f"https://127.0.0.1:{server.port}", SECOND // 20)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_requests(host: str, believed: ssl.SSLContext) -> None:
    """Over IPv4 and IPv6; the connection is kept."""
    hosts: list[str] = []

    def script(peer: Peer) -> None:
        peer.secure(believed)
        for _ in range(2):
            hosts.append(peer.request()[1]["host"])
            peer.send(ANSWER)
        peer.gone()

    with ScriptServer(script, host="127.0.0.1" if host == "localhost" else host) as server:
        address = f"[{host}]:{server.port}" if ":" in host else f"{host}:{server.port}"
        driver = HttpDriver(f"https://{address}", {}, Limits())
        answers = [driver.request("GET", "/").body for _ in range(2)]
        driver.close()

    assert (answers, hosts) == ([b"ok", b"ok"], [address, address])


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_messages(host: str, believed: ssl.SSLContext) -> None:
    """A WebSocket, closed by its frames and then by TLS."""

    def script(peer: Peer) -> None:
        peer.secure(believed)
        peer.shake()
        peer.message()
        peer.send(text(type="pong"))
        peer.gone()

    with ScriptServer(script, host=host) as server:
        address = f"[{host}]" if ":" in host else host
        channel = Channel.connect(f"wss://{address}:{server.port}/", {}, (), 5 * SECOND)
        assert isinstance(channel, Channel)
        channel.send(b"{}")
        messages = channel.read()
        channel.close()

    assert [bytes(one) for one in messages] == [b'{"type": "pong"}']
    assert channel.closed is not None
    assert (channel.closed.how, channel.closed.code) == ("close", 1000)


def test_the_system_decides_where_nothing_is_said() -> None:
    """Verification is on."""
    context = Trust().context

    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_through_a_proxy(believed: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """The certificate is the target's, not the proxy's; a plain request names its whole URL."""
    asked: list[str] = []

    def tunnel(peer: Peer) -> None:
        asked.append(peer.request()[0])
        peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
        peer.secure(believed)
        asked.append(peer.request()[0])
        peer.send(ANSWER)

    def forward(peer: Peer) -> None:
        first, headers, _ = peer.request()
        asked.append(f"{first}, host: {headers['host']}, {headers['proxy-authorization']}")
        peer.send(ANSWER)

    with ScriptServer(tunnel, forward) as server:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{server.port}")
        monkeypatch.setenv("HTTP_PROXY", f"http://me:pw@127.0.0.1:{server.port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        for scheme in ("https", "http"):
            driver = HttpDriver(f"{scheme}://target.example/api", {}, Limits())
            asked.append(driver.request("GET", "/x").body.decode())
            driver.close()

    assert asked == [
        "CONNECT target.example:443 HTTP/1.1",
        "GET /api/x HTTP/1.1",
        "ok",
        "GET http://target.example:80/api/x HTTP/1.1, host: target.example, Basic bWU6cHc=",
        "ok",
    ]
