"""Agents as administrators make and change them, and as users browse them: row B8."""

from __future__ import annotations

import re
from typing import Any

import pytest

from integration.subject.clients import Agent, Caller, Service

LEVELS = {"STUDENT": 4000, "INTERN": 5500, "SUPERVISED": 7500, "AUTONOMOUS": 9500}


@pytest.mark.parametrize(("level", "confidence_bp"), LEVELS.items())
def test_new_agent_starts_with_the_confidence_of_its_level(
    service: Service, admin: Caller, level: str, confidence_bp: int
) -> None:
    """Creation answers 201 with the agent and where it is."""
    response = admin.post("/api/agents", {"name": f"new {level}", "maturity_level": level})

    assert response.status_code == 201
    made = response.json()
    assert response.headers["Location"] == f"/api/agents/{made['id']}"
    assert made["maturity_level"] == level
    assert made["confidence_bp"] == confidence_bp
    assert made["completed_since_change"] == 0
    assert made["state"] == "ACTIVE"
    assert made["row_version"] == 1
    assert admin.get(response.headers["Location"]).json() == made


def test_new_agent_has_defaults(admin: Caller) -> None:
    """A name is enough; nobody is trusted unasked."""
    made = admin.post("/api/agents", {"name": "only a name"}).json()

    assert made["maturity_level"] == "STUDENT"
    assert made["model"] == "embedded/markov-1"
    assert made["configuration"] == {}
    assert made["system_prompt"] == ""
    assert re.fullmatch(r"agt_[0-9a-f]{32}", made["id"])


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/name"),
        ({"name": ""}, "/name"),
        ({"name": "  "}, "/name"),
        ({"name": "x" * 121}, "/name"),
        ({"name": "n", "description": "x" * 2001}, "/description"),
        ({"name": "n", "system_prompt": "x" * 8001}, "/system_prompt"),
        ({"name": "n", "model": ""}, "/model"),
        ({"name": "n", "model": "x" * 201}, "/model"),
        ({"name": "n", "maturity_level": "student"}, "/maturity_level"),
        ({"name": "n", "maturity_level": 1}, "/maturity_level"),
        ({"name": "n", "configuration": []}, "/configuration"),
        ({"name": "n", "configuration": {"k": "x" * 16_384}}, "/configuration"),
        ({"name": "n", "configuration": {"embedded": 5}}, "/configuration/embedded"),
        ({"name": "n", "configuration": {"embedded": {"tokens": 4097}}}, "/configuration/embedded/tokens"),
        ({"name": "n", "configuration": {"embedded": {"tokens": True}}}, "/configuration/embedded/tokens"),
        ({"name": "n", "configuration": {"embedded": {"x": 1}}}, "/configuration/embedded/x"),
        (
            {"name": "n", "configuration": {"embedded": {"first_token_ms": 60_001}}},
            "/configuration/embedded/first_token_ms",
        ),
        (
            {"name": "n", "configuration": {"embedded": {"interval_ms": 5001}}},
            "/configuration/embedded/interval_ms",
        ),
        ({"name": "n", "state": "PAUSED"}, "/state"),
    ],
)
def test_bad_agent_is_422(admin: Caller, body: dict[str, Any], pointer: str) -> None:
    """Each member has its borders; a member nobody may set is unknown."""
    response = admin.post("/api/agents", body)

    assert response.status_code == 422
    assert response.json()["code"] == "invalid_request"
    assert response.json()["errors"][0]["pointer"] == pointer


def test_name_in_use_is_a_conflict_until_it_is_archived(service: Service, admin: Caller) -> None:
    """Names are unique among agents in use."""
    body = {"name": "a name taken once"}
    first = admin.post("/api/agents", body)
    second = admin.post("/api/agents", body)
    admin.delete(first.headers["Location"])
    third = admin.post("/api/agents", body)

    assert [one.status_code for one in (first, second, third)] == [201, 409, 201]
    assert second.json()["code"] == "conflict"


