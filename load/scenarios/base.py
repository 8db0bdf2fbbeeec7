"""The small API that scenarios are written in: a user class, a weight, a task, an expectation.

    class Ask(AgentUser):
        scenario = "ask"
        weight = 10

        @task
        def turn(self) -> None:
            self.stream(self.websocket("steady"), self.turn("How do I cancel my order?"), DONE)

`AgentUser` gives each user an account, a schedule of intended starts and its connections; it books what came
and tells Locust once for each stream.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

import gevent
from locust import User
from locust.env import Environment
from locust.exception import RescheduleTask, StopUser

from load.drivers.base import Driver, Emit, Frame, Turn
from load.drivers.dialects.mapping import Dialect
from load.drivers.http import HttpDriver, Response
from load.drivers.mapped import driver_of
from load.drivers.mapped_http import MappedHttpDriver
from load.drivers.mapped_websocket import MappedWebSocketDriver
from load.drivers.sse import SseDriver
from load.drivers.websocket import WebSocketDriver
from load.errors import InstrumentError, LoadError, LocalFault
from load.metrics.events import Event
from load.metrics.machine import CLOCKS
from load.metrics.timeline import Limits, TerminalState, Timeline
from load.options import Options
from load.scenarios.accounts import Accounts, Credential
from load.scenarios.arrivals import Schedule
from load.scenarios.expect import DONE, Expect, refused
from load.scenarios.ledger import Ended, Ledger, Origin
from load.scenarios.numbers import Numbers
from load.scenarios.open import Pool
from load.scenarios.prompts import MAX_MESSAGE_CHARS, PromptSource
from load.scenarios.walk import Walk


@dataclass(frozen=True, slots=True)
class Session:
    """What all users of one run share.

    upstream_url: of the provider behind the target; None where it is not ours. tokens: user n takes entry n;
    those beyond the users are for rows that need a second account. admin_token: None where we may not
    administrate. accounts: of a target of the user's own. agents: the profile's name -> id. failures: the
    rows that Failures users reach, taken from `walk`. pool: whose users take the arrivals of open load; None
    where each has its own schedule. numbers, walkers: give each user its own, and each failure user.
    """

    options: Options
    target_url: str
    upstream_url: str | None
    tokens: tuple[str, ...]
    admin_token: str | None
    accounts: Accounts
    agents: Mapping[str, str]
    failures: tuple[str, ...]
    walk: Walk
    ledger: Ledger
    prompts: Callable[[int], PromptSource]
    limits: Limits
    seed: int
    pool: Pool | None = None
    numbers: Numbers = field(default_factory=Numbers)
    walkers: Iterator[int] = field(default_factory=itertools.count)


@dataclass(frozen=True, slots=True)
class Followed:
    """A turn whose answer has ended and is not booked yet; without a state it never came about, by a fault of
    our own, and never is booked."""

    driver: Driver
    origin: Origin
    timeline: Timeline
    frames: list[Frame]


KINDS: Final[Mapping[type, str]] = {
    WebSocketDriver: "WS",
    MappedWebSocketDriver: "WS",
    SseDriver: "SSE",
    MappedHttpDriver: "HTTP",
    HttpDriver: "HTTP",
}
"""How Locust's tables name a driver."""


