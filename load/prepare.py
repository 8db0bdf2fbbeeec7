"""Before the first user: starts the target and its provider, or finds the one that runs, and makes the
profile's agents."""

from __future__ import annotations

import json
import re
import resource
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from load.drivers.http import HttpDriver
from load.errors import TargetDown, UsageError
from load.metrics.timeline import Limits
from load.options import Options
from load.scenarios.accounts import Accounts, Auth
from load.scenarios.base import Session
from load.scenarios.failures import ROWS
from load.scenarios.ledger import Ledger
from load.scenarios.open import Pool
from load.scenarios.own import Own
from load.scenarios.preflight import try_plan
from load.scenarios.profile import AGENTS, TARGET_ENV, provider_env
from load.scenarios.prompts import PromptSource, load_prompts
from load.scenarios.rest import Rest, look
from load.scenarios.rows.base import Walker
from load.scenarios.rows.needed import due
from load.scenarios.running import agents_there, given_tokens
from load.scenarios.walk import Walk
from load.target.config import CoverageMode, bundled
from load.target.launch import Target, launch
from load.target.provider import Provider
from load.verdict.validity import descriptors_needed

SECRET: Final = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)
"""Names of settings whose values nobody may read."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """target, provider: what was started; None with `--host`. settings: what the target was given beyond its
    defaults. conversations: how many prompts there are. before: what the target holds before anybody comes;
    None where we may not look."""

    session: Session
    target: Target | None
    provider: Provider | None
    settings: Mapping[str, str]
    conversations: int
    before: Rest | None


def prepare(
    options: Options,
    own: Own | None,
    folder: Path,
    ledger: Ledger,
    limits: Limits,
    announce: Callable[[tuple[str, ...]], None],
) -> Prepared:
    """The session of one run. announce: is told which failures come, before the first message to a server
    that already runs.

    Raises UsageError for what the user can mend, TargetDown when there is nothing to measure, InvalidRun when
    the provider does not start.
    """
    _allow_descriptors(options.users)
    conversations = load_prompts(options.prompts)
    started = Started()
    try:
        if own is not None:
            facts = _own(options, own, folder, limits, started, announce)
        elif options.host is not None:
            facts = _running(options, limits)
            announce(failure_rows(options, facts.agents, admin=False))
        else:
            facts = _bundled(options, folder, limits, started)
        failures = failure_rows(options, facts.agents, admin=facts.admin_token is not None)
        ledger.outcomes.rows |= {name: ROWS[name].id for name in failures if own is None}
        session = Session(
            options=options,
            target_url=facts.url,
            upstream_url=None if started.provider is None else started.provider.url,
            tokens=facts.tokens,
            admin_token=facts.admin_token,
            accounts=facts.accounts,
            agents=facts.agents,
            failures=failures,
            walk=Walk(due(failures), options.seed),
            ledger=ledger,
            prompts=lambda user: PromptSource(conversations, options.seed, user),
            limits=limits,
            seed=options.seed,
            pool=Pool() if options.is_open else None,
        )
        before = None if facts.admin_token is None else look(session)
    except BaseException:
        started.stop()
        raise
    return Prepared(session, started.target, started.provider, facts.settings, len(conversations), before)


@dataclass(slots=True)
class Started:
    """What runs already while the rest is prepared."""

    provider: Provider | None = None
    target: Target | None = None

    def stop(self) -> None:
        """Leaves nothing running."""
        if self.target is not None:
            self.target.stop(timeout_s=2.0)
        if self.provider is not None:
            self.provider.stop()


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a target. settings: as `Prepared` shows them."""

    url: str
    accounts: Accounts
    tokens: tuple[str, ...] = ()
    admin_token: str | None = None
    agents: Mapping[str, str] = MappingProxyType({})
    settings: Mapping[str, str] = MappingProxyType({})


