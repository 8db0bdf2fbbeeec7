"""Rows H: what the service refuses a handshake for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from load.drivers.raw import Answer, RawClient
from load.drivers.trace import trace_headers
from load.scenarios.expect import DONE, Expect, refused
from load.scenarios.profile import ORIGIN, AgentPlan
from load.scenarios.rows.base import UNKNOWN_AGENT, Walker, row
from load.scenarios.rows.line import LIMIT_NS, UNREACHABLE, V1, answered, stream_url
from load.scenarios.rows.runs import beside, make_agent

UNKNOWN_TOKEN: Final = "sg_" + 43 * "0"
MALFORMED_TOKENS: Final = ("sg_short", "Bearer", UNKNOWN_TOKEN[3:], UNKNOWN_TOKEN + "0", "sg_" + 43 * "=")
MAX_CONNECTIONS_PER_USER: Final = 8
"""The service's default; a tab each is more than a person needs."""
OF_ITS_OWN: Final = "correlation_id"
"""The one member of a problem that tells two equal refusals apart."""


def knock(user: Walker, agent: str, headers: Mapping[str, str]) -> tuple[Expect, Answer]:
    """A handshake whose only credentials are in `headers`, and how it was answered."""
    try:
        with RawClient.connect(stream_url(user, agent), LIMIT_NS, hear=user.hear) as client:
            client.send(client.handshake({**uncredited(user), **headers}))
            answer = client.answer()
            return answered(answer, client), answer
    except OSError:
        return UNREACHABLE, Answer(0, {}, b"")


def uncredited(user: Walker) -> dict[str, str]:
    """What each request of the user carries, but the credential."""
    others = {name: value for name, value in user.headers().items() if name != "authorization"}
    return {**trace_headers()[1], **others}


def bearer(token: str) -> dict[str, str]:
    """A credential."""
    return {"authorization": f"Bearer {token}"}


def problem_of(answer: Answer) -> dict[str, Any]:
    """What a refusal says, but what is never the same twice."""
    problem = answer.json()
    return {} if not isinstance(problem, dict) else {k: v for k, v in problem.items() if k != OF_ITS_OWN}


def check_same(user: Walker, name: str, expect: Expect, answer: Answer, other: Answer) -> None:
    """That two refusals do not tell which of the two it was."""
    if problem_of(answer) != problem_of(other):
        user.unexpected(name, expect, f"{expect} with a body of its own")


@row("H1", refused(401, "unauthenticated"), "intern", harmless=True)
def no_credential(user: Walker, name: str, expect: Expect) -> None:
    """A stranger."""
    came, answer = knock(user, "intern", {})
    user.outcome(name, expect, came)
    if answer.headers.get("www-authenticate") != "Bearer":
        user.unexpected(name, expect, f"{expect} without WWW-Authenticate")


@row("H1", refused(401, "unauthenticated"), "intern")
def browser_without_origin(user: Walker, name: str, expect: Expect) -> None:
    """A credential where only browsers have theirs, and no word of a page."""
    offer = {"sec-websocket-protocol": f"{V1}, bearer.{user.token}"}
    user.outcome(name, expect, knock(user, "intern", offer)[0])


@row("H2", refused(401, "unauthenticated"), "intern")
def malformed_token(user: Walker, name: str, expect: Expect) -> None:
    """A token that cannot be one."""
    came, answer = knock(user, "intern", bearer(user.random.choice(MALFORMED_TOKENS)))
    user.outcome(name, expect, came)
    check_same(user, name, expect, answer, knock(user, "intern", {})[1])


@row("H2", refused(401, "unauthenticated"), "intern")
def unknown_token(user: Walker, name: str, expect: Expect) -> None:
    """A token of the right form that nobody has."""
    came, answer = knock(user, "intern", bearer(UNKNOWN_TOKEN))
    user.outcome(name, expect, came)
    check_same(user, name, expect, answer, knock(user, "intern", {})[1])


