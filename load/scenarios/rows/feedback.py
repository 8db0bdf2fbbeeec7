"""Rows B: feedback that is not taken."""

from __future__ import annotations

import functools

from load.drivers.http import Response
from load.scenarios.expect import DONE, Expect, refused
from load.scenarios.rows.base import Walker, row
from load.scenarios.rows.runs import beside

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
