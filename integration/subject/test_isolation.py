"""What belongs to somebody else cannot be told from what does not exist: inv_V3."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from integration.subject.clients import Agent, Caller, Service, hear, say

UNKNOWN = "0" * 32


def owned(service: Service, owner: Caller, quick: Agent) -> dict[str, str]:
    """Ids of things of one user, by the prefix of their kind."""
    answer = owner.chat(quick).json()
    return {
        "exe": answer["execution_id"],
        "ses": owner.get("/api/sessions").json()["items"][0]["id"],
        "tok": owner.post("/api/tokens", {"name": "mine"}).json()["id"],
    }


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("GET", "/api/executions/{id}", "exe"),
        ("POST", "/api/executions/{id}/cancel", "exe"),
        ("GET", "/api/executions/{id}/events", "exe"),
        ("GET", "/api/sessions/{id}/messages", "ses"),
        ("DELETE", "/api/tokens/{id}", "tok"),
    ],
)
def test_inv_V3_foreign_and_unknown_are_the_same_bytes(
    service: Service, user: Caller, quick: Agent, method: str, path: str, kind: str
) -> None:
    """Status, headers and body of a foreign, an unknown and an impossible id are the same; the owner sees."""
    foreign = owned(service, service.caller(), quick)[kind]
    answers = [
        user.request(method, path.format(id=one), headers={"X-Correlation-Id": "same"})
        for one in (foreign, f"{kind}_{UNKNOWN}", "no id at all")
    ]

    assert answers[0].status_code == 404
    assert answers[0].json()["code"] == "not_found"
    assert [seen(one) for one in answers] == [seen(answers[0])] * 3


def seen(response: httpx2.Response) -> dict[str, Any]:
    """All that a client could compare, but the time of day."""
    headers = {name: value for name, value in response.headers.items() if name != "date"}
    return {"status": response.status_code, "headers": headers, "body": response.content}


@pytest.mark.anyio
@pytest.mark.parametrize(
    "frame", [{"type": "cancel"}, {"type": "resume", "last_seq": 0}], ids=["cancel", "resume"]
)
async def test_inv_V3_frames_about_foreign_and_unknown_runs_get_the_same_answer(
    service: Service, user: Caller, quick: Agent, frame: dict[str, Any]
) -> None:
    """Every frame that names a run treats a foreign one as unknown."""
    foreign = owned(service, service.caller(), quick)["exe"]
    headers = {"X-Correlation-Id": "same"}
    answers = []
    for one in (foreign, f"exe_{UNKNOWN}", "no id at all"):
        async with service.connect(quick, user.person, headers=headers) as socket:
            await say(socket, **frame, execution_id=one)
            answers.append(await hear(socket))

    assert answers[0]["type"] == "error"
    assert answers == [answers[0]] * 3


def test_lists_show_only_what_is_ours(service: Service, user: Caller, quick: Agent) -> None:
    """Runs, sessions and tokens of others are in no list."""
    other = service.caller()
    owned(service, other, quick)
    mine = owned(service, user, quick)

    runs = user.get(f"/api/agents/{quick.id}/executions").json()["items"]
    sessions = user.get("/api/sessions").json()["items"]
    tokens = user.get("/api/tokens").json()["items"]
    assert [one["id"] for one in runs] == [mine["exe"]]
    assert [one["id"] for one in sessions] == [mine["ses"]]
    assert {one["user_id"] for one in tokens} == {user.person.id}


def test_administrators_see_everything(service: Service, user: Caller, quick: Agent) -> None:
    """What a user owns is open to an administrator."""
    ids = owned(service, user, quick)

    assert service.admin.get(f"/api/executions/{ids['exe']}").status_code == 200
    assert service.admin.get(f"/api/sessions/{ids['ses']}/messages").status_code == 200
    assert service.admin.delete(f"/api/tokens/{ids['tok']}").status_code == 204