@row("H5", refused(403, "origin_forbidden"), "intern")
def foreign_origin(user: Walker, name: str, expect: Expect) -> None:
    """A page from elsewhere, or from the right host at another port, with a credential that is good."""
    origin = user.random.choice(("https://evil.example", f"{ORIGIN}:8443", ORIGIN.replace("s:", ":")))
    user.outcome(name, expect, knock(user, "intern", {**bearer(user.token), "origin": origin})[0])


@row("H5", refused(403, "origin_forbidden"), "intern")
def broken_origin(user: Walker, name: str, expect: Expect) -> None:
    """One that cannot be read."""
    user.outcome(name, expect, knock(user, "intern", {**bearer(user.token), "origin": "https://[::1"})[0])


@row("H5", refused(403, "origin_forbidden"), "intern")
def null_origin(user: Walker, name: str, expect: Expect) -> None:
    """A page that has none: from a file, or in a sandbox."""
    user.outcome(name, expect, knock(user, "intern", {**bearer(user.token), "origin": "null"})[0])


@row("H6", refused(404, "not_found"), harmless=True)
def unknown_agent(user: Walker, name: str, expect: Expect) -> None:
    """An agent that does not exist, over HTTP or WebSocket."""
    by_http = user.random.random() < 0.5
    driver = user.http(UNKNOWN_AGENT) if by_http else user.websocket(UNKNOWN_AGENT)
    user.stream(driver, user.turn("Is anybody there?"), expect, name)


@row("H6", refused(404, "not_found"), lasts_s=1.0, admin=True)
def archived_agent(user: Walker, name: str, expect: Expect) -> None:
    """An agent that is no more, which nobody can tell from one that never was."""
    agent = make_agent(user, name, AgentPlan("INTERN"))
    user.admin.request("DELETE", f"/api/agents/{agent}")
    came, answer = knock(user, agent, bearer(user.token))
    user.outcome(name, expect, came)
    check_same(user, name, expect, answer, knock(user, UNKNOWN_AGENT, bearer(user.token))[1])


@row("H7", refused(403, "governance_denied"), "student", harmless=True)
def governance_denied(user: Walker, name: str, expect: Expect) -> None:
    """A STUDENT agent may not chat, over HTTP or WebSocket."""
    driver = user.http("student") if user.random.random() < 0.5 else user.websocket("student")
    user.stream(driver, user.turn("Please pay the invoice."), expect, name)


@row("H8", refused(400, "bad_handshake"), "intern", harmless=True)
def foreign_subprotocol(user: Walker, name: str, expect: Expect) -> None:
    """Subprotocols, but not the service's."""
    offer = {"sec-websocket-protocol": user.random.choice(("chat", "agentchat.v2, chat"))}
    user.outcome(name, expect, knock(user, "intern", {**bearer(user.token), **offer})[0])


@row("H8", refused(400, "bad_handshake"), "intern", harmless=True)
def two_credentials(user: Walker, name: str, expect: Expect) -> None:
    """One as a program brings it, one as a browser does."""
    offer = {"sec-websocket-protocol": f"{V1}, bearer.{user.token}"}
    user.outcome(name, expect, knock(user, "intern", {**bearer(user.token), **offer})[0])


@row("H9", refused(429, "connection_limit"), "intern", lasts_s=1.5)
def connection_limit(user: Walker, name: str, expect: Expect) -> None:
    """One connection more than a user may have; those that are open are not concerned."""
    token = user.spare_token(2)
    held = [user.websocket("intern", place=place, token=token) for place in range(MAX_CONNECTIONS_PER_USER)]
    with beside(*(driver.open for driver in held)):
        pass
    came, answer = knock(user, "intern", bearer(token))
    user.outcome(name, expect, came)
    if answer.headers.get("retry-after") != "1" or not problem_of(answer).get("retry_after_ms"):
        user.unexpected(name, expect, f"{expect} without a time to retry")
    user.stream(held[0], user.turn("Am I still here?"), DONE, "connected_before")
