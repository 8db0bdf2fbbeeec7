"""Rows H12 and H13: headers that never end, or are too large."""

from __future__ import annotations

from typing import Final

from load.drivers.raw import RawClient
from load.scenarios.expect import Expect, refused
from load.scenarios.profile import HTTP_HEADER_TIMEOUT_S
from load.scenarios.rows.base import Walker, row
from load.scenarios.rows.handshake import bearer, knock
from load.scenarios.rows.line import LIMIT_NS, answered, stream_url, told

NEVER_FINISHED: Final = (b"", b"GET /api/ag", b"GET /api/agents HTTP/1.1\r\nHost: x\r\nX-Half: ")
LONG_LINE: Final = {"x-long": "x" * 8192}
MANY: Final = {f"x-{number}": "1" for number in range(129)}
LARGE: Final = {"x-long": "x" * 65_537}


@row("H12", refused(408, None, HTTP_HEADER_TIMEOUT_S), lasts_s=HTTP_HEADER_TIMEOUT_S + 0.3)
def endless_headers(user: Walker, name: str, expect: Expect) -> None:
    """No byte, half a line or half a header, and then silence: a bare answer, and the end."""
    with told(user, name, expect), RawClient.connect(stream_url(user, "intern"), LIMIT_NS) as client:
        client.send(user.random.choice(NEVER_FINISHED))
        answer = client.answer()
        after_s = (client.arrived_at - client.began_at) / 1e9
        user.outcome(name, expect, answered(answer, client), after_s=after_s)
        if answer.body or client.read_to_end() or client.ended != "fin":
            user.unexpected(name, expect, f"{expect} that is not bare, or not the end")


@row("H13", refused(431, None), "intern")
def oversize_handshake(user: Walker, name: str, expect: Expect) -> None:
    """A handshake with a line of 8 KiB, or 129 headers: a bare answer at once, where it once hung."""
    headers = {**bearer(user.token), **user.random.choice((LONG_LINE, MANY))}
    user.outcome(name, expect, knock(user, "intern", headers)[0])


@row("H13", refused(431, "headers_too_large"))
def oversize_headers(user: Walker, name: str, expect: Expect) -> None:
    """A plain request with 64 KiB of headers, or 129 of them."""
    headers = user.random.choice((LARGE, MANY))
    user.book_call(user.http().request("GET", "/api/agents", None, headers), expect, name)
