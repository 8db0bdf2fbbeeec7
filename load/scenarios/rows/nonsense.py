"""Rows P: a provider that will not answer, answers with something else, or does not come to an end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from load.scenarios.expect import DONE, Expect, error, refused
from load.scenarios.profile import MALFORMED, TOO_LONG
from load.scenarios.rows.attempts import OK, ask, ask_http, check_attempts
from load.scenarios.rows.base import Walker, row
from load.scenarios.rows.interrupted import LASTS_S, PROTOCOL, behind
from load.scenarios.rows.runs import record

BAD_REQUEST: Final = "provider_bad_request"
RATE_LIMITED: Final = "provider_rate_limited"
TAIL_S: Final = 0.5
"""The target waits so long for the usage and the end mark."""


def once(user: Walker, agent: str, name: str, expect: Expect, outcome: str) -> None:
    """This provider is asked a single time, and comes to that."""
    over = ask(user, agent, name, expect)
    check_attempts(user, name, expect, record(user, over.execution_id), [("main", outcome)])


def each(user: Walker, agents: Sequence[str], name: str, expect: Expect) -> None:
    """All of them in some order; but the last goes under a name of its own."""
    *others, last = user.random.sample(agents, len(agents))
    for agent in others:
        ask(user, agent, "one_of_several", expect)
    ask(user, last, name, expect)


@row("P3", error(RATE_LIMITED), "asking_later", lasts_s=LASTS_S)
def come_back_soon(user: Walker, name: str, expect: Expect) -> None:
    """A provider that asks to come later, in words that say no time."""
    once(user, "asking_later", name, expect, RATE_LIMITED)


@row("P5", error(BAD_REQUEST), "refusing", lasts_s=LASTS_S)
def provider_refuses(user: Walker, name: str, expect: Expect) -> None:
    """A provider that does not want this request: nobody is asked again."""
    once(user, "refusing", name, expect, BAD_REQUEST)


@row("P5", error(BAD_REQUEST), "filtered_early", lasts_s=LASTS_S)
def filtered_early(user: Walker, name: str, expect: Expect) -> None:
    """One that filters the whole answer."""
    once(user, "filtered_early", name, expect, BAD_REQUEST)


@row("P5", error(BAD_REQUEST), "filtered_late", lasts_s=LASTS_S)
def filtered_late(user: Walker, name: str, expect: Expect) -> None:
    """One that filters the rest of it: what was said stays."""
    behind(user, "filtered_late", name, expect)


@row("P11", DONE, "unmarked", lasts_s=LASTS_S)
def end_unmarked(user: Walker, name: str, expect: Expect) -> None:
    """An answer that is finished, and a stream that ends without its mark."""
    once(user, "unmarked", name, expect, OK)


@row("P11", DONE, "reset_behind", lasts_s=LASTS_S)
def reset_behind(user: Walker, name: str, expect: Expect) -> None:
    """One whose connection is reset right behind the finish."""
    once(user, "reset_behind", name, expect, OK)


@row("P11", DONE, "stalled_behind", lasts_s=TAIL_S + LASTS_S)
def stalled_behind(user: Walker, name: str, expect: Expect) -> None:
    """One that falls silent right behind the finish: nobody waits for long."""
    once(user, "stalled_behind", name, expect, OK)


@row("P11", DONE, "stalled_at_end", lasts_s=LASTS_S)
def stalled_at_end(user: Walker, name: str, expect: Expect) -> None:
    """One that never ends its body, behind the mark that says so."""
    once(user, "stalled_at_end", name, expect, OK)


@row("P12", error(PROTOCOL), *MALFORMED, lasts_s=len(MALFORMED) * LASTS_S)
def malformed_each(user: Walker, name: str, expect: Expect) -> None:
    """An event in mid-answer that is no chunk: in its shape, its type or its letters."""
    each(user, MALFORMED, name, expect)


@row("P13", error(PROTOCOL), "paged", lasts_s=LASTS_S)
def page_instead(user: Walker, name: str, expect: Expect) -> None:
    """A page for people, with the status of an answer."""
    once(user, "paged", name, expect, PROTOCOL)


@row("P13", refused(502, PROTOCOL), "paged", lasts_s=LASTS_S)
def page_instead_http(user: Walker, name: str, expect: Expect) -> None:
    """The same for a plain answer."""
    ask_http(user, "paged", name, expect)


@row("P14", error(PROTOCOL), *TOO_LONG, lasts_s=len(TOO_LONG) * LASTS_S)
def too_long_each(user: Walker, name: str, expect: Expect) -> None:
    """A line, an event of several lines, and a line without an end, each larger than is read."""
    each(user, TOO_LONG, name, expect)


@row("P23", error(PROTOCOL), "compressed", lasts_s=LASTS_S)
def compressed(user: Walker, name: str, expect: Expect) -> None:
    """A body that says it is compressed, which nobody asked for: it is not unpacked."""
    once(user, "compressed", name, expect, PROTOCOL)
