"""docs/origin.md: every place that it names exists."""

from __future__ import annotations

import re

import pytest

from integration.rows import ROOT

PAGE = (ROOT / "docs" / "origin.md").read_text(encoding="utf-8")
PLACE = re.compile(r"`([^`]+)`")


def places() -> list[str]:
    """Backticked paths of the last cell of each row: with a slash or a known ending, not generated."""
    found = []
    for line in PAGE.splitlines():
        if not line.startswith("|") or set(line) <= set("|- "):
            continue
        last = line.rstrip().rstrip("|").rpartition("|")[2]
        found += [
            one
            for one in PLACE.findall(last)
            if ("/" in one or one.partition("::")[0].endswith((".py", ".toml", ".md")))
            and not one.startswith(("reports/", "/"))
        ]
    return sorted(set(found))


@pytest.mark.parametrize("place", places())
def test_place_exists(place: str) -> None:
    """`path` is there; `path::name` is a name in that file."""
    path, _, name = place.partition("::")

    assert (ROOT / path).exists()
    assert name in (ROOT / path).read_text(encoding="utf-8") if name else True


def test_the_page_names_places() -> None:
    """The rule above finds what it is meant to find."""
    assert "integration/subject/test_atom_agent_endpoints.py" in places()
    assert "backend/app.py::create_app" in places()


ORIGIN_TESTS = (
    "test_chat_success_returns_response",
    "test_chat_with_governance_blocking",
    "test_chat_invalid_agent_id",
    "test_streaming_returns_chunks",
    "test_streaming_with_error_handling",
    "test_submit_feedback_success",
    "test_feedback_invalid_rating",
    "test_get_agent_success",
    "test_get_agent_not_found",
    "test_list_agents_returns_paginated",
    "test_governance_check_for_student_agent",
    "test_governance_check_for_autonomous_agent",
)
ORIGIN_FIXTURES = (
    "client", "async_client", "db", "agent", "agent_factory", "student_agent", "autonomous_agent",
    "execution",
)  # fmt: skip


@pytest.mark.parametrize("name", ORIGIN_TESTS + ORIGIN_FIXTURES)
def test_names_of_the_plan_are_kept(name: str) -> None:
    """The contract tests and fixtures of the plan have the names it gave them."""
    source = (ROOT / "integration" / "subject" / "test_atom_agent_endpoints.py").read_text(encoding="utf-8")

    assert re.search(rf"^(async )?def {name}\(", source, re.MULTILINE)
    assert len(source.splitlines()) >= 600
