"""Rows A, and H2 and H3: tokens that end by themselves, or are taken back."""

from __future__ import annotations

from typing import Final

import gevent

from load.drivers.clock import now_ns
from load.drivers.http import Response
from load.drivers.raw import say
from load.scenarios.expect import DONE, Expect, refused
from load.scenarios.profile import RECHECK_INTERVAL_S
from load.scenarios.rows.base import Walker, row
from load.scenarios.rows.handshake import bearer, check_same, knock
from load.scenarios.rows.line import closed, line, told
from load.scenarios.rows.runs import UNKNOWN_RUN

TTL_S: Final = 2
SHORTEST_TTL_S: Final = 1
LONG_S: Final = 600
LATE_S: Final = 0.5
"""What a look at a token may take, in a target that is busy."""
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


@row("A5", closed(4401, "auth_expired"), "intern")
def revoked_before_chat(user: Walker, name: str, expect: Expect) -> None:
    """A token that is taken back from elsewhere: the next message is the last."""
    _revoked(user, name, expect, say(type="chat", message="Am I still here?"))


@row("A5", closed(4401, "auth_expired"), "intern")
def revoked_before_resume(user: Walker, name: str, expect: Expect) -> None:
    """The same for a run that is to be taken over."""
    _revoked(user, name, expect, say(type="resume", execution_id=UNKNOWN_RUN, last_seq=0))


@row("A5", closed(4401, "auth_expired"), "intern", lasts_s=RECHECK_INTERVAL_S + 0.5)
def revoked_in_silence(user: Walker, name: str, expect: Expect) -> None:
    """The same where nothing is said: it is looked at from time to time."""
    _revoked(user, name, expect, b"")


def _revoked(user: Walker, name: str, expect: Expect, then: bytes) -> None:
    """Takes the token of an open connection back, and says that on it."""
    made = brief_token(user, LONG_S)
    with told(user, name, expect), line(user, "intern", token=secret_in(made)) as wire:
        began_ns = wire.client.send(say(type="ping"))
        wire.first("pong")
        token_id = (made.json() or {}).get("id")
        user.http(token=user.spare_token(3)).request("DELETE", f"/api/tokens/{token_id}")
        if then:
            wire.client.send(then)
        user.outcome(name, expect, wire.rest(told=bool(then)))
        after_s = (wire.at - began_ns) / 1e9
        if after_s > RECHECK_INTERVAL_S + LATE_S:
            user.unexpected(name, expect, f"{expect} late: after more than {RECHECK_INTERVAL_S + LATE_S:g} s")
