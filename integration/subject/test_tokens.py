"""API tokens: shown once, stored as a hash, revocable."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import pytest

from integration.subject.clients import Caller, Person, Service


def test_new_token_is_shown_once_and_works(service: Service, user: Caller) -> None:
    """The secret is in the answer that made it and nowhere else; it speaks for its owner."""
    response = user.post("/api/tokens", {"name": "laptop"})

    assert response.status_code == 201
    made = response.json()
    assert re.fullmatch(r"sg_[A-Za-z0-9_-]{43}", made["token"])
    assert made["expires_at"] is None
    listed = user.get("/api/tokens").json()["items"]
    assert [one["name"] for one in listed] == ["laptop", "demo"]
    assert all("token" not in one for one in listed)
    again = Caller(service.http, Person(user.person.id, user.person.email, made["token"]))
    assert again.get("/api/tokens").json()["items"] == listed


def test_only_the_hash_of_a_token_is_stored(service: Service, user: Caller) -> None:
    """Whoever reads the database cannot use what is there."""
    made = user.post("/api/tokens", {"name": "hashed"}).json()

    [row] = service.rows("SELECT * FROM api_tokens WHERE id = :id", id=made["id"])
    assert row["token_sha256"] == hashlib.sha256(made["token"].encode()).hexdigest()
    assert made["token"] not in {str(value) for value in row.values()}


def test_no_token_appears_in_the_log(service: Service, user: Caller) -> None:
    """Secrets of this test, and the word that comes before them in a header, are not in the log."""
    made = user.post("/api/tokens", {"name": "quiet"}).json()
    user.get("/api/agents", headers={"Authorization": f"Bearer {made['token']}x"})

    log = service.target.log.read_text(errors="replace")
    assert made["token"] not in log
    assert user.person.token not in log
    assert "Bearer " not in log


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/name"),
        ({"name": ""}, "/name"),
        ({"name": "x" * 121}, "/name"),
        ({"name": "n", "ttl_s": 0}, "/ttl_s"),
        ({"name": "n", "ttl_s": 1.5}, "/ttl_s"),
        ({"name": "n", "ttl_s": 2**63}, "/ttl_s"),
        ({"name": "n", "is_admin": True}, "/is_admin"),
    ],
)
def test_bad_token_is_422(user: Caller, body: dict[str, Any], pointer: str) -> None:
    """A token has a name and perhaps a life time, nothing else."""
    response = user.post("/api/tokens", body)

    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == pointer


def test_tokens_by_cursor(user: Caller) -> None:
    """Every token once, newest first."""
    made = [user.post("/api/tokens", {"name": f"t{n}"}).json()["id"] for n in range(5)]

    walked, cursor = [], None
    while True:
        page = user.get("/api/tokens", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        walked += [one["id"] for one in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert walked[:-1] == made[::-1]  # the last is that of the demo


def test_revoking_twice(user: Caller) -> None:
    """A revoked token stays listed with the moment of its end."""
    made = user.post("/api/tokens", {"name": "brief"}).json()
    assert user.delete(f"/api/tokens/{made['id']}").status_code == 204

    listed = {one["id"]: one for one in user.get("/api/tokens").json()["items"]}
    assert listed[made["id"]]["revoked_at"] is not None
