"""What HTTP clients may send, and what they read when it is something else: rows L13 to L15."""

from __future__ import annotations

import json

import httpx2
import pytest

from integration.subject.clients import Agent, Caller, Service

AS_JSON = {"Content-Type": "application/json"}
LIMIT = 65_536


def post_bytes(
    user: Caller, agent: Agent, body: bytes, content_type: str | None = "application/json"
) -> httpx2.Response:
    headers = {} if content_type is None else {"Content-Type": content_type}
    return user.post(f"/api/agents/{agent.id}/chat", content=body, headers=headers)


def of_size(size: int) -> bytes:
    """A valid chat of so many bytes; JSON may be padded with blanks."""
    body = json.dumps({"message": "Hello"}).encode()
    return body + b" " * (size - len(body))


@pytest.mark.parametrize("size", [LIMIT + 1, 20_000_000])
def test_L13_too_large_body_is_413(service: Service, user: Caller, quick: Agent, size: int) -> None:
    """One byte above the limit is refused before anything is looked up; the next client is served."""
    response = post_bytes(user, quick, of_size(size))

    assert response.status_code == 413
    assert response.json()["code"] == "payload_too_large"
    assert service.runs_of(user.person) == []
    assert user.chat(quick).status_code == 200


def test_L13_too_large_body_without_length_is_413(service: Service, user: Caller, quick: Agent) -> None:
    """A chunked body is counted as it comes."""
    parts = (b" " * 10_000 for _ in range(10))
    response = user.post(f"/api/agents/{quick.id}/chat", content=parts, headers=AS_JSON)

    assert response.status_code == 413
    assert response.json()["code"] == "payload_too_large"
    assert user.chat(quick).status_code == 200


def test_body_of_exactly_the_limit_is_served(user: Caller, quick: Agent) -> None:
    """The limit itself is allowed."""
    assert post_bytes(user, quick, of_size(LIMIT)).status_code == 200


@pytest.mark.parametrize(
    "content_type",
    [
        pytest.param(None, id="missing"),
        pytest.param("text/plain", id="text"),
        pytest.param("application/x-www-form-urlencoded", id="form"),
        pytest.param("application/jsonx", id="like json"),
    ],
)
def test_L13_wrong_content_type_is_415(
    service: Service, user: Caller, quick: Agent, content_type: str | None
) -> None:
    """Only JSON is understood, and it must say so."""
    response = post_bytes(user, quick, b'{"message": "Hello"}', content_type)

    assert response.status_code == 415
    assert response.json()["code"] == "unsupported_media_type"
    assert service.runs_of(user.person) == []
    assert user.chat(quick).status_code == 200


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "APPLICATION/JSON"])
def test_content_type_with_parameters_is_served(user: Caller, quick: Agent, content_type: str) -> None:
    """A media type is compared without its parameters and without regard to case."""
    assert post_bytes(user, quick, b'{"message": "Hello"}', content_type).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"{", id="unfinished"),
        pytest.param(b"{'message': 'Hello'}", id="single quotes"),
        pytest.param(b'{"message": "Hello"} x', id="something behind"),
        pytest.param(b'{"message": "\xff"}', id="bad UTF-8"),
        pytest.param(b'\xef\xbb\xbf{"message": "Hello"}', id="byte order mark"),
        pytest.param(b'{"message": "a\x00b"}', id="raw NUL"),
    ],
)
def test_L13_what_does_not_parse_is_400(service: Service, user: Caller, quick: Agent, body: bytes) -> None:
    """Text that is no JSON cannot be read at all."""
    response = post_bytes(user, quick, body)

    assert response.status_code == 400
    assert response.json()["code"] == "invalid_request"
    assert response.json()["status"] == 400
    assert service.runs_of(user.person) == []
    assert user.chat(quick).status_code == 200


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        pytest.param("[]", "", id="list"),
        pytest.param('"text"', "", id="text"),
        pytest.param("null", "", id="null"),
        pytest.param('{"message": "\\ud800"}', "/message", id="lone surrogate"),
        pytest.param('{"message": "a\\u0000b"}', "/message", id="escaped NUL"),
        pytest.param('{"message": "Hi", "max_tokens": 9223372036854775808}', "/max_tokens", id="2^63"),
        pytest.param('{"message": "Hi", "max_tokens": -1}', "/max_tokens", id="below zero"),
        pytest.param('{"message": "Hi", "max_tokens": ' + "9" * 5000 + "}", "", id="5,000 digits"),
        pytest.param('{"message": "Hi", "metadata": {"a": "\\udc00"}}', "/metadata/a", id="surrogate inside"),
        pytest.param('{"message": "Hi", "metadata": {"a": "\\u0000"}}', "/metadata/a", id="NUL inside"),
        pytest.param(
            '{"message": "Hi", "metadata": {"n": 18446744073709551616}}', "/metadata/n", id="2^64 inside"
        ),
        pytest.param(
            '{"message": "Hi", "metadata": {"n": 9223372036854775808}}', "/metadata/n", id="2^63 inside"
        ),
        pytest.param('{"message": "Hi", "metadata": {"n": -1}}', "/metadata/n", id="negative inside"),
        pytest.param('{"message": "Hi", "extra": 1}', "/extra", id="unknown member"),
    ],
)
def test_L14_what_cannot_be_used_is_422(
    service: Service, user: Caller, quick: Agent, body: str, pointer: str
) -> None:
    """It parses, but no run can come of it; the place is named, the value never repeated."""
    response = post_bytes(user, quick, body.encode())

    assert response.status_code == 422
    assert response.json()["code"] == "invalid_request"
    assert response.json()["errors"][0]["pointer"] == pointer
    assert service.runs_of(user.person) == []
    assert user.chat(quick).status_code == 200


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("place", ['"temperature": {}', '"metadata": {{"deep": [{}]}}'])
def test_L14_numbers_that_are_none_are_422(
    service: Service, user: Caller, quick: Agent, number: str, place: str
) -> None:
    """NaN and the infinities are refused as members and inside free-form objects."""
    body = '{"message": "Hi", ' + place.format(number) + "}"
    response = post_bytes(user, quick, body.encode())

    assert response.status_code == 422
    assert response.json()["code"] == "invalid_request"
    assert service.runs_of(user.person) == []
    assert user.chat(quick).status_code == 200


