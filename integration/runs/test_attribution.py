"""Who reached an error path is counted exactly, however many reach it at once."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeAlias

import pytest

from integration.covered import Measured
from integration.subject import stage
from integration.subject.clients import Agent, Service
from integration.timing import MS
from integration.upstream import Upstream, scripted
from load.drivers.base import Driver, Turn
from load.drivers.clock import now_ns
from load.drivers.http import HttpDriver
from load.drivers.raw import RawClient, say
from load.drivers.sse import SseDriver
from load.drivers.websocket import WebSocketDriver
from load.metrics.stream import Limits
from load.metrics.timeline import Timeline
from load.target.pathparts import read_path_part

SCENARIOS = 8
MOST = 5
"""Failures of one kind and scenario."""

ROUNDS = 10
FIRST_TOKEN_S = 0.3
SETTINGS = {
    "BACKEND_FIRST_TOKEN_TIMEOUT": str(FIRST_TOKEN_S),
    "BACKEND_MAX_RUNS": "200",
    "BACKEND_MAX_CONNECTIONS": "400",
}
CODES = (
    "unauthenticated",
    "not_found",
    "invalid_request",
    "malformed_frame",
    "governance_denied",
    "no_provider",
    "first_token_timeout",
    "provider_auth",
)
STATUSES = {
    "unauthenticated": "401",
    "not_found": "404",
    "invalid_request": "422",
    "governance_denied": "403",
    "provider_auth": "424",
}
"""Of those that are answered over HTTP."""

Sent: TypeAlias = Counter[tuple[str, str]]
"""Failures by label and code."""


class Failures:
    """One scenario's ways to fail, each by the driver that a load run would take."""

    def __init__(self, service: Service, agents: dict[str, Agent], label: str) -> None:
        self._service = service
        self._agents = agents
        self._bare = {"x-load-scenario": label}
        self._headers = {**self._bare, "authorization": f"Bearer {service.person().token}"}

    def ways(self) -> dict[str, Callable[[], object]]:
        """By the code that each ends with."""
        return {
            "unauthenticated": self.unauthenticated,
            "not_found": self.not_found,
            "invalid_request": self.invalid_request,
            "malformed_frame": self.malformed_frame,
            "governance_denied": self.governance_denied,
            "no_provider": self.no_provider,
            "first_token_timeout": self.first_token_timeout,
            "provider_auth": self.provider_auth,
        }

    def unauthenticated(self) -> None:
        self._http("GET", "/api/agents", 401, headers=self._bare)

    def not_found(self) -> None:
        self._http("GET", "/api/agents/nobody", 404)

    def invalid_request(self) -> None:
        self._http("POST", f"/api/agents/{self._agents['quick'].id}/chat", 422, {"message": " "})

    def malformed_frame(self) -> None:
        url = self._service.stream_url(self._agents["quick"].id)
        with RawClient.connect(url, int(10_000 * MS * 1e9)) as client:
            client.send(client.handshake(self._headers))
            assert client.answer().status == 101
            client.send(say(type="nonsense"))
            assert client.message()["error"]["code"] == "malformed_frame"

    def governance_denied(self) -> None:
        agent = self._service.demo["STUDENT"]
        driver = SseDriver(self._service.target.url, self._headers, Limits(), f"/api/agents/{agent.id}/chat")
        self._stream(driver, "governance_denied")

    def no_provider(self) -> None:
        url = self._service.stream_url(self._agents["nobody"].id)
        self._stream(WebSocketDriver(url, self._headers, Limits()), "no_provider")

    def first_token_timeout(self) -> None:
        url = self._service.stream_url(self._agents["silent"].id)
        self._stream(WebSocketDriver(url, self._headers, Limits()), "first_token_timeout")

    def provider_auth(self) -> None:
        path = f"/api/agents/{self._agents['locked'].id}/chat"
        self._http("POST", path, 424, {"message": "Hello"})

    def _http(
        self,
        method: str,
        path: str,
        status: int,
        body: object = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        driver = HttpDriver(self._service.target.url, headers or self._headers, Limits())
        try:
            assert driver.request(method, path, body).status == status
        finally:
            driver.close()

    def _stream(self, driver: Driver, code: str) -> None:
        timeline = Timeline(Limits())
        try:
            driver.stream(Turn("Hello", 1, None, now_ns(), Limits()), timeline.take)
        finally:
            driver.close()
        assert timeline.code == code


def plan(seed: int) -> dict[str, list[str]]:
    """What each scenario does, in its order."""
    chance = random.Random(seed)
    plans = {}
    for number in range(SCENARIOS):
        listed = [code for code in CODES for _ in range(chance.randint(0, MOST))]
        chance.shuffle(listed)
        plans[f"scenario-{number}"] = listed
    return plans


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    with scripted(tmp_path_factory.mktemp("upstream")) as running:
        yield running


@contextmanager
def server(measured: Measured, upstream: Upstream, name: str) -> Iterator[tuple[Service, dict[str, Agent]]]:
    with stage.running(measured, name, {**SETTINGS, **upstream.settings}) as service:
        silent = upstream.put("silent", [["sleep", 5000]])
        locked = upstream.put("locked", [["status", 401, {}, "no"]])
        yield (
            service,
            {
                "quick": service.agent(),
                "nobody": service.agent(model="none/x"),
                "silent": service.agent(model=silent),
                "locked": service.agent(model=locked),
            },
        )


@pytest.mark.holds
@pytest.mark.timeout(60)
@pytest.mark.parametrize("seed", range(ROUNDS))
def test_every_failure_is_counted_under_its_own_label(
    measured: Measured, upstream: Upstream, seed: int
) -> None:
    """Eight scenarios at once, each with its own number of each failure: the map has these numbers."""
    plans = plan(seed)
    sent: Sent = Counter((label, code) for label, codes in plans.items() for code in codes)
    with server(measured, upstream, f"attribution-{seed}") as (service, agents):

        def play(label: str) -> None:
            ways = Failures(service, agents, label).ways()
            for code in plans[label]:
                ways[code]()

        with ThreadPoolExecutor(SCENARIOS) as pool:
            for _ in pool.map(play, plans):
                pass
        part = service.target.part
    found = read_path_part(part.with_name(part.name + ".paths.json"))
    sites = {site.id: site for site in found.sites}
    raised: Sent = Counter()
    again: Sent = Counter()
    answered: Sent = Counter()
    fired: Counter[str] = Counter()
    for hit in found.hits:
        site = sites[hit.site]
        if (site.kind, hit.exception) == ("raise", "Problem") and site.sub != "re-raise":
            # What a run ended with is raised once more for whoever waits for it over HTTP.
            (again if site.detail == "told" else raised)[hit.label, str(hit.code)] += hit.count
        elif site.id.startswith("backend/api/answers.py::problem_response::respond"):
            answered[hit.label, str(hit.code)] += hit.count
        elif (site.kind, site.sub) == ("timeout", "fired") and site.disposition == "handler":
            fired[hit.label] += hit.count

    assert (found.final, found.probe_errors, found.unhooked) == (True, 0, ())
    assert raised == sent
    assert again == of(sent, {"provider_auth"})
    assert answered == Counter(
        {(label, STATUSES[code]): n for (label, code), n in of(sent, set(STATUSES)).items()}
    )
    assert fired == Counter({label: n for (label, _), n in of(sent, {"first_token_timeout"}).items()})


def of(sent: Sent, codes: set[str]) -> Sent:
    """Those with one of these codes."""
    return Counter({key: n for key, n in sent.items() if key[1] in codes})
