"""The end phase, behind the measuring window: what touches everybody comes when everybody has left.

the database is locked while an answer ends, and freed in time; then for longer than anybody waits
a quiet second: everything that was taken is given back
the target is told to stop while two answers run, one that is finished within the drain and one that is
not, and somebody comes too late
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar, Final

import gevent
from locust.env import Environment

from load.drivers.websocket import WebSocketDriver
from load.errors import InvalidRun, LoadError
from load.metrics.events import Beat, Event
from load.metrics.timeline import Timeline
from load.scenarios.base import AgentUser
from load.scenarios.expect import DONE, Expect, error, refused
from load.scenarios.profile import BRIEF_CHUNKS, DB_LOCK_TIMEOUT_S, LEASE_TTL_S, REPLAY_TTL_S
from load.scenarios.rest import Rest, look, provider_stats
from load.scenarios.rows.runs import Progress, beside, check_stored, ended, until
from load.target.locks import Locks

START_TIMEOUT_S: Final = 3.0
PROTOCOL: Final = ("agentchat.v1",)
RESTART: Final = 1012

SHORT_LOCK_S: Final = 0.3
LOCK_AT_MOST_S: Final = 12.0
"""Until then it is freed by us."""

SWEEP_S: Final = LEASE_TTL_S + 2.0
"""A row that could not be written is written by a sweep, every third of that time."""

QUIET_S: Final = 1.0
REST_TIMEOUT_S: Final = REPLAY_TTL_S + 2.0
LOOK_EVERY_S: Final = 0.25


class Ending(AgentUser):
    """The last user; made by the plugin, never spawned."""

    abstract = True
    scenario = "ending"
    of_failures = True
    ROWS: ClassVar = {
        "commit_delayed": "D2",
        "create_locked": "D1",
        "create_locked_stream": "D1",
        "commit_failed": "D3",
        "at_rest": "S9",
        "drain_finishes": "S1",
        "drain_exceeded": "S2",
        "late_connect": "H10",
        "late_request": "H10",
    }
    """What it books -> the row of docs/errors.md."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.token = self.session.tokens[0]  # of an ordinary user: nobody has emptied its rate

    def due_ns(self) -> int:
        """Now: the end phase has no schedule."""
        return time.perf_counter_ns()

    def end(self, locks: Callable[[], Locks], before: Rest, stop: Callable[[], None]) -> None:
        """All of it. locks: starts what locks the database. before: what the target held when nobody had
        come. stop: signals the target."""
        try:
            with locks() as held:
                self.lock_briefly(held)
                self.leave()  # who is silent for long is asked whether it is there, and we do not listen
                self.lock_for_long(held)
                self.leave()
            self.rest(before)
        except LoadError as defect:
            self.session.ledger.defects.append(str(defect))
        self.drain(stop)
        self.leave()

    # -- the database is locked

    def lock_briefly(self, locks: Locks) -> None:
        """D2: the answer ends while nobody may write; its end is told when it is stored, and not before."""
        name, seen = "commit_delayed", Progress()
        ends: list[Timeline] = []
        freed_ns = 0
        with beside(lambda: ends.append(self._answer("brief", DONE, name, seen.see))):
            until(lambda: seen.execution_id)
            locks.lock(LOCK_AT_MOST_S)
            spoken = seen.chunks == BRIEF_CHUNKS
            until(lambda: seen.chunks == BRIEF_CHUNKS)
            gevent.sleep(SHORT_LOCK_S)
            freed_ns = locks.unlock()
        if spoken:
            raise InvalidRun("the database was locked too late to be in the way of an answer's end")
        if (ends[0].ended_at or 0) < freed_ns:
            self.unexpected(name, DONE, "told to be done before that could be stored")

    def lock_for_long(self, locks: Locks) -> None:
        """D1, D3: nothing begins, and what ends is told as it is: not stored. Its row follows."""
        failed, seen = error("storage_unavailable"), Progress()
        ends: list[Timeline] = []
        with beside(lambda: ends.append(self._answer("closing", failed, "commit_failed", seen.see))):
            until(lambda: seen.execution_id)
            websocket = self.websocket("brief", place=1)
            websocket.open()
            locks.lock(LOCK_AT_MOST_S)
            self._begin_nothing(websocket)
            until(lambda: ends, LOCK_AT_MOST_S)
            locks.unlock()
        stored = ended(self, seen.execution_id, timeout_s=SWEEP_S)
        check_stored(self, "commit_failed", failed, stored, "INTERRUPTED", "storage_unavailable")

    def _begin_nothing(self, websocket: WebSocketDriver) -> None:
        name, expect = "create_locked", refused(503, "storage_unavailable")
        asked = self._asked_of_provider()
        over = self.stream(self.http("brief"), self.turn("Hello?"), expect, name)
        self.stream(websocket, self.turn("Hello?"), error("storage_unavailable"), "create_locked_stream")
        websocket.close()
        if self._asked_of_provider() != asked:
            self.unexpected(name, expect, "the provider was asked")
        took_ns, limit_ms = over.total_ns or 0, DB_LOCK_TIMEOUT_S * 1000
        if took_ns < DB_LOCK_TIMEOUT_S * 1e9:
            self.unexpected(name, expect, f"{expect} early: in less than {limit_ms:g} ms")
        outcome = self.session.ledger.outcomes.declare(name, str(expect), of_failures=True)
        outcome.book_deadline(limit_ms, took_ns)

    def _asked_of_provider(self) -> int:
        url = self.session.upstream_url
        return 0 if url is None else provider_stats(url, self.session)["requests"]

    # -- nobody is there

    def rest(self, before: Rest) -> None:
        """S9: what was taken is given back, as soon as the frames of the last run are forgotten."""
        gevent.sleep(QUIET_S)
        deadline = time.monotonic() + REST_TIMEOUT_S
        while above := look(self.session).above(before):
            if time.monotonic() > deadline:
                break
            gevent.sleep(LOOK_EVERY_S)
        for one in above:
            self.unexpected("at_rest", DONE, one)
        if not above:
            self.outcome("at_rest", DONE, DONE)

    # -- the target is told to stop

    def drain(self, stop: Callable[[], None]) -> None:
        """S1, S2, H10: returns when all streams have ended."""
        finishes, exceeds = Progress(), Progress()
        with beside(
            lambda: self._drained("finishing", DONE, "drain_finishes", finishes),
            lambda: self._drained("endless", error("server_shutdown"), "drain_exceeded", exceeds),
        ):
            until(lambda: finishes.execution_id and exceeds.execution_id, START_TIMEOUT_S)
            stop()
            until(lambda: self.http().request("GET", "/health/ready").status == 503, START_TIMEOUT_S)
            late = refused(503, "server_shutdown")
            self.stream(self.websocket("brief", place=1), self.turn("Too late?"), late, "late_connect")
            self.stream(self.http("brief"), self.turn("Too late?"), late, "late_request")

    def _drained(self, agent: str, expect: Expect, name: str, progress: Progress) -> None:
        told: list[str] = []

        def watch(event: Event) -> None:
            progress.see(event)
            if isinstance(event, Beat):
                told.append(event.what)

        driver = self.websocket(agent, subprotocols=PROTOCOL)
        over = self.stream(driver, self.turn("One last thing."), expect, name, watch)
        if "going_away" not in told:
            self.unexpected(name, expect, "not told that the target goes away")
        if over.close is None or over.close.code != RESTART:
            self.unexpected(name, expect, f"not closed with {RESTART}")

    def _answer(self, agent: str, expect: Expect, scenario: str, watch: Callable[[Event], None]) -> Timeline:
        return self.stream(self.websocket(agent), self.turn("One last thing."), expect, scenario, watch)
