"""Starts both arms of a comparison, again and again: fresh processes, a fresh database, the same settings.

    base   exactly the commit of --base, or what --base-app names, or the server of --base-host
    head   a copy of the working tree, or the server of --host

An arm of the bundled backend is set up once; each start gets a copy of what that left. Any other target is
set up for each start as its configuration says.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeVar
from urllib.parse import urlsplit

import gevent

from load.drivers.base import Driver, Turn
from load.drivers.clock import now_ns
from load.drivers.http import HttpDriver
from load.drivers.mapped import driver_of
from load.drivers.websocket import WebSocketDriver
from load.errors import InvalidRun, LoadError, TargetDown
from load.metrics.timeline import TerminalState, Timeline
from load.scenarios.accounts import Accounts, Auth
from load.scenarios.paired import ARMS, BASE, HEAD, LIMITS, Server
from load.scenarios.plans import Plan
from load.scenarios.profile import AgentPlan
from load.target.config import TargetConfig
from load.target.launch import Target, launch, set_up

T = TypeVar("T")

STOP_S: Final = 1.0
AGENT: Final = "compared"
PROMPT: Final = "Is somebody there?"


@dataclass(frozen=True, slots=True)
class Arm:
    """What is started for one arm. config: None for a server that runs already, at `url`. plan: what is said
    to a target of the user's own; None for the bundled backend. model: what answers it."""

    name: str
    folder: Path
    config: TargetConfig | None
    plan: Plan | None
    auth: Auth
    model: str
    places: Mapping[str, str] = field(default_factory=dict)
    url: str = ""
    tokens: tuple[str, ...] = ()
    agent: str = ""


@dataclass(slots=True)
class Started:
    """One life of an arm. target: None where it is not ours."""

    server: Server
    target: Target | None

    def stop(self) -> None:
        """May be called again."""
        if self.target is not None:
            self.target.stop(STOP_S)
            shutil.rmtree(self.target.scratch, ignore_errors=True)


class Arms:
    """Both arms, and what runs of them now."""

    def __init__(self, base: Arm, head: Arm, *, trace: bool) -> None:
        self.arms: Mapping[str, Arm] = {BASE: base, HEAD: head}
        self.running: dict[str, Started] = {}
        self._trace = trace
        self._set_up: dict[str, tuple[Path, tuple[str, ...]]] = {}
        self._lives = 0
        self._fresh: Mapping[str, str] | None = None

    def start(self, models: Mapping[str, str] = MappingProxyType({})) -> Mapping[str, Server]:
        """Both arms anew, side by side. models: for those whose provider answers otherwise now.

        Raises TargetDown where head does not start, InvalidRun where base does not.
        """
        fresh, self._fresh = self._fresh, None
        if fresh == models:
            return {name: self.running[name].server for name in ARMS}
        self.stop()
        self._lives += 1
        started = _both({name: partial(self._start, name, models.get(name, "")) for name in ARMS})
        for name, found in started.items():
            if isinstance(found, Started):
                self.running[name] = found
        for name in (HEAD, BASE):
            error = started[name]
            if isinstance(error, BaseException):
                self.stop()
                raise named(name, error) from error
        return {name: self.running[name].server for name in ARMS}

    def stop(self) -> None:
        """Ends what runs."""
        stopping, self.running = list(self.running.values()), {}
        gevent.joinall([gevent.spawn(one.stop) for one in stopping])

    def check(self) -> None:
        """Raises as `start` when one of them has ended by itself."""
        for name in (HEAD, BASE):
            one = self.running.get(name)
            death = None if one is None or one.target is None else one.target.death()
            if death is not None:
                raise named(name, TargetDown(str(death)))

    def try_both(self) -> None:
        """A stream of each arm, answered as its protocol says; the next `start` may take them as they are.
        Raises as `start`."""
        for name in (HEAD, BASE):
            try:
                _try(self.running[name].server)
            except LoadError as error:
                raise named(name, error) from error
        self._fresh = {}

    # -- one arm

    def _start(self, name: str, model: str) -> Started:
        arm = self.arms[name]
        model = model or arm.model
        if arm.config is None:
            return Started(self._server(arm, arm.url, None, arm.tokens, arm.agent, model), None)
        folder = arm.folder / f"{self._lives}"
        if arm.plan is not None:
            target = launch(arm.config, folder, "load", arm.places)
            return self._safe(target, lambda: self._server(arm, target.url, target.pid, (), "", model))
        template, output = self._template(arm)
        shutil.copytree(template, folder / "scratch")
        target = launch(replace(arm.config, setup=()), folder, "load", arm.places)
        demo = json.loads(output[1])
        tokens = tuple(user["token"] for user in demo["users"])

        def serve() -> Server:
            agent = _agent(target.url, demo["admin"]["token"], model)
            return self._server(arm, target.url, target.pid, tokens, agent, model)

        return self._safe(target, serve)

    def _template(self, arm: Arm) -> tuple[Path, tuple[str, ...]]:
        """What its set-up leaves, and says."""
        if arm.name not in self._set_up:
            assert arm.config is not None
            folder = arm.folder / "set-up"
            self._set_up[arm.name] = folder / "scratch", set_up(arm.config, folder, arm.places)
        return self._set_up[arm.name]

    def _safe(self, target: Target, serve: Callable[[], Server]) -> Started:
        """Nothing keeps running when the rest of a start fails."""
        try:
            return Started(serve(), target)
        except BaseException:
            target.stop(STOP_S)
            raise

    def _server(
        self, arm: Arm, url: str, pid: int | None, tokens: tuple[str, ...], agent: str, model: str
    ) -> Server:
        if arm.plan is None:
            address = urlsplit(url)
            scheme = "wss" if address.scheme == "https" else "ws"
            path = f"{address.path.rstrip('/')}/api/agents/{agent}/stream"
            stream = address._replace(scheme=scheme, path=path).geturl()

            def connect(user: int) -> Driver:
                headers = {"authorization": f"Bearer {tokens[user % len(tokens)]}"}
                return WebSocketDriver(stream, headers, LIMITS, trace=self._trace)

            return Server(url, connect, pid)
        plan, accounts = arm.plan, Accounts(arm.auth, url)
        values = {**plan.values, "model": model or plan.values.get("model", "")}

        def connect_own(user: int) -> Driver:
            credential = accounts.credential(user)
            dialect = plan.dialect.carrying(credential.query, credential.subprotocol)
            return driver_of(dialect, url, credential.headers, LIMITS, values, trace=self._trace)

        return Server(url, connect_own, pid)


