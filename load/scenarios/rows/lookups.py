"""Rows of plain requests for what is not there, not meant so, or not for everybody."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Final

from load.drivers.http import Response
from load.drivers.raw import RawClient
from load.scenarios.expect import Expect, refused
from load.scenarios.profile import ORIGIN, AgentPlan
from load.scenarios.rows.base import UNKNOWN_AGENT, Walker, row
from load.scenarios.rows.handshake import bearer, check_same, knock
from load.scenarios.rows.requests import RAW_LIMIT_NS, book_each, booked
from load.scenarios.rows.runs import UNKNOWN_RUN, beside


def encoded(text: str) -> str:
    """As the service's own cursors are."""
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


NOWHERE: Final = (
    "/api/nowhere",
    f"/api/agents/{UNKNOWN_AGENT}",
    f"/api/executions/{UNKNOWN_RUN}",
    "/api/sessions/unknown/messages",
    "/problems/unknown",
)
CURSORS: Final = (
    "/api/sessions?cursor=" + 201 * "a",
    "/api/sessions?cursor=a*b",
    f"/api/sessions?cursor={encoded('a' + chr(0))}",
    f"/api/sessions?cursor={encoded('yesterday ses_1')}",
    f"/api/sessions?cursor={encoded('2026-01-01T00:00:00 ses_1')}",
    f"/api/sessions/unknown/messages?cursor={encoded('seven')}",
)
"""Too long, no base64, with U+0000, of no time, of a time without a zone, of no number."""


@row("L15", refused(404, "not_found"), harmless=True)
def nothing_there(user: Walker, name: str, expect: Expect) -> None:
    """A route, and one thing of each kind, that does not exist."""
    book_each(user, name, expect, ((user.http().request("GET", path), None) for path in NOWHERE))


@row("L15", refused(404, "not_found"), harmless=True)
def no_such_token(user: Walker, name: str, expect: Expect) -> None:
    """A token that the user does not have is not taken back."""
    user.call("DELETE", "/api/tokens/unknown", expect=expect, scenario=name)


@row("L15", refused(405, "method_not_allowed"), harmless=True)
def wrong_method(user: Walker, name: str, expect: Expect) -> None:
    """A path that exists, by a method that it does not have."""
    user.call("PUT", "/api/agents", expect=expect, scenario=name)


@row("L15", refused(400, "invalid_cursor"), harmless=True)
def foreign_cursor(user: Walker, name: str, expect: Expect) -> None:
    """Cursors that the service did not make."""
    book_each(user, name, expect, ((user.http().request("GET", path), None) for path in CURSORS))


@row("L14", refused(422, "invalid_request"), harmless=True)
def foreign_last_event_id(user: Walker, name: str, expect: Expect) -> None:
    """A `Last-Event-ID` that is no number of a frame."""
    path, garbled = f"/api/executions/{UNKNOWN_RUN}/events", {"last-event-id": "seven"}
    user.book_call(user.http().request("GET", path, None, garbled), expect, name)


@row("L17", refused(400, "invalid_request"))
def no_host(user: Walker, name: str, expect: Expect) -> None:
    """A request that does not say whom it is for."""
    lines = ["GET /api/agents HTTP/1.1", *(f"{key}: {value}" for key, value in user.headers().items())]
    with RawClient.connect(user.session.target_url, RAW_LIMIT_NS) as client:
        began_ns = client.send("\r\n".join([*lines, "", ""]).encode("latin-1"))
        booked(user, name, expect, client, began_ns)


@row("H3", refused(401, "unauthenticated"), "intern")
def revoked_token(user: Walker, name: str, expect: Expect) -> None:
    """A token that was taken back, which nobody can tell from one that never was."""
    driver = user.http(token=user.spare_token(3))
    made = driver.request("POST", "/api/tokens", {"name": "revoked"}).json() or {}
    driver.request("DELETE", f"/api/tokens/{made.get('id')}")
    came, answer = knock(user, "intern", bearer(str(made.get("token"))))
    user.outcome(name, expect, came)
    check_same(user, name, expect, answer, knock(user, "intern", {})[1])


@row("H5", refused(400, "invalid_request"))
def refused_preflight(user: Walker, name: str, expect: Expect) -> None:
    """A browser that asks, for a page from the right place, whether a method is allowed that is not."""
    asked = {"origin": ORIGIN, "access-control-request-method": "PUT"}
    user.book_call(user.http().request("OPTIONS", "/api/agents", None, asked), expect, name)


@row("H11", refused(426, "upgrade_required"), "intern", harmless=True)
def plain_get(user: Walker, name: str, expect: Expect) -> None:
    """The path of a stream, asked like any other."""
    user.call("GET", f"/api/agents/{user.agent('intern')}/stream", expect=expect, scenario=name)


@row("B8", refused(403, "forbidden"), harmless=True)
def not_for_users(user: Walker, name: str, expect: Expect) -> None:
    """What only administrators may do."""

    def answers() -> Iterator[tuple[Response, None]]:
        yield user.http().request("POST", "/api/agents", {"name": "Mine"}), None
        yield user.http().request("GET", "/metrics"), None

    book_each(user, name, expect, answers())


@row("L14", refused(422, "invalid_request"), admin=True)
def unusable_agent(user: Walker, name: str, expect: Expect) -> None:
    """Configurations that are too large, or say nonsense of the embedded provider."""
    wrong = (
        ({"notes": 16_384 * "x"}, "/configuration"),
        ({"embedded": {"tokens": 5000}}, "/configuration/embedded/tokens"),
    )
    bodies = (({"name": name, "configuration": configuration}, pointer) for configuration, pointer in wrong)
    sent = ((user.admin.request("POST", "/api/agents", body), pointer) for body, pointer in bodies)
    book_each(user, name, expect, sent)


@row("D11", refused(409, "conflict"), admin=True, lasts_s=1.0)
def name_race(user: Walker, name: str, expect: Expect) -> None:
    """Two agents of one name at once: exactly one is made."""
    body = AgentPlan("STUDENT").body(f"{name} {user.random.getrandbits(48):012x}")
    token = user.session.admin_token
    answers: list[Response] = []

    def make(agent: str) -> None:
        answers.append(user.http(agent, token=token).request("POST", "/api/agents", body))

    with beside(*(lambda agent=agent: make(agent) for agent in ("steady", "intern"))):
        pass
    first, second = sorted(answers, key=lambda answer: answer.status)
    user.book_call(second, expect, name)
    made = (first.json() or {}).get("id", UNKNOWN_AGENT)
    if first.status != 201 or user.admin.request("DELETE", f"/api/agents/{made}").status != 204:
        user.unexpected(name, expect, f"{first.status} for the other, or it cannot be ended")
