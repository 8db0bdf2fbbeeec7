"""Rows B: feedback that is not taken."""

from __future__ import annotations

from load.scenarios.expect import Expect, refused
from load.scenarios.rows.base import Walker, row


@row("B1", refused(422, "invalid_request"), harmless=True)
def bad_rating(user: Walker, name: str, expect: Expect) -> None:
    """A rating above 10; the body is judged before anything is looked up."""
    body = {"execution_id": "exe_unknown", "feedback_type": "rating", "rating": 11}
    user.call("POST", f"/api/agents/{user.agent('steady')}/feedback", body, expect=expect, scenario=name)
