"""A server that already runs and speaks as the bundled backend does: whose account is used, which agents."""

from __future__ import annotations

from load.drivers.http import HttpDriver
from load.errors import TargetDown, UsageError
from load.metrics.timeline import Limits
from load.options import Options
from load.scenarios.auth import tokens_of_environment


def given_tokens(options: Options) -> tuple[str, ...]:
    """Of the variable that --token-env names. Raises UsageError when there is none."""
    if options.token_env is None:
        raise UsageError(
            f"--host {options.host}: name the variable that holds the bearer token with --token-env"
        )
    return tokens_of_environment(options.token_env, "--token-env")


def agents_there(url: str, tokens: tuple[str, ...], limits: Limits) -> dict[str, str]:
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