def _both(starts: Mapping[str, Callable[[], T]]) -> dict[str, T | BaseException]:
    """Side by side; what each gave or raised. Nothing of it outlives whoever waits for it."""

    def caught(start: Callable[[], T]) -> T | BaseException:
        try:
            return start()
        except (Exception, gevent.GreenletExit) as error:  # noqa: BLE001  # told by whoever asked
            return error

    greenlets = {name: gevent.spawn(caught, start) for name, start in starts.items()}
    try:
        gevent.joinall(list(greenlets.values()))
    except BaseException:
        gevent.killall(list(greenlets.values()))
        for greenlet in greenlets.values():
            if isinstance(greenlet.value, Started):
                greenlet.value.stop()
        raise
    return {name: greenlet.value for name, greenlet in greenlets.items()}


def named(arm: str, error: BaseException) -> BaseException:
    """The error of an arm, by its name: head is what is measured, base is a part of the instrument."""
    if not isinstance(error, LoadError):
        return error
    if arm == HEAD:
        return TargetDown(f"head: {error}")
    text = str(error)
    return InvalidRun(text if text.startswith("base_unusable") else f"base_unusable: {text}")


def _try(server: Server) -> None:
    driver = server.connect(0)
    timeline = Timeline(LIMITS)
    driver.stream(Turn(PROMPT, 1, None, now_ns(), LIMITS), timeline.take)
    driver.close()
    if timeline.state is not TerminalState.DONE or not timeline.deltas:
        state = "nothing" if timeline.state is None else timeline.state.value
        why = (
            timeline.code or (timeline.status and f"status {timeline.status}") or f"{timeline.chunks} chunks"
        )
        raise TargetDown(f"it does not speak the protocol: a first stream ended {state} ({why})")


def _agent(url: str, token: str, model: str) -> str:
    """The id of a new agent of the bundled backend that this model answers for."""
    driver = HttpDriver(url, {"authorization": f"Bearer {token}"}, LIMITS)
    try:
        response = driver.request("POST", "/api/agents", AgentPlan("AUTONOMOUS", model=model).body(AGENT))
    finally:
        driver.close()
    if response.status != 201:
        said = response.body[:200].decode(errors="replace")
        raise TargetDown(f"it answered {response.status} to POST /api/agents: {said}")
    agent: str = response.json()["id"]
    return agent
