"""Rows L: requests that cannot be read, or not be used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from load.drivers.http import Response
from load.drivers.raw import RawClient
from load.scenarios.expect import Expect, refused
from load.scenarios.profile import HTTP_BODY_TIMEOUT_S
from load.scenarios.rows.base import Walker, row

MAX_BODY_BYTES: Final = 65_536
RAW_LIMIT_NS: Final = 10_000_000_000

UNREADABLE: Final = (
    b"",
    b"{",
    b"{'message': 'Hello'}",
    b'{"message": "Hello"} x',
    b'{"message": "\xff"}',
    b'\xef\xbb\xbf{"message": "Hello"}',
    b'{"message": "a\x00b"}',
)

UNUSABLE: Final = (
    (b"[]", ""),
    (b'{"message": "\\ud800"}', "/message"),
    (b'{"message": "a\\u0000b"}', "/message"),
    (b'{"message": "Hi", "max_tokens": 9223372036854775808}', "/max_tokens"),
    (b'{"message": "Hi", "metadata": {"n": 9223372036854775808}}', "/metadata/n"),
    (b'{"message": "Hi", "metadata": {"a": "\\udc00"}}', "/metadata/a"),
    (b'{"message": "Hi", "metadata": {"a": "\\u0000"}}', "/metadata/a"),
    (b'{"message": "Hi", "metadata": {"deep": [NaN]}}', "/metadata/deep/0"),
    (b'{"message": "Hi", "temperature": Infinity}', "/temperature"),
    (b'{"message": "Hi", "extra": 1}', "/extra"),
    (b'{"message": "Hi", "metadata": ' + 16 * b'{"a": ' + b"1" + 16 * b"}" + b"}", "/metadata" + 15 * "/a"),
    (30_000 * b"[" + 30_000 * b"]", ""),
    (b'{"message": "Hi", "max_tokens": ' + 5000 * b"1" + b"}", ""),
    (b'{"message": "Hi", "metadata": {"a": "' + 2048 * b"a" + b'"}}', "/metadata"),
)
"""A body, and where it is wrong."""

BEYOND: Final = ("page=0", "page=501&limit=20", "page=9223372036854775808", "limit=101", "limit=0", "page=x")


def post(user: Walker, body: bytes, content_type: str = "application/json") -> Response:
    """These bytes as a chat."""
    path = f"/api/agents/{user.agent('steady')}/chat"
    return user.http().request("POST", path, body, {"content-type": content_type})


def book_each(
    user: Walker, name: str, expect: Expect, answers: Iterable[tuple[Response, str | None]]
) -> None:
    """Books the first answer that is not as declared, and asks no further; else the last one. Each stands
    with the place that it has to point at, if any."""
    for response, pointer in answers:
        if refused(response.status, response.code) != expect:
            break
        errors = (response.json() or {}).get("errors") or [{}]
        if pointer is not None and errors[0].get("pointer") != pointer:
            user.unexpected(name, expect, f"a pointer to {errors[0].get('pointer')} for {pointer}")
    user.book_call(response, expect, name)


@row("L13", refused(413, "payload_too_large"))
def body_too_large(user: Walker, name: str, expect: Expect) -> None:
    """One byte more than a body may have; blanks, so that nothing else is wrong."""
    body = b'{"message": "Hello"}'
    user.book_call(post(user, body.ljust(MAX_BODY_BYTES + 1)), expect, name)


@row("L13", refused(413, "payload_too_large"))
def endless_body(user: Walker, name: str, expect: Expect) -> None:
    """One whose length nobody said, until it is too much."""
    size = MAX_BODY_BYTES + 1
    with RawClient.connect(user.session.target_url, RAW_LIMIT_NS) as client:
        began_ns = client.send(
            head(user, "transfer-encoding: chunked") + b"%x\r\n%b\r\n" % (size, b" " * size)
        )
        booked(user, name, expect, client, began_ns)


@row("L13", refused(415, "unsupported_media_type"))
def other_media_type(user: Walker, name: str, expect: Expect) -> None:
    """JSON that says it is something else."""
    kind = user.random.choice(("text/plain", "application/x-www-form-urlencoded", "application/jsonx"))
    user.book_call(post(user, b'{"message": "Hello"}', kind), expect, name)


@row("L13", refused(400, "invalid_request"))
def not_json(user: Walker, name: str, expect: Expect) -> None:
    """Bodies that cannot be read at all."""
    bodies = user.random.sample(UNREADABLE, len(UNREADABLE))
    book_each(user, name, expect, ((post(user, body), None) for body in bodies))


@row("L14", refused(422, "invalid_request"), lasts_s=1.0)
def unusable_body(user: Walker, name: str, expect: Expect) -> None:
    """Bodies that can be read, and not be used; each answer points at the place."""
    bodies = user.random.sample(UNUSABLE, len(UNUSABLE))
    book_each(user, name, expect, ((post(user, body), pointer) for body, pointer in bodies))


@row("L14", refused(422, "invalid_request"), harmless=True)
def page_beyond(user: Walker, name: str, expect: Expect) -> None:
    """Pages and sizes of them that there cannot be."""
    book_each(
        user, name, expect, ((user.http().request("GET", f"/api/agents?{query}"), None) for query in BEYOND)
    )


@row(
    "L16",
    refused(408, "request_timeout", HTTP_BODY_TIMEOUT_S),
    lasts_s=HTTP_BODY_TIMEOUT_S + 0.3,
)
def body_too_slow(user: Walker, name: str, expect: Expect) -> None:
    """Half a body, and then nothing."""
    with RawClient.connect(user.session.target_url, RAW_LIMIT_NS) as client:
        # Before the head: the target's clock cannot have begun earlier.
        began_ns = client.send(head(user, "content-length: 40") + b'{"message": "Hel')
        problem = booked(user, name, expect, client, began_ns)
    if problem.get("limit_ms") != HTTP_BODY_TIMEOUT_S * 1000:
        user.unexpected(name, expect, f"limit_ms {problem.get('limit_ms')}")


def head(user: Walker, length: str) -> bytes:
    """Of a chat; length: the header that says how its body ends."""
    lines = [
        f"POST /api/agents/{user.agent('steady')}/chat HTTP/1.1",
        f"host: {urlsplit(user.session.target_url).netloc}",
        "content-type: application/json",
        length,
        *(f"{name}: {value}" for name, value in user.headers().items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def booked(user: Walker, name: str, expect: Expect, client: RawClient, began_ns: int) -> Mapping[str, Any]:
    """Books the answer to a request that was sent by hand; returns its problem."""
    answer = client.answer()
    problem: Mapping[str, Any] = answer.json() or {}
    user.outcome(
        name,
        expect,
        refused(answer.status, problem.get("code")),
        after_s=(client.arrived_at - began_ns) / 1e9,
        stream_id=problem.get("correlation_id", "unknown"),
    )
    return problem
