"""Rows L: what is not admitted, over HTTP or WebSocket."""

from __future__ import annotations

from typing import Final

from load.drivers.http import Response
from load.scenarios.expect import DONE, Expect, error, refused
from load.scenarios.profile import AGENTS, MAX_RUNS_PER_USER, RATE_BURST, RATE_PER_MIN
from load.scenarios.rows.base import UNKNOWN_AGENT, Walker, row
from load.scenarios.rows.runs import archive, going, make_agent

NEXT_TOKEN_MS: Final = 60_000 / RATE_PER_MIN
TRIES: Final = 20

DENIED: Final = {
    2: ("chat", "stream_chat", "analyze", "draft", "suggest", "plan"),
    3: ("create", "update", "send_message", "schedule", "workflow_execute"),
    4: ("delete", "deploy", "payment", "execute_code", "bulk_delete"),
}
"""Actions by their complexity."""

LEVELS: Final = ("STUDENT", "INTERN", "SUPERVISED", "AUTONOMOUS")
"""The n-th may do what has complexity n, and all below."""


@row("L1", refused(429, "rate_limited"))
def rate_limited(user: Walker, name: str, expect: Expect) -> None:
    """Messages faster than allowed, to no agent at all: the rate is judged before the look-up."""
    response = empty_rate(user)
    user.book_call(response, expect, name)
    problem = response.json() or {}
    retry_after_ms = problem.get("retry_after_ms")
    if not (isinstance(retry_after_ms, int) and 0 < retry_after_ms <= NEXT_TOKEN_MS):
        user.unexpected(name, expect, f"retry_after_ms not in 1..{NEXT_TOKEN_MS:g}")
    if response.headers.get("retry-after") != "1":
        user.unexpected(name, expect, f"Retry-After {response.headers.get('retry-after')}")


@row("L1", error("rate_limited"), "intern")
def rate_limited_stream(user: Walker, name: str, expect: Expect) -> None:
    """Frames count in the same bucket as requests, and the connection lives on."""
    driver = user.websocket("intern", token=user.flood_token)
    driver.open()
    turn = user.turn("Quick!", extra={"action": "fly"})
    for _ in range(TRIES):
        empty_rate(user)
        followed = user.follow(driver, turn, name)
        if followed.timeline.code != "unknown_action":
            break  # else there was a token again already
    user.book(followed, expect)


def empty_rate(user: Walker) -> Response:
    """Speaks with the flood account until it is refused; the last answer."""
    path = f"/api/agents/{UNKNOWN_AGENT}/chat"
    driver = user.http(token=user.flood_token)
    for _ in range(3 * RATE_BURST):
        response = driver.request("POST", path, {"message": "Quick!"})
        if response.status != 404:
            break
    return response


@row("L2", error("concurrency_limit"), "endless", "intern", lasts_s=1.0)
def concurrency_limit(user: Walker, name: str, expect: Expect) -> None:
    """One run more than a user may have at once; the ones before it stay as they are."""
    token = user.hold_token
    driver = user.websocket("intern", token=token)
    with going(user, user.turn("Take your time."), token=token, count=MAX_RUNS_PER_USER):
        user.stream(driver, user.turn("One more."), expect, name)
    user.stream(driver, user.turn("And now?"), DONE, "after_limit")


@row("L2", refused(429, "concurrency_limit"), "endless", "intern", lasts_s=1.0)
def concurrency_limit_http(user: Walker, name: str, expect: Expect) -> None:
    """The same over HTTP, with the time to come back."""
    token = user.hold_token
    with going(user, user.turn("Take your time."), token=token, count=MAX_RUNS_PER_USER):
        user.stream(user.http("intern", token=token), user.turn("One more."), expect, name)


@row("L6", refused(403, "governance_denied"), "student", "intern_denied", "supervised_denied")
def action_denied(user: Walker, name: str, expect: Expect) -> None:
    """An action above the maturity of the agent, and what would be needed."""
    agent = user.random.choice(("student", "intern_denied", "supervised_denied"))
    maturity = AGENTS[agent].maturity
    complexity = user.random.randint(LEVELS.index(maturity) + 2, 4)
    action = user.random.choice(DENIED[complexity])
    path = f"/api/agents/{user.agent(agent)}/chat"
    response = user.http().request("POST", path, {"message": "Please.", "action": action})
    user.book_call(response, expect, name)
    problem = response.json() or {}
    told = [problem.get(member) for member in ("action", "action_complexity", "agent_maturity")]
    if told != [action, complexity, maturity]:
        user.unexpected(name, expect, "told about another action or agent")
    if problem.get("required_maturity") != LEVELS[complexity - 1]:
        user.unexpected(name, expect, "told another maturity to be required")


@row("L6", error("governance_denied"), "intern_denied", "supervised_denied")
def action_denied_stream(user: Walker, name: str, expect: Expect) -> None:
    """The same by a frame of a connection that may chat."""
    agent = user.random.choice(("intern_denied", "supervised_denied"))
    complexity = user.random.randint(LEVELS.index(AGENTS[agent].maturity) + 2, 4)
    action = user.random.choice(DENIED[complexity])
    user.stream(user.websocket(agent), user.turn("Please.", extra={"action": action}), expect, name)


@row("L8", error("agent_paused"), lasts_s=1.0, admin=True)
def agent_paused(user: Walker, name: str, expect: Expect) -> None:
    """A pause between two messages holds from the next one on, and ends with a resume."""
    agent = make_agent(user, name, AGENTS["intern"])
    path = f"/api/agents/{agent}"
    driver = user.websocket(agent)
    user.stream(driver, user.turn("Are you there?"), DONE, "around_pause")
    paused = [user.admin.request("POST", f"{path}/pause").status for _ in range(2)]
    if paused != [200, 409]:
        user.unexpected(name, expect, f"{paused} for a pause and another one")
    user.stream(driver, user.turn("And now?"), expect, name)
    user.stream(user.http(agent), user.turn("And over there?"), refused(409, "agent_paused"), "paused_http")
    user.admin.request("POST", f"{path}/resume")
    user.stream(driver, user.turn("Back again?"), DONE, "around_pause")
    archive(user, agent)


@row("L11", error("no_provider"), "orphan")
def no_provider(user: Walker, name: str, expect: Expect) -> None:
    """A model that no provider serves: the run begins, and fails."""
    user.stream(user.websocket("orphan"), user.turn("Anybody?"), expect, name)


@row("L11", refused(424, "no_provider"), "orphan")
def no_provider_http(user: Walker, name: str, expect: Expect) -> None:
    """The same over HTTP."""
    user.stream(user.http("orphan"), user.turn("Anybody?"), expect, name)