def test_B8_admin_operations_by_a_user_are_403(service: Service, user: Caller) -> None:
    """Every operation of administrators is refused to others, audited, and changes nothing."""
    agent = service.agent()
    path = f"/api/agents/{agent.id}"
    before = user.get(path).json()

    answers = [
        user.post("/api/agents", {"name": "not mine to make"}),
        user.post(f"{path}/pause"),
        user.post(f"{path}/resume"),
        user.delete(path),
    ]

    assert [one.status_code for one in answers] == [403] * 4
    assert {one.json()["code"] for one in answers} == {"forbidden"}
    assert service.audit_of(user.person) == [
        ("agent.create", "denied"),
        ("agent.pause", "denied"),
        ("agent.resume", "denied"),
        ("agent.archive", "denied"),
    ]
    assert user.get(path).json() == before
    assert user.chat(agent).status_code == 200


def test_admin_operations_are_audited(service: Service, admin: Caller) -> None:
    """What an administrator does to an agent is written down in order."""
    agent = service.agent()
    path = f"/api/agents/{agent.id}"
    admin.post(f"{path}/pause")
    admin.post(f"{path}/resume")
    admin.delete(path)

    rows = service.rows(
        "SELECT action, decision FROM audit_log WHERE object_id = :id ORDER BY id", id=agent.id
    )
    assert [(row["action"], row["decision"]) for row in rows] == [
        ("agent.create", "allowed"),
        ("agent.pause", "allowed"),
        ("agent.resume", "allowed"),
        ("agent.archive", "allowed"),
    ]


def test_moves_between_states(service: Service, admin: Caller) -> None:
    """A move from the wrong state is a conflict; an archived agent does not come back."""
    path = f"/api/agents/{service.agent().id}"

    moves = [
        admin.post(f"{path}/resume"),
        admin.post(f"{path}/pause"),
        admin.post(f"{path}/pause"),
        admin.delete(path),
        admin.post(f"{path}/resume"),
        admin.delete(path),
    ]

    assert [one.status_code for one in moves] == [409, 200, 409, 204, 409, 409]
    assert moves[2].json()["code"] == "conflict"


@pytest.mark.parametrize("operation", ["pause", "resume"])
def test_moving_an_unknown_agent_is_404(admin: Caller, operation: str) -> None:
    """There is nothing to move."""
    assert admin.post(f"/api/agents/nonexistent/{operation}").status_code == 404


def test_page_past_the_end_is_empty(user: Caller) -> None:
    """A page behind the last one has no agents but the same total."""
    first = user.get("/api/agents?limit=100").json()
    past = user.get("/api/agents?limit=100&page=100").json()

    assert past["agents"] == []
    assert past["total"] == first["total"]
    assert past["pages"] == first["pages"]


def test_inv_N1_walking_all_pages_yields_each_agent_once(service: Service, user: Caller) -> None:
    """The pages of every size are the same list in the same order, newest first."""
    for _ in range(7):
        service.agent()
    whole = [one["id"] for one in user.get("/api/agents?limit=100").json()["agents"]]

    for limit in (3, 7, 100):
        pages = user.get(f"/api/agents?limit={limit}").json()["pages"]
        walked = [
            one["id"]
            for page in range(1, pages + 1)
            for one in user.get(f"/api/agents?limit={limit}&page={page}").json()["agents"]
        ]
        assert walked[: len(whole)] == whole
        assert len(set(walked)) == len(walked)


def test_a_list_shows_no_prompts(service: Service, user: Caller, quick: Agent) -> None:
    """The list is a summary; prompt and configuration are read one by one."""
    listed = user.get("/api/agents").json()["agents"][0]

    assert "system_prompt" not in listed
    assert "configuration" not in listed
    assert "system_prompt" in user.get(f"/api/agents/{quick.id}").json()
