"""Rows A, and H2 of an expired token: tokens that end by themselves."""

from __future__ import annotations

from typing import Final

import gevent

from load.drivers.clock import now_ns
from load.drivers.http import Response
from load.drivers.raw import say
from load.scenarios.expect import DONE, Expect, refused
from load.scenarios.rows.base import Walker, row
from load.scenarios.rows.handshake import bearer, check_same, knock
from load.scenarios.rows.line import closed, line, told

TTL_S: Final = 2
SHORTEST_TTL_S: Final = 1
RUN_S: Final = 3.0
"""Of an answer of `lengthy`: longer than its token is good for."""


def brief_token(user: Walker, ttl_s: int) -> Response:
    """A new token of a spare account: its clock begins between `sent_ns` and `done_ns`."""
    body = {"name": "brief", "ttl_s": ttl_s}
    return user.http(token=user.spare_token(3)).request("POST", "/api/tokens", body)


def secret_in(made: Response) -> str:
    """The token itself; one that nobody has where it was not made."""
    found = made.json()
    return str(found.get("token", "none")) if isinstance(found, dict) else "none"


@row("H2", refused(401, "unauthenticated"), "intern", lasts_s=SHORTEST_TTL_S + 0.6)
def expired_token(user: Walker, name: str, expect: Expect) -> None:
    """A token whose time is over: nobody can tell it from one that never was."""
    made = brief_token(user, SHORTEST_TTL_S)
    came, answer = knock(user, "intern", bearer(secret_in(made)))
    if came != DONE:
        user.unexpected(name, expect, f"{came} while the token was good")
    gevent.sleep((made.done_ns - now_ns()) / 1e9 + SHORTEST_TTL_S)
    came, answer = knock(user, "intern", bearer(secret_in(made)))
    user.outcome(name, expect, came)
    check_same(user, name, expect, answer, knock(user, "intern", {})[1])


@row("A1", closed(4401, "auth_expired", TTL_S), "intern", lasts_s=TTL_S + 0.3)
def token_expires_idle(user: Walker, name: str, expect: Expect) -> None:
    """A token that ends while nothing is going on, in both contracts."""
    made = brief_token(user, TTL_S)
    with told(user, name, expect), line(user, "intern", token=secret_in(made)) as wire:
        wire.client.send(say(type="ping"))  # or the time for a first frame would be over first
        came = wire.rest()
        user.outcome(name, expect, came, after_s=(wire.at - made.sent_ns) / 1e9)


@row("A2", closed(4401, "auth_expired", 0.0), "lengthy", lasts_s=RUN_S + 0.5)
def token_expires_in_run(user: Walker, name: str, expect: Expect) -> None:
    """A token that ends while an answer runs: the answer is finished, and the connection right behind it."""
    made = brief_token(user, TTL_S)
    with told(user, name, expect), line(user, "lengthy", token=secret_in(made)) as wire:
        wire.chat(user.turn("Take your time."))
        answer, done_at = wire.answer(), wire.at
        came = wire.rest()
        user.outcome(name, expect, came, after_s=(wire.at - done_at) / 1e9)
        if answer != DONE:
            user.unexpected(name, expect, f"{answer}, then {came}")
