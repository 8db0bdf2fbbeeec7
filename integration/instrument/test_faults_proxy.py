"""What the proxy plants, the instrument names: real proxy, real drivers, a server that plays a script.

Long because one table holds every operation, over both wires.
"""

from __future__ import annotations

import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError

import pytest

from integration.instrument.agentchat import LIMITS, MS, answer, end, events, follow, frames, limits, turn
from integration.instrument.script_server import Peer, Script, ScriptServer, close
from integration.proxied import ROOT, Proxy, proxied
from integration.timing import PATIENCE_S, eventually
from load.drivers.sse import SseDriver
from load.drivers.websocket import WebSocketDriver
from load.faults.proxy.plan import Mode, Plan
from load.faults.proxy.refused import Refused
from load.metrics.timeline import Timeline

pytestmark = pytest.mark.holds
"""Real stalls and rates take their time."""

TEXT = "héllo 😀 wörld"
"""Thirteen chunks, three of them of several bytes."""
PACE_MS = 2
TIMES = 3
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
STALL_MS = 400
CLEAN = ("DONE", None)


@pytest.fixture(scope="module")
def websocket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with proxied(tmp_path_factory.mktemp("ws"), "--mode", "ws") as proxy:
        yield proxy


@pytest.fixture(scope="module")
def sse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with proxied(tmp_path_factory.mktemp("sse"), "--mode", "sse") as proxy:
        yield proxy


@pytest.fixture(scope="module")
def tcp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with proxied(tmp_path_factory.mktemp("tcp")) as proxy:
        yield proxy


