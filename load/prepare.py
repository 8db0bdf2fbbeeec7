"""Before the first user: starts the target and its provider, or finds the one that runs, and makes the
profile's agents."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from load.drivers.http import HttpDriver
from load.errors import TargetDown, UsageError
from load.metrics.timeline import Limits
from load.options import Options
from load.scenarios.base import Session
from load.scenarios.failures import ROWS
from load.scenarios.ledger import Ledger
from load.scenarios.profile import AGENTS, TARGET_ENV, provider_env
from load.scenarios.prompts import PromptSource, load_prompts
from load.scenarios.rows.base import Walker
from load.scenarios.walk import Due, Walk
from load.target.config import CoverageMode, bundled
from load.target.launch import Target, launch
from load.target.provider import Provider


@dataclass(frozen=True, slots=True)
class Prepared:
    """target, provider: what was started; None with `--host`. settings: what the target was given beyond its
    defaults. conversations: how many prompts there are."""

    session: Session
    target: Target | None
    provider: Provider | None
    settings: Mapping[str, str]
    conversations: int


def prepare(options: Options, folder: Path, ledger: Ledger, limits: Limits) -> Prepared:
    """The session of one run.

    Raises UsageError for what the user can mend, TargetDown when there is nothing to measure, InvalidRun when
    the provider does not start.
    """
    conversations = load_prompts(options.prompts)
    admin_token: str | None = None
    target: Target | None = None
    provider: Provider | None = None
    settings: dict[str, str] = {}
    try:
        if options.host is not None:
            url, tokens = options.host.rstrip("/"), _given_tokens(options)
            agents = _agents_there(url, tokens, limits)
        else:
            provider = Provider(folder)
            settings = {**TARGET_ENV, **provider_env(provider.url, provider.closed_url)}
            target = launch(_config(options, settings), folder, "load")
            url = target.url
            tokens, admin_token, agents = _accounts(target, limits)
        failures = failure_rows(options, agents, admin=admin_token is not None)
        ledger.outcomes.rows |= {name: ROWS[name].id for name in failures}
        session = Session(
            options=options,
            target_url=url,
            upstream_url=None if provider is None else provider.url,
            tokens=tokens,
            admin_token=admin_token,
            agents=agents,
            failures=failures,
            walk=Walk({name: Due(ROWS[name].times, ROWS[name].lasts_s) for name in failures}, options.seed),
            ledger=ledger,
            prompts=lambda user: PromptSource(conversations, options.seed, user),
            limits=limits,
            seed=options.seed,
        )
    except BaseException:
        if target is not None:
            target.stop(timeout_s=2.0)
        if provider is not None:
            provider.stop()
        raise
    return Prepared(session, target, provider, settings, len(conversations))


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
        options.users + Walker.SPARE_ACCOUNTS * options.users,
        settings,
        app_dir=options.app_dir.resolve(),
        coverage=coverage,
    )


def _accounts(target: Target, limits: Limits) -> tuple[tuple[str, ...], str, dict[str, str]]:
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


def _given_tokens(options: Options) -> tuple[str, ...]:
    if options.token_env is None:
        raise UsageError(
            f"--host {options.host}: name the variable that holds the bearer token with --token-env"
        )
    tokens = tuple(re.split(r"[\s,]+", os.environ.get(options.token_env, "").strip()))
    if not tokens[0]:
        raise UsageError(f"--token-env {options.token_env}: the variable is empty or not set")
    return tokens


def _agents_there(url: str, tokens: tuple[str, ...], limits: Limits) -> dict[str, str]:
    """The roles of the profile that agents of a running server can take: one that may chat, and a STUDENT."""
    driver = HttpDriver(url, {"authorization": f"Bearer {tokens[0]}"}, limits)
    try:
        response = driver.request("GET", "/api/agents?limit=100")
    finally:
        driver.close()
    if response.status != 200:
        why = "nothing answers there" if response.code == "unreachable" else f"it answered {response.status}"
        raise TargetDown(
            f"--host {url}: {why} (GET /api/agents); is the server running, and the token right?"
        )
    found: dict[str, str] = {}
    for agent in response.json()["agents"]:
        if agent["state"] == "ACTIVE":
            role = "student" if agent["maturity_level"] == "STUDENT" else "steady"
            found.setdefault(role, agent["id"])
    if "steady" not in found:
        raise UsageError(
            f"--host {url}: has no active agent that may chat; make one of level INTERN or above"
        )
    found["intern"] = found["steady"]
    return found
