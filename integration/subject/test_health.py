"""Health, metrics, and what an error code means."""

from __future__ import annotations

import json

import pytest

from backend.errors import TABLE, ErrorCode
from integration.subject.clients import Agent, Caller, Service


def test_live(service: Service) -> None:
    """The loop answers, without a token."""
    response = service.http.get("/health/live")

    assert (response.status_code, response.json()) == (200, {"status": "ok"})


def test_ready(service: Service) -> None:
    """Every check is named, and the connections that fit."""
    response = service.http.get("/health/ready")

    assert response.status_code == 200
    assert response.json()["status"] == "ready"
    assert response.json()["checks"] == {
        "schema": "ok",
        "database": "ok",
        "draining": "ok",
        "run_slots": "ok",
    }
    assert 1 <= response.json()["connection_cap"] <= 2000


@pytest.mark.parametrize("code", list(ErrorCode))
def test_every_problem_type_is_served(service: Service, code: ErrorCode) -> None:
    """What `type` leads to says what the table says."""
    response = service.http.get(f"/problems/{code}")

    assert response.status_code == 200
    told = response.json()
    assert told["type"] == f"/problems/{code}"
    assert (told["status"], told["retryable"]) == (TABLE[code].status, TABLE[code].retryable)


def test_problem_has_its_members(service: Service, user: Caller) -> None:
    """A problem is RFC 9457 with our members, and `errors` only where a request was wrong."""
    response = user.get("/api/agents/nonexistent")

    assert response.headers["Content-Type"] == "application/problem+json"
    assert set(response.json()) == {
        "type", "title", "status", "code", "retryable", "detail", "correlation_id",
    }  # fmt: skip
    invalid = user.post("/api/tokens", {}).json()
    assert set(invalid["errors"][0]) == {"pointer", "code", "message"}


def test_metrics_are_for_administrators(service: Service, user: Caller) -> None:
    """403 for users, 401 for strangers."""
    assert user.get("/metrics").status_code == 403
    assert service.http.get("/metrics").status_code == 401


def test_metrics_count_a_run(service: Service, user: Caller, quick: Agent) -> None:
    """One chat is one completed run, one request and one allowed decision more; nothing stays active."""
    before = service.metrics()
    assert user.chat(quick).status_code == 200
    after = service.metrics()

    def more(name: str) -> float:
        return after.get(name, 0) - before.get(name, 0)

    assert more('runs_total{code="none",status="COMPLETED",transport="HTTP"}') == 1
    route = 'route="/api/agents/{agent_id}/chat",status="200"'
    assert more('http_requests_total{method="POST",' + route + "}") == 1
    assert more('governance_decisions_total{allowed="true",complexity="2",maturity="AUTONOMOUS"}') == 1
    assert more('provider_attempts_total{outcome="ok"}') == 1
    assert after["runs_active"] == before["runs_active"]


METRICS = (
    "http_requests_total",
    "http_request_seconds",
    "ws_connections",
    "ws_handshakes_total",
    "ws_closes_total",
    "ws_frames_total",
    "slow_consumers_total",
    "runs_active",
    "runs_unsettled",
    "runs_total",
    "run_first_token_seconds",
    "run_duration_seconds",
    "run_queue_seconds",
    "run_frame_log_bytes",
    "run_transition_conflicts_total",
    "provider_attempts_total",
    "provider_missing_done_total",
    "governance_decisions_total",
    "db_pool_in_use",
    "tasks",
    "db_errors_total",
    "event_loop_lag_seconds",
    "process_open_fds",
)


@pytest.mark.parametrize("name", METRICS)
def test_metric_is_there(service: Service, name: str) -> None:
    """Every promised metric is declared, also before it has counted anything."""
    text = service.admin.get("/metrics").text

    declared = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")}
    assert {name, name.removesuffix("_total")} & declared


def test_log_lines_of_a_run_carry_its_ids(service: Service, user: Caller, quick: Agent) -> None:
    """The log is JSON lines; those of a run name it and the request it came from."""
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    headers = {"X-Correlation-Id": f"log-{quick.id[-8:]}", "traceparent": trace}
    answer = user.post(f"/api/agents/{quick.id}/chat", {"message": "not to be logged"}, headers=headers)
    execution_id = answer.json()["execution_id"]

    lines = [
        json.loads(line)
        for line in service.target.log.read_text(errors="replace").splitlines()
        if line.startswith("{") and execution_id in line
    ]
    assert lines != []
    assert {line["correlation_id"] for line in lines} == {headers["X-Correlation-Id"]}
    assert {line["traceparent"] for line in lines} == {trace}
    assert {line["user_id"] for line in lines} == {user.person.id}
    assert all({"ts", "level", "event"} <= set(line) for line in lines)
    assert "not to be logged" not in service.target.log.read_text(errors="replace")