@pytest.fixture(params=["ws", "sse"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def proxy(mode: str, request: pytest.FixtureRequest) -> Proxy:
    found: Proxy = request.getfixturevalue("websocket" if mode == "ws" else "sse")
    return found


def speaks(peer: Peer) -> None:
    """One answer over a WebSocket, a frame every few ms; then it waits for the client to leave."""
    peer.shake()
    peer.message()
    paced(peer, frames(*answer(TEXT)))
    peer.gone()


def tells(peer: Peer) -> None:
    """One answer as events, each in a chunk."""
    peer.request()
    parts = [b"%x\r\n%b\r\n" % (len(part), part) for part in events(*answer(TEXT))]
    peer.send(HEAD)
    paced(peer, [*parts, b"0\r\n\r\n"])
    peer.gone()


def paced(peer: Peer, parts: list[bytes]) -> None:
    try:
        for part in parts:
            peer.send(part)
            peer.pause(PACE_MS)
    except OSError:
        return  # the proxy has ended it, as planned


def untouched(peer: Peer) -> None:
    """A connection that never asks."""
    peer.gone()


def driver(mode: str, proxy: Proxy) -> WebSocketDriver | SseDriver:
    if mode == "ws":
        return WebSocketDriver(f"ws://{proxy.address}/stream", {}, LIMITS)
    return SseDriver(f"http://{proxy.address}", {}, LIMITS, "/chat")


def streams(
    mode: str, proxy: Proxy, plan: str, count: int = TIMES, *, seed: int = 7, script: Script | None = None
) -> list[Timeline]:
    """So many streams, each on a connection of its own."""
    played = script or (speaks if mode == "ws" else tells)
    if plan.startswith("refuse"):
        played = untouched
    timelines = []
    with ScriptServer(*[played] * count) as server:
        proxy.ask("/plan", plan=plan, seed=seed, chunks=len(TEXT), to=f"127.0.0.1:{server.port}")
        for _ in range(count):
            user = driver(mode, proxy)
            # The gap limit is for `mute` alone: six times the longest stall of a clean stream here.
            short = limits(gap_ns=300) if plan.startswith("mute") else LIMITS
            timelines.append(follow(user, turn(limits=short, expected_text=TEXT)))
            user.close()
    return timelines


def ends(timelines: list[Timeline]) -> list[tuple[str | None, str | None]]:
    return [end(timeline)[:2] for timeline in timelines]


BOTH = {
    "drop": ("BROKEN", "loss"),
    "duplicate": ("BROKEN", "duplicate"),
    "reorder": ("BROKEN", "order"),
    "corrupt": ("BROKEN", "text"),
    "cut rst": ("CUT_OFF", "reset"),
    "cut fin": ("CUT_OFF", "fin"),
    "mute": ("TIMED_OUT", "gap"),
    "late": ("BROKEN", "order"),
    "inject error": ("ERROR", "internal"),
    "inject badjson": ("BROKEN", "text"),
    "inject badutf8": ("BROKEN", "text"),
    "refuse 503": ("REFUSED", "capacity"),
    "refuse 403": ("REFUSED", "governance_denied"),
    "split 4": CLEAN,
    "split 9999": CLEAN,
    "coalesce 3": CLEAN,
    "clean": CLEAN,
}
OWN = {
    "ws": {"close 1011": ("CUT_OFF", "1011"), "close 4409": ("CUT_OFF", "4409"), "inject ping": CLEAN},
    "sse": {"close 1011": ("CUT_OFF", "end"), "inject comment": CLEAN},
}


@pytest.mark.parametrize("plan", BOTH)
def test_each_planted_fault_is_named(mode: str, proxy: Proxy, plan: str) -> None:
    """N planted, N named, on chunks that the seed chose."""
    timelines = streams(mode, proxy, plan)

    planted = [entry["connection"] for entry in proxy.planted()]
    assert planted == ([] if plan == "clean" else [1, 2, 3])
    assert ends(timelines) == [BOTH[plan]] * TIMES


@pytest.mark.parametrize(("mode", "plan"), [(mode, plan) for mode, plans in OWN.items() for plan in plans])
def test_each_fault_of_one_protocol_is_named(mode: str, proxy: Proxy, plan: str) -> None:
    """Close frames and pings are the WebSocket's, comments those of events."""
    timelines = streams(mode, proxy, plan)

    assert [entry["connection"] for entry in proxy.planted()] == [1, 2, 3]
    assert ends(timelines) == [OWN[mode][plan]] * TIMES


def test_a_break_is_counted_once(mode: str, proxy: Proxy) -> None:
    """Each break alone, on the chunk that the plan names; the journal says where."""
    plan = "1: drop 5; 2: duplicate 5; 3: reorder 5; 4: corrupt 5; clean"
    timelines = streams(mode, proxy, plan, 5)

    expected = [("loss", 1), ("duplicate", 1), ("order", 1), ("text", 1)]
    assert [timeline.breaks for timeline in timelines] == [*({kind: n} for kind, n in expected), {}]
    where = [
        (entry["connection"], entry["operation"], entry["stream"], entry["chunk"])
        for entry in proxy.planted()
    ]
    words = ["drop 5", "duplicate 5", "reorder 5", "corrupt 5"]
    assert where == [(number, word, 1, 5) for number, word in enumerate(words, 1)]


@pytest.mark.parametrize(
    ("plan", "chunks"), [("cut 4 rst", 4), ("cut 4 fin", 4), ("close 4 1011", 4), ("mute 4", 4)]
)
def test_an_end_leaves_what_came_before(mode: str, proxy: Proxy, plan: str, chunks: int) -> None:
    """Chunk k arrives, and nothing behind it."""
    [timeline] = streams(mode, proxy, plan, 1)

    assert (timeline.chunks, timeline.text) == (chunks, TEXT[:chunks])


def test_a_stall_is_one_gap_of_its_length(mode: str, proxy: Proxy) -> None:
    """At its chunk, and the stream is complete."""
    timelines = streams(mode, proxy, f"stall {STALL_MS}", 2)

    assert ends(timelines) == [CLEAN] * 2
    for timeline, entry in zip(timelines, proxy.planted(), strict=True):
        gaps = timeline.gaps_in_order()
        long = [place for place, gap in enumerate(gaps, 2) if gap > timeline.limits.stall_ns]
        assert long == [entry["chunk"]]
        # Never shorter than planted; how much longer is up to a machine that others use too.
        assert STALL_MS - 1 <= max(gaps) / MS <= STALL_MS + 60


def test_a_late_first_chunk_is_a_late_first_text(mode: str, proxy: Proxy) -> None:
    """And no gap: nothing came before."""
    [late, clean] = streams(mode, proxy, f"1: delay {STALL_MS}; clean", 2)

    assert ends([late, clean]) == [CLEAN] * 2
    assert (late.ttft_ns or 0) / MS >= STALL_MS > (clean.ttft_ns or 0) / MS
    assert max(late.gaps_in_order()) / MS < STALL_MS


def test_growing_gaps_give_a_slope(mode: str, proxy: Proxy) -> None:
    """Gap k is k times the amount longer, so the stream takes the sum of them."""
    [timeline] = streams(mode, proxy, "grow 4", 1)

    assert end(timeline)[:2] == CLEAN
    assert timeline.slope is not None
    assert timeline.slope > 1.5
    assert timeline.last_delta_at is not None
    assert timeline.first_delta_at is not None
    grown = 4 * sum(range(2, len(TEXT) + 1))
    assert (timeline.last_delta_at - timeline.first_delta_at) / MS >= grown


def test_coalesced_chunks_are_unresolved(mode: str, proxy: Proxy) -> None:
    """They share a read, so their own arrival is not known; all is there."""
    [timeline] = streams(mode, proxy, "coalesce 4 5", 1)

    assert (end(timeline), timeline.text) == (("DONE", None, {}), TEXT)
    assert all(delta.mates >= 5 for delta in timeline.deltas[3:8])


def test_a_refusal_never_reaches_the_server(mode: str, proxy: Proxy) -> None:
    """The status is the planned one; the server sees a connection and no request."""
    [timeline] = streams(mode, proxy, "refuse 429", 1)

    assert (end(timeline)[0], timeline.status, timeline.code, timeline.sent is None) == (
        "REFUSED",
        429,
        "rate_limited",
        mode == "ws",
    )


def test_a_close_code_is_changed(websocket: Proxy) -> None:
    """The stream ends as before, its connection with a code that nobody declared."""

    def leaves(peer: Peer) -> None:
        peer.shake()
        peer.message()
        peer.send(b"".join(frames(*answer(TEXT))) + close(1012))
        peer.gone()

    timelines = streams("ws", websocket, "recode 1012 4999", script=leaves)

    assert ends(timelines) == [CLEAN] * TIMES
    assert [timeline.close.code for timeline in timelines if timeline.close is not None] == [4999] * TIMES
    assert [entry["operation"] for entry in websocket.planted()] == ["recode 1012 4999"] * TIMES


MIX = "drop; duplicate; reorder; corrupt; cut rst; split 5; clean"


def test_a_plan_repeats_exactly(mode: str, proxy: Proxy) -> None:
    """Same seed, same faults on the same connections and chunks, same names; all kinds in each round."""
    runs = []
    for _ in range(2):
        named = ends(streams(mode, proxy, MIX, 7, seed=11))
        planted = [(entry["connection"], entry["operation"], entry["chunk"]) for entry in proxy.planted()]
        runs.append((named, planted))

    assert runs[0] == runs[1]
    assert sorted(str(name[1]) for name in runs[0][0]) == [
        *("None", "None", "duplicate", "loss", "order", "reset", "text")
    ]


def test_a_plan_is_dealt_by_the_seed() -> None:
    """What is drawn depends on seed and number alone, and every item comes once a round."""
    plan = Plan.parse(MIX, "ws", seed=3)
    again = Plan.parse(MIX, "ws", seed=3)
    other = Plan.parse(MIX, "ws", seed=4)
    dealt = [plan.deal(number) for number in range(1, 15)]

    assert dealt == [again.deal(number) for number in range(1, 15)]
    assert dealt != [other.deal(number) for number in range(1, 15)]
    kinds = [
        sorted(operations[0].kind if operations else "" for operations in half)
        for half in (dealt[:7], dealt[7:])
    ]
    assert kinds[0] == kinds[1] == ["", "corrupt", "cut", "drop", "duplicate", "reorder", "split"]


@pytest.mark.parametrize(
    ("plan", "mode", "reason"),
    [
        ("drip 3", "ws", "'drip' is no operation"),
        ("cut 3", "ws", "'cut 3' is not cut [k] rst|fin"),
        ("drop 3 4", "ws", "'drop 3 4' is not drop [k]"),
        ("drop -3", "ws", "'drop -3' is not drop [k]"),
        ("stall 1 400", "ws", "stall needs a chunk from 2 on"),
        ("inject 3 comment", "ws", "inject comment has no meaning in mode ws"),
        ("recode 1000 1001", "sse", "recode has no meaning in mode sse"),
        ("x: drop", "ws", "'x' is no number of a connection"),
        ("drop", "tcp", "a plan needs --mode ws or sse"),
    ],
)
def test_a_plan_that_is_none(plan: str, mode: Mode, reason: str) -> None:
    """It is refused, and why is said."""
    with pytest.raises(Refused) as refused:
        Plan.parse(plan, mode)

    assert str(refused.value).startswith(reason)


@pytest.mark.parametrize(
    "wrong", [["--plan", "drop"], ["--fault", "rate 0"], ["--to", "nowhere"], ["--listen", "unix:x"]]
)
def test_a_proxy_that_cannot_start(wrong: list[str]) -> None:
    """One line and exit code 2."""
    argv = [sys.executable, "-m", "load.faults.proxy", "--to", "127.0.0.1:9", *wrong]
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE_S, cwd=ROOT, check=False)

    assert (ended.returncode, ended.stderr.count("\n"), ended.stderr[:7]) == (2, 1, "proxy: ")


def test_a_question_that_makes_no_sense(tcp: Proxy) -> None:
    """The admin interface says 422 and goes on."""
    with pytest.raises(HTTPError) as refused:
        tcp.ask("/fault", fault="rate fast")

    assert (refused.value.code, tcp.ask("/state")["faults"]) == (422, [])
    refused.value.close()


# The network itself: bytes through a server that says everything again


def echoes(peer: Peer) -> None:
    """Says everything again until the client has ended its side, then ends its own."""
    try:
        while data := peer.sock.recv(65_536):
            peer.sock.sendall(data)
    except OSError:
        return


def repeats(size: int) -> Script:
    """Sends so many bytes and waits for the end."""

    def script(peer: Peer) -> None:
        peer.send(b"x" * size)
        try:
            peer.gone()
        except OSError:
            return

    return script


@contextmanager
def client(proxy: Proxy, script: Script, *faults: str) -> Iterator[socket.socket]:
    """A connection to the script through a proxy with these faults."""
    with ScriptServer(script) as server:
        proxy.ask("/plan", plan="", to=f"127.0.0.1:{server.port}")
        for fault in faults:
            proxy.ask("/fault", fault=fault)
        try:
            with connected(proxy) as sock:
                yield sock
        finally:
            proxy.ask("/clear", all=True)


def connected(proxy: Proxy) -> socket.socket:
    host, _, port = proxy.address.partition(":")
    return socket.create_connection((host, int(port)), timeout=PATIENCE_S)


def all_of(sock: socket.socket) -> bytes:
    """Up to the FIN."""
    received = b""
    while data := sock.recv(65_536):
        received += data
    return received


def timed(sock: socket.socket, message: bytes) -> tuple[bytes, float]:
    """The echo, and after how many ms it had come."""
    began = time.monotonic()
    sock.sendall(message)
    heard = sock.recv(65_536)
    return heard, (time.monotonic() - began) * 1000


def silent(sock: socket.socket, ms: int = 150) -> bool:
    """Whether nothing comes for a while; nothing can tell that nothing will."""
    readable, _, _ = select.select([sock], [], [], ms / 1000)
    return not readable


def test_bytes_pass_untouched(tcp: Proxy) -> None:
    """Also the end of one direction."""
    with client(tcp, echoes) as sock:
        sock.sendall(bytes(range(256)) * 100)
        sock.shutdown(socket.SHUT_WR)

        assert all_of(sock) == bytes(range(256)) * 100


@pytest.mark.parametrize(
    ("fault", "added_ms"), [("latency 80", 160), ("latency 80 up", 80), ("latency 80 down", 80)]
)
def test_latency_is_added(tcp: Proxy, fault: str, added_ms: int) -> None:
    """To each direction that it is for."""
    with client(tcp, echoes, fault) as sock:
        heard, took_ms = timed(sock, b"hello")

    assert heard == b"hello"
    assert added_ms <= took_ms <= added_ms + 70


def test_latency_leaves_the_rate(tcp: Proxy) -> None:
    """Bytes wait beside each other, not one behind the other."""
    with client(tcp, repeats(400_000), "latency 100 down") as sock:
        began = time.monotonic()
        size = 0
        while size < 400_000:
            size += len(sock.recv(65_536))

        assert 0.1 <= time.monotonic() - began <= 1.0


def test_a_rate_is_kept(tcp: Proxy) -> None:
    """6,000 bytes at 10,000 a second take 600 ms, less the first portion."""
    with client(tcp, repeats(6_000), "rate 10000 down") as sock:
        began = time.monotonic()
        size = 0
        while size < 6_000:
            size += len(sock.recv(65_536))
        took_ms = (time.monotonic() - began) * 1000

    assert 500 <= took_ms <= 800


def test_frozen_bytes_come_after_the_thaw(tcp: Proxy) -> None:
    """Nothing is lost."""
    with client(tcp, echoes) as sock:
        assert timed(sock, b"one")[0] == b"one"
        tcp.ask("/fault", fault="freeze")
        sock.sendall(b"two")
        assert silent(sock)
        tcp.ask("/fault", fault="thaw")

        assert sock.recv(9) == b"two"


def test_a_black_hole_swallows_bytes_and_the_end(tcp: Proxy) -> None:
    """What was sent into it never comes, and the server does not learn that the client has gone."""
    with client(tcp, echoes) as sock:
        assert timed(sock, b"one")[0] == b"one"
        tcp.ask("/fault", fault="blackhole up")
        sock.sendall(b"two")
        sock.shutdown(socket.SHUT_WR)
        assert silent(sock)
        tcp.ask("/clear", all=True)

        assert all_of(sock) == b""


@pytest.mark.parametrize("count", [1, 1000, 65_536])
def test_a_fin_comes_after_exactly_so_many_bytes(tcp: Proxy, count: int) -> None:
    """Not one more."""
    with client(tcp, repeats(100_000), f"fin after {count} down") as sock:
        assert len(all_of(sock)) == count


@pytest.mark.parametrize("way", ["up", "down"])
def test_a_reset_comes_after_so_many_bytes(tcp: Proxy, way: str) -> None:
    """At both ends; the journal has it."""
    gone: list[str] = []

    def script(peer: Peer) -> None:
        if way == "down":
            peer.send(b"12345")
        gone.append(peer.gone())

    def follow() -> None:
        with client(tcp, script, f"rst after 3 {way}") as sock:
            if way == "up":
                sock.sendall(b"12345")
            all_of(sock)

    with pytest.raises(ConnectionResetError):
        follow()  # the reset may overtake the end of our own connect

    assert [entry["operation"] for entry in tcp.planted()] == [f"rst after 3 {way}"] * 2
    assert gone == ["reset"]


def test_a_door_is_closed_and_opened(tcp: Proxy) -> None:
    """`refuse` is a real refusal by the kernel, on the same port."""
    with client(tcp, echoes) as sock:
        tcp.ask("/fault", fault="refuse")
        with pytest.raises(ConnectionRefusedError):
            connected(tcp)
        assert timed(sock, b"open ones go on")[0] == b"open ones go on"
    with client(tcp, echoes) as sock:
        assert timed(sock, b"again")[0] == b"again"


def test_a_connect_gets_no_answer(tcp: Proxy) -> None:
    """The kernel's queue is full, so a connect times out."""
    with client(tcp, echoes):
        tcp.ask("/fault", fault="unanswered")
        host, _, port = tcp.address.partition(":")
        with pytest.raises(TimeoutError):
            socket.create_connection((host, int(port)), timeout=0.3)
    with client(tcp, echoes) as sock:
        assert timed(sock, b"again")[0] == b"again"


def test_one_connection_alone(tcp: Proxy) -> None:
    """The second of two; the first does not notice."""
    with ScriptServer(echoes, echoes) as server:
        tcp.ask("/plan", plan="", to=f"127.0.0.1:{server.port}")
        with connected(tcp) as one, connected(tcp) as two:
            timed(one, b"1")
            timed(two, b"2")
            tcp.ask("/fault", fault="freeze", connection=2)
            two.sendall(b"2")
            assert (timed(one, b"1")[0], silent(two)) == (b"1", True)
            tcp.ask("/clear", all=True)
            assert two.recv(9) == b"2"


def test_the_target_may_be_a_unix_socket(tcp: Proxy, tmp_path: Path) -> None:
    """As PostgreSQL has one."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        tcp.ask("/plan", plan="", to=f"unix:{path}")
        with connected(tcp) as sock:
            server, _ = listener.accept()
            with server:
                sock.sendall(b"hello")
                assert server.recv(9) == b"hello"
                server.sendall(b"you")
                assert sock.recv(9) == b"you"


def test_nothing_stays_open(tcp: Proxy, websocket: Proxy, sse: Proxy) -> None:
    """Whatever was planted, the proxy is rid of its connections."""

    def all_ended() -> bool:
        return [proxy.ask("/state")["open"] for proxy in (tcp, websocket, sse)] == [0, 0, 0]

    eventually(all_ended, "the end of all connections")


def test_it_stops_when_it_is_told(tmp_path: Path) -> None:
    """SIGTERM ends it with 0, also while a connection is open."""
    with (
        ScriptServer(echoes) as server,
        proxied(tmp_path, "--to", f"127.0.0.1:{server.port}") as proxy,
        connected(proxy) as sock,
    ):
        timed(sock, b"hello")
        ended = proxy.child.stop(5)

    assert (ended.returncode, ended.forced) == (0, False)
