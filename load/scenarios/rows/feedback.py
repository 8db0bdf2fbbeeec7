"""Rows B: feedback that is not taken."""

from __future__ import annotations

import functools

from load.drivers.http import Response
from load.scenarios.expect import DONE, Expect, refused
from load.scenarios.rows.base import Walker, row
from load.scenarios.rows.runs import UNKNOWN_RUN, beside, going

EXISTS = refused(409, "feedback_exists")


@row("B1", refused(422, "invalid_request"), harmless=True)
def bad_rating(user: Walker, name: str, expect: Expect) -> None:
    """A rating above 10; the body is judged before anything is looked up."""
    body = {"execution_id": "exe_unknown", "feedback_type": "rating", "rating": 11}
    user.call("POST", f"/api/agents/{user.agent('steady')}/feedback", body, expect=expect, scenario=name)


@row("B1", refused(422, "invalid_request"), harmless=True)
def no_rating(user: Walker, name: str, expect: Expect) -> None:
    """A rating without one."""
    body = {"execution_id": "exe_unknown", "feedback_type": "rating"}
    user.call("POST", f"/api/agents/{user.agent('steady')}/feedback", body, expect=expect, scenario=name)


@row("B1", refused(422, "invalid_request"), harmless=True)
def no_correction(user: Walker, name: str, expect: Expect) -> None:
    """A correction without one."""
    body = {"execution_id": "exe_unknown", "feedback_type": "correction"}
    user.call("POST", f"/api/agents/{user.agent('steady')}/feedback", body, expect=expect, scenario=name)


@row("B2", refused(404, "not_found"), harmless=True)
def feedback_to_nobody(user: Walker, name: str, expect: Expect) -> None:
    """A word about an answer that does not exist."""
    body = {"execution_id": UNKNOWN_RUN, "feedback_type": "rating", "rating": 7}
    user.call("POST", f"/api/agents/{user.agent('steady')}/feedback", body, expect=expect, scenario=name)


@row("B2", refused(409, "conflict"), "endless", lasts_s=1.0)
def feedback_early(user: Walker, name: str, expect: Expect) -> None:
    """A word about an answer that still goes on."""
    token = user.hold_token
    with going(user, user.turn("Take your time."), token=token) as (execution_id,):
        body = {"execution_id": execution_id, "feedback_type": "rating", "rating": 7}
        path = f"/api/agents/{user.agent('endless')}/feedback"
        user.book_call(user.http(token=token).request("POST", path, body), expect, name)


@row("B3", EXISTS, "rated", lasts_s=1.0)
def feedback_twice(user: Walker, name: str, expect: Expect) -> None:
    """A second word about the same answer."""
    path, body = _word(user)
    user.call("POST", path, body, scenario="first_word")
    user.call("POST", path, body, expect=expect, scenario=name)


@row("B3", EXISTS, "rated", lasts_s=1.0)
def feedback_race(user: Walker, name: str, expect: Expect) -> None:
    """Two words at once, from two connections: exactly one is taken."""
    path, body = _word(user)
    answers: list[Response] = []

    def say(agent: str) -> None:
        answers.append(user.http(agent).request("POST", path, body))

    with beside(*(functools.partial(say, agent) for agent in ("steady", "rated"))):
        pass
    first, second = sorted(answers, key=lambda answer: answer.status)
    user.book_call(first, DONE, "first_word")
    user.book_call(second, expect, name)


def _word(user: Walker) -> tuple[str, dict[str, object]]:
    """Where it goes and what it says, about an answer of its own."""
    answer = user.stream(user.http("rated"), user.turn("What do you think?"), DONE, "rated_answer")
    body: dict[str, object] = {"execution_id": answer.execution_id, "feedback_type": "rating", "rating": 7}
    return f"/api/agents/{user.agent('rated')}/feedback", body