@pytest.mark.parametrize("depth", [17, 5_000, 30_000])
def test_L14_deep_nesting_is_422(user: Caller, quick: Agent, depth: int) -> None:
    """Deeper than sixteen levels is refused, without deep recursion on our side."""
    nested = "[" * depth + "]" * depth
    response = post_bytes(user, quick, f'{{"message": "Hi", "metadata": {{"a": {nested}}}}}'.encode())

    assert response.status_code == 422
    assert response.json()["code"] == "invalid_request"
    assert user.chat(quick).status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        "page=0", "page=-1", "page=1e3", "page=1_0", "page=٣", "page=1.0", "page=true", "page=",
        "page=9223372036854775808", "page=18446744073709551616", f"page={'9' * 4000}",
        "limit=0", "limit=101", "limit=-1", "limit=1000000000000000000", "page=501&limit=20",
        "page=101&limit=100", "page=10001&limit=1", "state=BUSY", "maturity=student",
    ],
)  # fmt: skip
def test_L14_page_and_limit_beyond_the_borders_are_422(user: Caller, query: str) -> None:
    """Numbers in a query are plain digits within their borders."""
    response = user.get(f"/api/agents?{query}")

    assert response.status_code == 422
    assert response.json()["code"] == "invalid_request"
    assert user.get("/api/agents").status_code == 200


@pytest.mark.parametrize(
    "query",
    ["page=1", "limit=1", "limit=100", "page=500&limit=20", "page=100&limit=100", "page=10000&limit=1"],
)
def test_page_and_limit_on_the_borders_are_served(user: Caller, query: str) -> None:
    """The last value inside each border gives a page."""
    assert user.get(f"/api/agents?{query}").status_code == 200


def test_duplicate_members_the_last_counts(service: Service, user: Caller, quick: Agent) -> None:
    """JSON allows a member twice; the last one is taken, by every part of the service."""
    response = post_bytes(user, quick, b'{"message": "first", "message": "last"}')

    assert response.status_code == 200
    [run] = service.runs_of(user.person)
    assert json.loads(run["input_data"])["message"] == "last"


