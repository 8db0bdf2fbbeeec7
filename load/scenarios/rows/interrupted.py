"""Rows P: a provider's stream that breaks off or makes no sense, before its first token and behind it.

Before it the same provider is asked again, then the next; behind it nothing is asked a second time.
"""

from __future__ import annotations

from typing import Final

from load.scenarios.expect import Expect, error, refused
from load.scenarios.rows.attempts import MAX_ATTEMPTS, UNAVAILABLE, ask, ask_http, check_attempts
from load.scenarios.rows.base import Walker, row
from load.scenarios.rows.runs import record

INTERRUPTED: Final = "provider_stream_interrupted"
PROTOCOL: Final = "provider_protocol"
LASTS_S: Final = 0.8


def before(user: Walker, agent: str, name: str, expect: Expect) -> None:
    """Nothing was said: asked again, in vain."""
    over = ask(user, agent, name, expect)
    check_attempts(
        user, name, expect, record(user, over.execution_id), [("main", UNAVAILABLE)] * MAX_ATTEMPTS
    )


def behind(user: Walker, agent: str, name: str, expect: Expect) -> None:
    """What was said is told and stored, and nobody is asked again."""
    over = ask(user, agent, name, expect)
    found = record(user, over.execution_id)
    check_attempts(user, name, expect, found, [("main", str(expect.code))])
    if not over.text or found.get("output_text") != over.text:
        user.unexpected(name, expect, "no text, or another one than is stored")


@row("P9", error(UNAVAILABLE), "reset_early", lasts_s=LASTS_S)
def reset_early(user: Walker, name: str, expect: Expect) -> None:
    """A connection that is reset before it says anything."""
    before(user, "reset_early", name, expect)


@row("P9", error(INTERRUPTED), "reset_late", lasts_s=LASTS_S)
def reset_late(user: Walker, name: str, expect: Expect) -> None:
    """A connection that is reset in mid-answer."""
    behind(user, "reset_late", name, expect)


@row("P9", refused(502, INTERRUPTED), "reset_late", lasts_s=LASTS_S)
def reset_late_http(user: Walker, name: str, expect: Expect) -> None:
    """The same for a plain answer."""
    ask_http(user, "reset_late", name, expect)


@row("P10", error(UNAVAILABLE), "ended_early", "truncated_early", lasts_s=LASTS_S)
def ended_early(user: Walker, name: str, expect: Expect) -> None:
    """A stream that ends before it says anything, clean or inside an event."""
    before(user, user.random.choice(("ended_early", "truncated_early")), name, expect)


@row("P10", error(INTERRUPTED), "ended_late", lasts_s=LASTS_S)
def ended_late(user: Walker, name: str, expect: Expect) -> None:
    """A stream that ends in mid-answer without saying that it is finished."""
    behind(user, "ended_late", name, expect)


@row("P10", error(INTERRUPTED), "truncated_late", lasts_s=LASTS_S)
def truncated_late(user: Walker, name: str, expect: Expect) -> None:
    """A stream that ends inside an event, and inside a chunk of its transfer."""
    behind(user, "truncated_late", name, expect)


@row("P12", error(PROTOCOL), "malformed_early", lasts_s=LASTS_S)
def malformed_early(user: Walker, name: str, expect: Expect) -> None:
    """A first event that is no JSON: this provider is not asked again."""
    over = ask(user, "malformed_early", name, expect)
    check_attempts(user, name, expect, record(user, over.execution_id), [("main", PROTOCOL)])


@row("P12", error(PROTOCOL), "malformed_late", lasts_s=LASTS_S)
def malformed_late(user: Walker, name: str, expect: Expect) -> None:
    """An event in mid-answer that is no JSON."""
    behind(user, "malformed_late", name, expect)


@row("P15", error(UNAVAILABLE), "reporting_early", lasts_s=LASTS_S)
def error_event_early(user: Walker, name: str, expect: Expect) -> None:
    """An error that the provider reports instead of an answer counts as what it says it is."""
    before(user, "reporting_early", name, expect)


@row("P15", error(INTERRUPTED), "reporting_late", lasts_s=LASTS_S)
def error_event_late(user: Walker, name: str, expect: Expect) -> None:
    """An error that it reports in mid-answer."""
    behind(user, "reporting_late", name, expect)