class AgentUser(User):
    """One person at one chat client.

    scenario: the name its streams are booked under. of_failures: what it does is out of the headline figures.
    """

    abstract = True
    scenario: ClassVar[str] = ""
    of_failures: ClassVar[bool] = False
    session: ClassVar[Session]

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        session = self.session
        self.number = next(session.numbers)
        self.label = self.scenario  # under which the target's lines are recorded
        former = session.numbers.former(self.number)
        again = f"/{former}" if former else ""  # or it would say what the former user said, word by word
        self.random = random.Random(f"{session.seed}/{self.number}/choices{again}")
        self.token = session.tokens[self.number % len(session.tokens)] if session.tokens else ""
        self.schedule = Schedule(
            session.options.arrivals,
            session.options.think_s,
            session.seed,
            self.number,
            time.perf_counter_ns(),
        )
        self.prompts = session.prompts(self.number)
        self._drivers: dict[str, Driver] = {}
        self._credentials: dict[str, Credential] = {}
        self._ended_ns = 0
        self._pool = None if self.of_failures else session.pool

    def on_stop(self) -> None:
        self.leave()
        ledger = self.session.ledger
        if self._pool is None and not self.of_failures and ledger.steady_until_ns is not None:
            self._forget(ledger.steady_until_ns)
        self.session.numbers.give_back(self.number)

    def _forget(self, until_ns: int) -> None:
        """What was due by then comes no more; it is counted."""
        for intended_ns in self.schedule.overdue(until_ns):
            self.session.ledger.never_sent(self.scenario, intended_ns)

    def leave(self) -> None:
        """Closes the user's connections and books what ended on them."""
        while self._drivers:
            _, driver = self._drivers.popitem()
            driver.close()
            self.session.ledger.left(driver)

    def tend(self) -> None:
        """What a client does while nobody speaks: its idle connections answer pings."""
        for driver in list(self._drivers.values()):
            if isinstance(driver, WebSocketDriver | MappedWebSocketDriver):
                try:
                    driver.tend()
                except LoadError as defect:
                    self.session.ledger.defects.append(f"{self.scenario}: {defect}")

    def wait_time(self) -> float:
        """Seconds until the next intended start; 0 when it is overdue. In open load `turn` waits for one."""
        if self._pool is not None:
            return 0.0
        return max(0.0, (self.schedule.next_ns - time.perf_counter_ns()) / 1e9)

    def due_ns(self) -> int:
        """When the stream that is about to start was intended; never in the future. In open load each call
        waits for an arrival."""
        if self._pool is not None:
            intended_ns = self._pool.take()
            if intended_ns is None:
                raise StopUser
            return intended_ns
        return min(self.schedule.next_ns, time.perf_counter_ns())

    def agent(self, name: str) -> str:
        """The target's id of an agent of the profile."""
        return self.session.agents[name]

    # -- connections: one of each kind and agent, opened at the first stream

    def websocket(
        self, agent: str, *, place: int = 0, token: str | None = None, subprotocols: Sequence[str] = ()
    ) -> WebSocketDriver:
        """The user's WebSocket to an agent, by profile name or id. place: for several at once; those of one
        place offer the same subprotocols."""
        url = urlsplit(self.session.target_url)
        scheme = "wss" if url.scheme == "https" else "ws"
        path = f"{url.path.rstrip('/')}/api/agents/{self.session.agents.get(agent, agent)}/stream"
        address = url._replace(scheme=scheme, path=path).geturl()
        key = f"ws {agent} {place} {token or ''}"
        driver = self._drivers.get(key)
        if not isinstance(driver, WebSocketDriver):
            driver = self._drivers[key] = WebSocketDriver(
                address,
                self.headers(token),
                self.session.limits,
                subprotocols=subprotocols,
                trace=self.session.options.trace_headers,
                hear=self.hear,
            )
        return driver

    def http(self, agent: str = "", *, token: str | None = None) -> HttpDriver:
        """The user's HTTP connection; with `agent`, one whose turns are chats with it."""
        agent_id = self.session.agents.get(agent, agent)
        key = f"http {agent_id} {token or ''}"
        driver = self._drivers.get(key)
        if not isinstance(driver, HttpDriver):
            path = f"/api/agents/{agent_id}/chat"
            driver = HttpDriver(
                self.session.target_url,
                self.headers(token),
                self.session.limits,
                path,
                trace=self.session.options.trace_headers,
            )
            self._drivers[key] = driver
        return driver

    def sse(self, agent: str, *, token: str | None = None) -> SseDriver:
        """The user's connection for answers of an agent as server-sent events."""
        key = f"sse {agent} {token or ''}"
        driver = self._drivers.get(key)
        if not isinstance(driver, SseDriver):
            path = f"/api/agents/{self.session.agents.get(agent, agent)}/chat"
            driver = self._drivers[key] = SseDriver(
                self.session.target_url,
                self.headers(token),
                self.session.limits,
                path,
                trace=self.session.options.trace_headers,
            )
        return driver

    def mapped(self, dialect: Dialect, values: Mapping[str, str]) -> Driver:
        """The user's connection in a dialect; a new one when its token was renewed."""
        credential = self.session.accounts.credential(self.number)
        key = f"{dialect.name} {dialect.path} {sorted(values.items())}"
        driver = self._drivers.get(key)
        if driver is not None and self._credentials.get(key) != credential:
            driver.close()
            self.session.ledger.left(driver)
            driver = None
        if driver is None:
            self._credentials[key] = credential
            driver = self._drivers[key] = driver_of(
                dialect.carrying(credential.query, credential.subprotocol),
                self.session.target_url,
                {**self.headers(), **credential.headers},
                self.session.limits,
                values,
                trace=self.session.options.trace_headers,
                hear=self.hear,
            )
        return driver

    def headers(self, token: str | None = None) -> dict[str, str]:
        """What each request and handshake of this user carries."""
        token = token or self.token
        headers = {"authorization": f"Bearer {token}"} if token else {}
        if self.session.options.host is None:
            headers["x-load-scenario"] = self.label
        return headers

    # -- what a task does

    def turn(self, prompt: str, session_id: str | None = None, **facts: Any) -> Turn:
        """One message, due at the user's intended start. facts: further fields of `Turn`.

        With a provider of ours it begins with a word of its own, by which the provider's journal knows it.
        """
        word = f"{self.random.getrandbits(48):012x}"
        if self.session.upstream_url is None or not prompt.strip():
            word = ""
        return Turn(
            prompt=led_by(word, prompt),
            seed_word=word,
            seed=self.random.getrandbits(32),
            session_id=session_id,
            intended_ns=self.due_ns(),
            limits=self.session.limits,
            **facts,
        )

    def stream(
        self,
        driver: Driver,
        turn: Turn,
        expect: Expect = DONE,
        scenario: str | None = None,
        watch: Callable[[Event], None] | None = None,
    ) -> Timeline:
        """Sends one turn, follows its answer to the end, books it under `scenario` (else the user's own).

        watch: is shown each event after the timeline has taken it.
        """
        followed = self.follow(driver, turn, scenario or self.scenario, watch)
        self.book(followed, expect)
        return followed.timeline

    def follow(
        self,
        driver: Driver,
        turn: Turn,
        scenario: str,
        watch: Callable[[Event], None] | None = None,
        how: Callable[[Turn, Emit], None] | None = None,
    ) -> Followed:
        """The same, not booked yet: for scenarios where the answer says what was to be expected. Whoever
        calls it calls `book` for it, before the next turn of that driver. how: a way of the driver to come to
        a stream, else its `stream`."""
        session = self.session
        timeline = Timeline(turn.limits, turn.expected_text)
        frames: list[Frame] = []
        utc = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        origin = Origin(
            scenario,
            self.number,
            turn.seed,
            utc,
            word=turn.seed_word,
            busy=turn.intended_ns < self._ended_ns,
            of_failures=self.of_failures,
        )
        session.ledger.began(turn.intended_ns)
        try:
            (how or driver.stream)(turn.recorded(frames), _both(timeline.take, watch))
            if timeline.state is None:
                raise InstrumentError("a stream returned without an end")
        except gevent.GreenletExit:
            # Locust may kill a waiting user in the moment in which its next task begins.
            session.ledger.abandoned(origin, timeline)
            raise
        except LocalFault as fault:
            session.ledger.run.health.fault(str(fault))
            session.ledger.failed_here(origin, timeline)
            driver.close()
        except Exception as defect:  # whatever a scenario or driver raises is a defect of ours, and told
            what = str(defect) if isinstance(defect, LoadError) else f"{type(defect).__name__}: {defect}"
            session.ledger.defects.append(f"{scenario}: {what}")
            session.ledger.failed_here(origin, timeline)
            driver.close()
            raise
        finally:
            self._ended_ns = time.perf_counter_ns()
            self.schedule.advance(self._ended_ns)
            session.ledger.over(turn.intended_ns)
            if session.ledger.steps is not None and self._pool is None:
                self._forget(session.ledger.steps.forgotten_ns)
        if timeline.state is TerminalState.ERROR:
            self._told(timeline.code, None)
        elif timeline.status is not None:
            self._told(timeline.code, timeline.status)
        return Followed(driver, origin, timeline, frames)

    def book(self, followed: Followed, expect: Expect, scenario: str | None = None) -> None:
        """Books a followed turn, under another name where the answer told which."""
        origin, timeline = followed.origin, followed.timeline
        if timeline.state is None:
            return
        if scenario is not None:
            origin = dataclasses.replace(origin, scenario=scenario)
        kind = self.session.ledger.protocols[origin.scenario] = KINDS[type(followed.driver)]
        tell = functools.partial(self._tell_locust, kind, origin.scenario, timeline, str(expect))
        self.session.ledger.ended(followed.driver, Ended(origin, expect, timeline, followed.frames, tell))

    def call(
        self, method: str, path: str, body: object = None, *, expect: Expect = DONE, scenario: str
    ) -> Response:
        """One request that is no stream, booked under `scenario`."""
        try:
            response = self.http().request(method, path, body)
        except LocalFault as fault:
            self.session.ledger.run.health.fault(str(fault))
            raise RescheduleTask from fault
        self.book_call(response, expect, scenario)
        return response

    def book_call(self, response: Response, expect: Expect, scenario: str) -> None:
        """A 2xx is DONE, a limit of ours TIMED_OUT, all else REFUSED with its status and problem code."""
        came = DONE if 200 <= response.status < 300 else refused(response.status, response.code)
        if response.failure in CLOCKS:
            came = Expect(TerminalState.TIMED_OUT, response.failure)
        self._told(response.code, response.status)
        took_ns = response.done_ns - response.sent_ns
        seen = self.session.ledger.book_call(
            scenario,
            expect,
            came,
            response.correlation_id,
            observed_ns=None if expect.limit_s is None else took_ns,
            of_failures=self.of_failures,
        )
        self._request("HTTP", scenario, took_ns, len(response.body), str(expect), seen)

    def outcome(
        self, scenario: str, expect: Expect, came: Expect, *, after_s: float = 0.0, stream_id: str = "unknown"
    ) -> None:
        """Books what the scenario itself saw where no driver looked, on a raw socket for example.

        after_s: how long it took, counted from no later than the clock of the deadline that `expect` names.
        """
        observed_ns = None if expect.limit_s is None else int(after_s * 1e9)
        seen = self.session.ledger.book_call(
            scenario, expect, came, stream_id, observed_ns=observed_ns, of_failures=self.of_failures
        )
        self._request("RAW", scenario, int(after_s * 1e9), 0, str(expect), seen)

    def unexpected(self, scenario: str, expect: Expect, seen: str, stream_id: str = "unknown") -> None:
        """Books something that nobody declared, beside what the streams of the scenario say themselves.

        seen: what came instead, without times or ids: equal texts are one finding.
        """
        self.session.ledger.book_unexpected(scenario, expect, seen, stream_id, of_failures=self.of_failures)
        self._request("RAW", scenario, 0, 0, str(expect), seen)

    def hear(self, what: str) -> None:
        """Counts what became of a WebSocket connection of this user, as `Outcomes.connection` takes it."""
        self.session.ledger.outcomes.connection(self.label, what)

    def _told(self, code: str | None, status: int | None) -> None:
        """Counts an error that the target told, by the label of the request. status: None within a stream."""
        if status is None or status >= 400:
            self.session.ledger.outcomes.tell(self.label, code or str(status or "error"))

    def _tell_locust(
        self, kind: str, scenario: str, timeline: Timeline, expected: str, seen: str | None
    ) -> None:
        self._request(kind, scenario, timeline.total_ns or 0, len(timeline.text), expected, seen)

    def _request(
        self, kind: str, scenario: str, total_ns: int, length: int, expected: str, seen: str | None
    ) -> None:
        """One `request` event a stream: Locust's own tables show it, our figures never come from there."""
        self.environment.events.request.fire(
            request_type=kind,
            name=scenario,
            response_time=total_ns / 1e6,
            response_length=length,
            exception=None if seen is None else f"{seen}, expected {expected}",
            context={},
        )


def led_by(word: str, prompt: str) -> str:
    """`word prompt`, cut to what can be sent if `prompt` alone could be."""
    led = f"{word} {prompt}" if word else prompt
    return led[:MAX_MESSAGE_CHARS] if len(prompt) <= MAX_MESSAGE_CHARS else led


def _both(take: Callable[[Event], None], watch: Callable[[Event], None] | None) -> Callable[[Event], None]:
    if watch is None:
        return take  # the usual case costs no further call for each chunk

    def take_and_watch(event: Event) -> None:
        take(event)
        watch(event)

    return take_and_watch
