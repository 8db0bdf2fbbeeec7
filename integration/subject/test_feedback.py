"""Feedback on answers: rows B1 to B3."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from integration.subject.clients import Agent, Caller, Service, answer_of, first, say


def rated(user: Caller, agent: Agent) -> str:
    """A finished run of the user."""
    execution_id: str = user.chat(agent).json()["execution_id"]
    return execution_id


def stored(service: Service, execution_id: str) -> list[dict[str, Any]]:
    return service.rows("SELECT * FROM agent_feedback WHERE execution_id = :id", id=execution_id)


@pytest.mark.parametrize(
    "rating",
    [0, 11, -1, True, "5", 5.5, 5.0, None, 2**63],
    ids=["0", "11", "-1", "true", "text", "5.5", "5.0", "missing", "2^63"],
)
def test_B1_bad_rating_is_422(service: Service, user: Caller, quick: Agent, rating: object) -> None:
    """A rating is an integer from 1 to 10, required with its type; nothing is stored."""
    execution_id = rated(user, quick)
    body = {"execution_id": execution_id, "feedback_type": "rating"}
    response = user.post(
        f"/api/agents/{quick.id}/feedback", body if rating is None else body | {"rating": rating}
    )

    assert response.status_code == 422
    assert response.json()["code"] == "invalid_request"
    assert response.json()["errors"][0]["pointer"] == "/rating"
    assert stored(service, execution_id) == []
    good = user.post(f"/api/agents/{quick.id}/feedback", body | {"rating": 10})
    assert good.status_code == 201


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"feedback_type": "thumbs_up"}, "/execution_id"),
        ({"execution_id": "e"}, "/feedback_type"),
        ({"execution_id": "e", "feedback_type": "applause"}, "/feedback_type"),
        ({"execution_id": "e", "feedback_type": "correction"}, "/correction"),
        ({"execution_id": "e", "feedback_type": "comment", "comment": "x" * 4001}, "/comment"),
        ({"execution_id": "e", "feedback_type": "correction", "correction": "x" * 16_001}, "/correction"),
        ({"execution_id": 5, "feedback_type": "thumbs_up"}, "/execution_id"),
        ({"execution_id": "e", "feedback_type": "thumbs_up", "mood": "good"}, "/mood"),
    ],
)
def test_bad_feedback_is_422(user: Caller, quick: Agent, body: dict[str, Any], pointer: str) -> None:
    """The body is judged before any look-up, so an unknown execution does not hide a bad body."""
    response = user.post(f"/api/agents/{quick.id}/feedback", body)

    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == pointer


def test_B2_unknown_foreign_and_misplaced_executions_are_404(
    service: Service, user: Caller, quick: Agent
) -> None:
    """Unknown, of another user, of another agent: the same bytes for all."""
    foreign = rated(service.caller(), quick)
    elsewhere = rated(user, service.agent())
    answers = [
        user.post(
            f"/api/agents/{quick.id}/feedback",
            {"execution_id": execution_id, "feedback_type": "thumbs_up"},
            headers={"X-Correlation-Id": "same"},
        )
        for execution_id in ("exe_" + "0" * 32, "nonexistent", foreign, elsewhere)
    ]

    assert {one.status_code for one in answers} == {404}
    assert answers[0].json()["code"] == "not_found"
    assert {one.content for one in answers} == {answers[0].content}
    assert stored(service, foreign) == []
    assert stored(service, elsewhere) == []
    mine = {"execution_id": rated(user, quick), "feedback_type": "thumbs_up"}
    assert user.post(f"/api/agents/{quick.id}/feedback", mine).status_code == 201


@pytest.mark.anyio
async def test_B2_run_that_goes_on_is_409(service: Service, user: Caller, slow: Agent) -> None:
    """A run can be judged once it has ended."""
    async with service.connect(slow, user.person) as socket:
        await say(socket, message="Hello")
        execution_id = (await first(socket, "started"))["execution_id"]
        body = {"execution_id": execution_id, "feedback_type": "thumbs_down"}
        early = user.post(f"/api/agents/{slow.id}/feedback", body)
        await say(socket, type="cancel", execution_id=execution_id)
        await answer_of(socket)
        late = user.post(f"/api/agents/{slow.id}/feedback", body)

    assert (early.status_code, early.json()["code"]) == (409, "conflict")
    assert late.status_code == 201
    assert len(stored(service, execution_id)) == 1


def test_B3_second_feedback_is_409(service: Service, user: Caller, quick: Agent) -> None:
    """One opinion of a user on a run; the first one stays."""
    body = {"execution_id": rated(user, quick), "feedback_type": "rating", "rating": 9}
    first = user.post(f"/api/agents/{quick.id}/feedback", body)
    second = user.post(f"/api/agents/{quick.id}/feedback", body | {"rating": 1})

    assert [one.status_code for one in (first, second)] == [201, 409]
    assert second.json()["code"] == "feedback_exists"
    [row] = stored(service, body["execution_id"])  # type: ignore[arg-type]
    assert (row["id"], row["rating"]) == (first.json()["id"], 9)


def test_B3_of_concurrent_feedbacks_exactly_one_is_201(service: Service, user: Caller, quick: Agent) -> None:
    """Two clients of one user at the same instant: one is stored, the other is told."""
    execution_id = rated(user, quick)
    body = {"execution_id": execution_id, "feedback_type": "thumbs_up"}
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: user.post(f"/api/agents/{quick.id}/feedback", body), range(8)))

    assert sorted(one.status_code for one in answers) == [201] + [409] * 7
    assert len(stored(service, execution_id)) == 1


def test_administrators_may_judge_runs_of_others(service: Service, user: Caller, quick: Agent) -> None:
    """An administrator sees every run; each of the two has an opinion."""
    body = {"execution_id": rated(user, quick), "feedback_type": "comment", "comment": "Well"}

    assert user.post(f"/api/agents/{quick.id}/feedback", body).status_code == 201
    assert service.admin.post(f"/api/agents/{quick.id}/feedback", body).status_code == 201


def test_feedback_answer_has_every_member_of_the_contract(user: Caller, quick: Agent) -> None:
    """The members of stage core, no more and no less."""
    body = {"execution_id": rated(user, quick), "feedback_type": "thumbs_up"}
    data = user.post(f"/api/agents/{quick.id}/feedback", body).json()

    assert set(data) == {
        "id", "execution_id", "agent_id", "rating", "feedback_type", "sentiment", "maturity_level",
        "created_at",
    }  # fmt: skip
    assert data["rating"] is None