@pytest.mark.parametrize(
    "path",
    [
        "/", "/api", "/api/agents/", "/api/nothing", "/docs", "/openapi.json", "/api/agents/a/b",
        "//api/agents", "/api/agents/%00", f"/api/agents/{'9' * 5000}", "/problems/no_such_code",
    ],
)  # fmt: skip
def test_L15_unknown_route_is_404(service: Service, user: Caller, path: str) -> None:
    """There is nothing there, and it is a problem document that says so."""
    response = user.get(path)

    assert response.status_code == 404
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["code"] == "not_found"
    assert user.get("/api/agents").status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/api/agents"),
        ("DELETE", "/api/agents"),
        ("GET", "/api/agents/x/chat"),
        ("POST", "/health/live"),
        ("TRACE", "/api/agents"),
    ],
)
def test_L15_wrong_method_is_405(service: Service, user: Caller, method: str, path: str) -> None:
    """The path exists; the answer names what it can do."""
    response = user.request(method, path)

    assert response.status_code == 405
    assert response.json()["code"] == "method_not_allowed"
    assert response.headers["Allow"] != ""
    assert user.get("/api/agents").status_code == 200


def test_L15_head_is_405_without_a_body(user: Caller) -> None:
    """HEAD is a method like another here, and its answers never have a body."""
    response = user.request("HEAD", "/api/agents")

    assert response.status_code == 405
    assert response.content == b""


def test_L15_unknown_method_is_a_bare_400(user: Caller) -> None:
    """The HTTP library answers a method it has never heard of by itself, without a problem."""
    response = user.request("FOO", "/api/agents")

    assert response.status_code == 400
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert user.get("/api/agents").status_code == 200


@pytest.mark.parametrize("cursor", ["", "x", "AAAA", "eyJ9", "=" * 10, "é", "a" * 3000])
@pytest.mark.parametrize(
    "path",
    ["/api/tokens", "/api/sessions", "/api/agents/{agent}/executions", "/api/sessions/any/messages"],
)
def test_L15_bad_cursor_is_400(service: Service, user: Caller, quick: Agent, path: str, cursor: str) -> None:
    """A cursor that this service did not make is refused, not guessed at."""
    response = user.get(path.format(agent=quick.id), params={"cursor": cursor})

    assert response.status_code == 400
    assert response.json()["code"] == "invalid_cursor"
    assert user.get("/api/tokens").status_code == 200


def test_refusals_never_repeat_the_value(user: Caller, quick: Agent) -> None:
    """What a client sent does not come back: not in a detail, not in a message."""
    secret = "correct horse battery staple"
    response = user.chat(quick, session_id=secret, action=5, metadata=secret)

    assert response.status_code == 422
    assert {one["pointer"] for one in response.json()["errors"]} == {"/session_id", "/action", "/metadata"}
    assert secret not in response.text


def test_answers_are_not_to_be_stored_or_sniffed(user: Caller, quick: Agent) -> None:
    """Every answer forbids caches and guessing of types, and does not name the server."""
    for response in (user.get("/api/agents"), user.chat(quick), user.get("/api/nothing")):
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert "Server" not in response.headers


@pytest.mark.parametrize("given", ["a", "A-b_c.9", "x" * 64])
def test_correlation_id_is_returned(user: Caller, given: str) -> None:
    """A good correlation id comes back, in the header and in a problem."""
    good = user.get("/api/agents", headers={"X-Correlation-Id": given})
    bad = user.get("/api/nothing", headers={"X-Correlation-Id": given})

    assert good.headers["X-Correlation-Id"] == given
    assert bad.headers["X-Correlation-Id"] == given
    assert bad.json()["correlation_id"] == given


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a/b", "{}"])
def test_bad_correlation_id_is_replaced(user: Caller, given: str) -> None:
    """What cannot be logged safely is replaced by an id of our own."""
    response = user.get("/api/nothing", headers={"X-Correlation-Id": given})

    assert response.headers["X-Correlation-Id"] != given
    assert response.json()["correlation_id"] == response.headers["X-Correlation-Id"]
