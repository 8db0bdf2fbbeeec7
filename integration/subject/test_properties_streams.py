"""Whatever clients do, in whatever order: each sees a part of one log, and the row agrees with its end.

Invariants inv_R1 (one terminal frame, the last), inv_R2 (contiguous), inv_R4 (equal seq, equal bytes),
inv_R6 (frame and row agree), inv_R11 (no bytes keep the server from serving the next client).
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from websockets.exceptions import ConnectionClosed
from websockets.frames import Opcode
from websockets.sync.client import ClientConnection, connect

from integration.subject import stage
from integration.subject.ahead import Ahead, Server
from integration.subject.clients import AGENTCHAT, Agent, Frame, Person, Service
from integration.subject.stage import ended
from integration.timing import PATIENCE_S

QUICK = settings(
    max_examples=15,
    stateful_step_count=15,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    phases=[Phase.generate],
)
THOROUGH = settings(
    QUICK,
    max_examples=300,
    stateful_step_count=40,
    derandomize=False,
    phases=[Phase.generate, Phase.shrink],
)
REFUSALS = {"stream_busy", "resume_invalid_seq", "resume_not_found", "not_found"}

_numbers = itertools.count(1)


QUIET = {"BACKEND_RESUME_GRACE": "0.3", "BACKEND_HEARTBEAT_INTERVAL": "600", "BACKEND_WS_STRIKES": "3"}
AHEAD = (Server("properties", stage.GENEROUS | QUIET),)


@pytest.fixture(scope="module")
def service(ahead: Ahead) -> Iterator[Service]:
    with ahead.running(*AHEAD) as running:
        yield running


@pytest.fixture(scope="module")
def agent(service: Service) -> Agent:
    return service.agent(tokens=12, interval_ms=10)


@dataclass(slots=True)
class Log:
    """What is known of one run: the bytes of each frame that anybody saw."""

    frames: dict[int, str] = field(default_factory=dict)

    def see(self, seq: int, raw: str) -> None:
        assert self.frames.setdefault(seq, raw) == raw, f"frame {seq} has two versions"


class Line:
    """One connection and the run it follows at this moment."""

    def __init__(self, service: Service, agent: Agent, person: Person, logs: dict[str, Log]) -> None:
        self.service = service
        self.logs = logs
        self.run: str | None = None
        self.next_seq = 1
        self.open = True
        self.stack = ExitStack()
        self.socket: ClientConnection = self.stack.enter_context(
            connect(
                service.stream_url(agent.id),
                additional_headers={"Authorization": f"Bearer {person.token}"},
                subprotocols=AGENTCHAT,
                open_timeout=PATIENCE_S,
                close_timeout=PATIENCE_S,
                compression=None,
                proxy=None,
            )
        )
        self.read_to("ready")

    def say(self, **frame: Any) -> None:
        try:
            self.socket.send(json.dumps(frame))
        except ConnectionClosed:
            self.open = False

    def read(self, within_s: float) -> Frame | None:
        """One frame, checked; None when none came, or the connection is closed."""
        try:
            raw = self.socket.recv(within_s, decode=True)
        except TimeoutError:
            return None
        except ConnectionClosed:
            self.open = False
            return None
        frame: Frame = json.loads(raw)
        self.check(frame, raw)
        return frame

    def check(self, frame: Frame, raw: str) -> None:
        if frame["type"] == "resumed":
            assert self.run is None, "a second run on one connection"
            self.next_seq = frame["from_seq"]
            self.run = None if self.is_behind_the_end(frame) else frame["execution_id"]
        elif "seq" in frame:
            if self.run is None:
                self.run, self.next_seq = frame["execution_id"], 1
            assert (frame["execution_id"], frame["seq"]) == (self.run, self.next_seq)
            self.logs.setdefault(self.run, Log()).see(frame["seq"], raw)
            self.next_seq += 1
            if frame["done"]:
                self.run = None
        elif frame["type"] == "error":
            code = frame["error"]["code"]
            assert code == "superseded" if frame["fatal"] else code in REFUSALS, raw

    def is_behind_the_end(self, resumed: Frame) -> bool:
        """Whether nothing follows, since the client said that it had seen the terminal frame."""
        if resumed["status"] in ("QUEUED", "RUNNING"):
            return False
        return bool(resumed["from_seq"] > self.service.run(resumed["execution_id"])["last_seq"])

    def read_to(self, kind: str) -> None:
        """Reads on to a frame of this type, or to the close."""
        deadline = time.monotonic() + PATIENCE_S
        while self.open:
            frame = self.read(PATIENCE_S)
            if frame is not None and frame["type"] == kind:
                return
            assert time.monotonic() < deadline, f"no {kind}"

    def settle(self) -> None:
        """Follows its run to the end, and reads all that was on its way."""
        deadline = time.monotonic() + PATIENCE_S
        while self.open and self.run is not None:
            self.read(PATIENCE_S)
            assert time.monotonic() < deadline, "no terminal frame"
        self.say(type="ping")
        self.read_to("pong")
        if self.open and self.run is not None:  # a chat began between the two
            self.settle()

    def leave(self, how: str) -> None:
        self.open = False
        if how != "close":
            with suppress(OSError):  # the server closed it first
                stage.cut(self.socket.socket, reset=how == "rst")
        self.stack.close()


class Streams(RuleBasedStateMachine):
    """Up to four connections of one user chat, attach, resume, cancel, read and vanish."""

    service: Service
    agent: Agent

    def __init__(self) -> None:
        super().__init__()
        self.case = next(_numbers)
        self.person = self.service.person()
        self.logs: dict[str, Log] = {}
        self.lines: list[Line] = []

    def line(self, pick: int) -> Line:
        return self.lines[pick % len(self.lines)]

    @rule()
    @precondition(lambda self: len(self.lines) < 4)
    def open(self) -> None:
        self.lines.append(Line(self.service, self.agent, self.person, self.logs))

    @rule(pick=st.integers(0, 3), request=st.integers(0, 2))
    @precondition(lambda self: self.lines)
    def chat_or_attach(self, pick: int, request: int) -> None:
        """The same request again attaches to its run; one that came by accident is kept."""
        fate = "cancel" if request == 0 else "continue"
        self.line(pick).say(
            type="chat", message="Hello", request_id=f"{self.case}-{request}", on_disconnect=fate
        )

    @rule(pick=st.integers(0, 3), run=st.integers(0, 5), back=st.integers(-2, 20))
    @precondition(lambda self: self.lines)
    def resume(self, pick: int, run: int, back: int) -> None:
        execution_id, newest = self.known(run)
        self.line(pick).say(type="resume", execution_id=execution_id, last_seq=max(0, newest - back))

    @rule(pick=st.integers(0, 3), run=st.integers(0, 5))
    @precondition(lambda self: self.lines)
    def cancel(self, pick: int, run: int) -> None:
        self.line(pick).say(type="cancel", execution_id=self.known(run)[0])

    def known(self, pick: int) -> tuple[str, int]:
        """A run that was heard of, and its newest frame so far; none is as good as an unknown one."""
        if not self.logs:
            return "exe_unknown", 0
        execution_id = sorted(self.logs)[pick % len(self.logs)]
        return execution_id, max(self.logs[execution_id].frames)

    @rule(pick=st.integers(0, 3), frames=st.integers(1, 8))
    @precondition(lambda self: self.lines)
    def read(self, pick: int, frames: int) -> None:
        line = self.line(pick)
        for _ in range(frames):
            if line.open:
                line.read(0.03)

    @rule(pick=st.integers(0, 3), how=st.sampled_from(["rst", "fin", "close"]))
    @precondition(lambda self: self.lines)
    def leave(self, pick: int, how: str) -> None:
        line = self.line(pick)
        line.leave(how)
        self.lines.remove(line)

    def teardown(self) -> None:
        try:
            for line in self.lines:
                line.settle()
            self.check_ends()
        finally:
            for line in self.lines:
                line.leave("close")

    def check_ends(self) -> None:
        """The whole log of each run, the views of it, and its row are one story."""
        rows = self.service.runs_of(self.person)
        assert set(self.logs) <= {row["id"] for row in rows}
        reader = Line(self.service, self.agent, self.person, self.logs)
        try:
            for execution_id in [row["id"] for row in rows]:
                row = ended(self.service, execution_id)
                reader.say(type="resume", execution_id=execution_id, last_seq=0)
                reader.read_to("resumed")
                reader.settle()
                frames = self.logs[execution_id].frames
                assert sorted(frames) == list(range(1, row["last_seq"] + 1))
                told = [json.loads(frames[seq]) for seq in sorted(frames)]
                assert [frame["done"] for frame in told] == [False] * (len(told) - 1) + [True]
                assert_agree(row, told)
        finally:
            reader.leave("close")


def assert_agree(row: dict[str, Any], told: list[Frame]) -> None:
    end = told[-1]
    text = "".join(frame["delta"] for frame in told if frame["type"] == "delta")
    assert (row["output_text"] or "") == text
    if end["type"] == "done":
        assert (row["status"], row["error_code"], end["response"]) == ("COMPLETED", None, text)
    elif end["type"] == "cancelled":
        assert (row["status"], row["error_code"], end["partial"]) == ("CANCELLED", "cancelled", text)
    else:
        assert end["error"]["code"] == "client_disconnected"
        assert (row["status"], row["error_code"]) == ("CANCELLED", "client_disconnected")
        assert end.get("partial", "") == text


@pytest.mark.parametrize(
    "effort",
    [
        pytest.param(QUICK, id="quick"),
        pytest.param(THOROUGH, id="thorough", marks=[pytest.mark.holds, pytest.mark.timeout(1800)]),
    ],
)
def test_inv_R1_R2_R4_R6_any_interleaving(service: Service, agent: Agent, effort: settings) -> None:
    """Send, cancel, drop, resume and attach in any order on up to four connections of a user."""
    machine = type("OnService", (Streams,), {"service": service, "agent": agent})
    run_state_machine_as_test(machine, settings=effort)
    stage.quiet(service, lambda now: now["runs_active"] == now["ws_connections"] == 0, "rest")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
NEARLY = st.fixed_dictionaries(
    {"type": st.sampled_from(["chat", "cancel", "resume", "ping", "done"]) | JSON},
    optional={
        name: JSON | st.text(max_size=70)
        for name in ("message", "request_id", "execution_id", "last_seq", "nonce", "metadata", "max_tokens")
    },
).map(lambda frame: json.dumps(frame).encode())
DEEDS = st.lists(
    st.tuples(
        st.just(Opcode.TEXT), NEARLY | st.text(max_size=50).map(lambda text: text.encode(errors="replace"))
    )
    | st.tuples(st.sampled_from(list(Opcode)), st.binary(max_size=125))
    | st.tuples(st.none(), st.binary(min_size=1, max_size=200)),
    min_size=1,
    max_size=6,
)


@pytest.mark.parametrize(
    "effort",
    [
        pytest.param(settings(QUICK, max_examples=60), id="quick"),
        pytest.param(
            settings(THOROUGH, max_examples=3000),
            id="thorough",
            marks=[pytest.mark.holds, pytest.mark.timeout(1800)],
        ),
    ],
)
def test_inv_R11_any_bytes_leave_the_next_client_served(
    service: Service, agent: Agent, effort: settings
) -> None:
    """Frames of any kind and content, and bytes that are no frames, before and after a handshake."""
    quick = service.agent(tokens=1, first_token_ms=0)
    sender, next_user = service.person(), service.caller()

    @effort
    @given(deeds=DEEDS, shakes_hands=st.booleans())
    def try_bytes(deeds: list[tuple[Opcode | None, bytes]], shakes_hands: bool) -> None:
        with stage.RawClient(service) as client:
            if shakes_hands:
                client.upgrade(agent, sender)
            for opcode, data in deeds:
                try:
                    if opcode is None:
                        client.socket.sendall(data)
                    else:
                        client.send_frame(opcode, data)
                except OSError:
                    break  # the server has had enough of it
        answer = next_user.chat(quick)
        assert (answer.status_code, answer.json()["finish_reason"]) == (200, "stop")

    try_bytes()
    stage.quiet(service, lambda now: now["runs_active"] == now["ws_connections"] == 0, "rest")
    assert service.target.death() is None