def _bundled(options: Options, folder: Path, limits: Limits, started: Started) -> Facts:
    """The backend of this repository, or of another checkout, with the profile's limits."""
    provider = started.provider = Provider(folder)
    settings = {**TARGET_ENV, **provider_env(provider.url, provider.closed_url)}
    target = started.target = launch(_config(options, settings), folder, "load")
    tokens, admin_token, agents = _demo(target, limits)
    return Facts(target.url, Accounts(Auth({}), target.url), tokens, admin_token, agents, settings)


def _running(options: Options, limits: Limits) -> Facts:
    """A server that already runs and speaks as the bundled backend does."""
    assert options.host is not None
    url, tokens = options.host.rstrip("/"), given_tokens(options)
    return Facts(url, Accounts(Auth({}), url), tokens, agents=agents_there(url, tokens, limits))


def _own(
    options: Options,
    own: Own,
    folder: Path,
    limits: Limits,
    started: Started,
    announce: Callable[[tuple[str, ...]], None],
) -> Facts:
    """A target of the user's own, started as it is configured; a stream of each dialect is tried."""
    settings: dict[str, str] = {}
    if own.target is None:
        assert options.host is not None
        url = options.host.rstrip("/")
        announce(failure_rows(options, {}, admin=False))
    else:
        places = {"users": str(options.users)}
        if own.target.asks_upstream:
            provider = started.provider = Provider(folder)
            places |= {"upstream": provider.url, "closed": provider.closed_url}
        with own.naming("see app, setup, env and ready"):
            target = started.target = launch(own.target, folder, "load", places)
        url, settings = target.url, {name: _shown(name, value) for name, value in target.env.items()}
    accounts = Accounts(own.auth, url)
    with own.naming("see scenario, dialect and auth"):
        for plan in own.first_of_each_wire(options.failures):
            try_plan(plan, url, accounts.credential(0), limits)
    return Facts(url, accounts, settings=settings)


def _shown(name: str, value: str) -> str:
    """A setting as reports show it."""
    return "…" if SECRET.search(name) else value


def _allow_descriptors(users: int) -> None:
    """Raises the limit of open files where it is too low for so many users; UsageError where it may not."""
    needed = descriptors_needed(users)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    except (ValueError, OSError) as error:
        raise UsageError(
            f"--users {users}: {needed} open files are needed, and no more than {hard} allowed;"
            f" raise the limit (ulimit -n {needed}), or come with fewer users"
        ) from error


def failure_rows(options: Options, agents: Mapping[str, str], *, admin: bool) -> tuple[str, ...]:
    """The declared failures that this run shall reach, by `--failures` and `--scenario`, agents given."""
    named = set(options.scenarios) & set(ROWS)
    return tuple(
        name
        for name, row in ROWS.items()
        if (not named or name in named)
        and options.failures != "none"
        and (options.failures == "all" or row.harmless)
        and all(agent in agents for agent in row.agents)
        and (admin or not row.admin)
    )


def _config(options: Options, settings: Mapping[str, str]) -> Any:
    coverage: CoverageMode = options.coverage  # type: ignore[assignment]  # checked by read_options
    return bundled(
        options.users * (1 + (Walker.SPARE_ACCOUNTS if options.failures != "none" else 0)),
        settings,
        app_dir=options.app_dir.resolve(),
        coverage=coverage,
    )


def _demo(target: Target, limits: Limits) -> tuple[tuple[str, ...], str, dict[str, str]]:
    """The demo users' tokens, their admin's, and the profile's agents, which the admin makes."""
    demo = json.loads(target.setup_output[1])
    driver = HttpDriver(target.url, {"authorization": f"Bearer {demo['admin']['token']}"}, limits)
    agents: dict[str, str] = {}
    try:
        for name, plan in AGENTS.items():
            response = driver.request("POST", "/api/agents", plan.body(name))
            if response.status != 201:
                raise TargetDown(
                    f"the target answered {response.status} to POST /api/agents for the agent '{name}':"
                    f" {response.body[:200].decode(errors='replace')}"
                )
            agents[name] = response.json()["id"]
    finally:
        driver.close()
    return tuple(user["token"] for user in demo["users"]), demo["admin"]["token"], agents
