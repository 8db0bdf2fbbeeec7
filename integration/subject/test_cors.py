"""What browsers of allowed origins may do, and others may not."""

from __future__ import annotations

import pytest

from integration.subject.clients import Agent, Caller, Service

ALLOWED = "https://app.example"


def test_preflight_of_an_allowed_origin(service: Service) -> None:
    """The page may send its token and JSON, and no cookies."""
    response = service.http.request(
        "OPTIONS",
        "/api/agents",
        headers={
            "Origin": ALLOWED,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, content-type",
        },
    )

    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] == ALLOWED
    assert "POST" in response.headers["Access-Control-Allow-Methods"]
    assert "Access-Control-Allow-Credentials" not in response.headers


@pytest.mark.parametrize(
    ("origin", "method", "headers"),
    [
        ("https://evil.example", "POST", "authorization"),
        ("null", "POST", "authorization"),
        (ALLOWED, "CONNECT", "authorization"),
        (ALLOWED, "POST", "x-anything"),
    ],
)
def test_preflight_of_anything_else_is_a_problem(
    service: Service, origin: str, method: str, headers: str
) -> None:
    """A refused preflight says so as every refusal does."""
    response = service.http.request(
        "OPTIONS",
        "/api/agents",
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": headers,
        },
    )

    assert response.status_code == 400
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["code"] == "invalid_request"


def test_answer_names_the_origin_that_may_read_it(service: Service, user: Caller, quick: Agent) -> None:
    """An allowed page reads answers and their correlation id; a foreign one gets no leave."""
    own = user.get("/api/agents", headers={"Origin": ALLOWED})
    foreign = user.get("/api/agents", headers={"Origin": "https://evil.example"})

    assert own.headers["Access-Control-Allow-Origin"] == ALLOWED
    assert "X-Correlation-Id" in own.headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Origin" not in foreign.headers
