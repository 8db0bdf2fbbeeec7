"""Rows P: a provider that refuses, is slow or silent, or serves after all; clocks and answers."""

from __future__ import annotations

from typing import Final

from load.scenarios.expect import DONE, Expect, error, refused
from load.scenarios.profile import (
    CONNECT_TIMEOUT_S,
    FIRST_TOKEN_TIMEOUT_S,
    INTER_CHUNK_TIMEOUT_S,
    TOTAL_DEADLINE_S,
    AgentPlan,
)
from load.scenarios.rows.attempts import MAX_ATTEMPTS, OK, UNAVAILABLE, ask, ask_http, check_attempts
from load.scenarios.rows.base import Walker, row
from load.scenarios.rows.runs import archive, make_agent, record

AFTER_S: Final = 0.5
"""What a row takes beyond its clock."""

ASKED_TOKENS: Final = 5


@row("P1", error("provider_unavailable"), "unreachable", lasts_s=AFTER_S)
def provider_unreachable(user: Walker, name: str, expect: Expect) -> None:
    """Nobody listens where the provider should be: tried twice, within the time for connecting."""
    over = ask(user, "unreachable", name, expect)
    found = record(user, over.execution_id)
    check_attempts(user, name, expect, found, [("dead", UNAVAILABLE)] * MAX_ATTEMPTS)
    most_ms = (MAX_ATTEMPTS * CONNECT_TIMEOUT_S + AFTER_S) * 1000
    if found.get("duration_ms", 0) > most_ms:
        user.unexpected(name, expect, f"{expect} late: after more than {most_ms:g} ms")


@row("P2", error("provider_auth"), "unauthorized", lasts_s=AFTER_S)
def provider_key_refused(user: Walker, name: str, expect: Expect) -> None:
    """The provider does not know the key: it is not asked again."""
    over = ask(user, "unauthorized", name, expect)
    check_attempts(user, name, expect, record(user, over.execution_id), [("main", "provider_auth")])


@row("P2", refused(424, "provider_auth"), "unauthorized", lasts_s=AFTER_S)
def provider_key_refused_http(user: Walker, name: str, expect: Expect) -> None:
    """The same for a plain answer: somebody must change the configuration."""
    ask_http(user, "unauthorized", name, expect)


@row("P3", error("provider_rate_limited"), "limited", lasts_s=AFTER_S)
def provider_rate_limited(user: Walker, name: str, expect: Expect) -> None:
    """The provider asks to come later, and does not say when."""
    over = ask(user, "limited", name, expect)
    check_attempts(user, name, expect, record(user, over.execution_id), [("main", "provider_rate_limited")])


@row("P4", DONE, lasts_s=2 * AFTER_S, admin=True)
def provider_recovers(user: Walker, name: str, expect: Expect) -> None:
    """A provider that fails once and serves the second attempt; nobody has asked this one before."""
    tag = f"{user.random.getrandbits(64):016x}"
    agent = make_agent(user, name, AgentPlan("INTERN", model=f"sim:ttft=30,n=6,fail=once-503,tag={tag}"))
    over = ask(user, agent, name, expect)
    check_attempts(user, name, expect, record(user, over.execution_id), [("main", UNAVAILABLE), ("main", OK)])
    archive(user, agent)


@row("P4", error("provider_unavailable"), "failing", lasts_s=AFTER_S)
def provider_fails(user: Walker, name: str, expect: Expect) -> None:
    """A provider that fails each time: it has two attempts and no third."""
    over = ask(user, "failing", name, expect)
    check_attempts(
        user, name, expect, record(user, over.execution_id), [("main", UNAVAILABLE)] * MAX_ATTEMPTS
    )


@row("P4", refused(503, "provider_unavailable"), "failing", lasts_s=AFTER_S)
def provider_fails_http(user: Walker, name: str, expect: Expect) -> None:
    """The same for a plain answer."""
    ask_http(user, "failing", name, expect)


SILENT: Final = error("first_token_timeout", FIRST_TOKEN_TIMEOUT_S)


@row("P6", SILENT, "mute", lasts_s=FIRST_TOKEN_TIMEOUT_S + AFTER_S)
def first_token_timeout(user: Walker, name: str, expect: Expect) -> None:
    """A provider that answers, and says nothing."""
    ask(user, "mute", name, expect)


@row("P6", SILENT, "commenting", lasts_s=FIRST_TOKEN_TIMEOUT_S + AFTER_S)
def first_token_comments(user: Walker, name: str, expect: Expect) -> None:
    """One that only shows that it lives: comments wind no clock."""
    ask(user, "commenting", name, expect)


@row("P6", SILENT, "naming", lasts_s=FIRST_TOKEN_TIMEOUT_S + AFTER_S)
def first_token_roles(user: Walker, name: str, expect: Expect) -> None:
    """One that says who speaks, and never what."""
    ask(user, "naming", name, expect)


@row("P6", refused(504, "first_token_timeout"), "mute", lasts_s=FIRST_TOKEN_TIMEOUT_S + AFTER_S)
def first_token_timeout_http(user: Walker, name: str, expect: Expect) -> None:
    """The same for a plain answer."""
    ask_http(user, "mute", name, expect)


STALLED: Final = error("inter_chunk_timeout", INTER_CHUNK_TIMEOUT_S)


@row("P7", STALLED, "stalling", lasts_s=INTER_CHUNK_TIMEOUT_S + AFTER_S)
def inter_chunk_timeout(user: Walker, name: str, expect: Expect) -> None:
    """A provider that falls silent in mid-answer."""
    ask(user, "stalling", name, expect)


@row("P7", STALLED, "trailing_off", lasts_s=INTER_CHUNK_TIMEOUT_S + AFTER_S)
def inter_chunk_comments(user: Walker, name: str, expect: Expect) -> None:
    """One that goes on with comments."""
    ask(user, "trailing_off", name, expect)


@row("P8", error("deadline_exceeded", TOTAL_DEADLINE_S), "endless", lasts_s=TOTAL_DEADLINE_S + AFTER_S)
def deadline_exceeded(user: Walker, name: str, expect: Expect) -> None:
    """One that is never silent and never ready."""
    ask(user, "endless", name, expect)


@row("P16", error("response_too_large"), "flooding", lasts_s=AFTER_S)
def response_too_large(user: Walker, name: str, expect: Expect) -> None:
    """One that says more than it was asked for: what fits is told, and the rest not waited for."""
    over = ask(user, "flooding", name, expect, max_tokens=ASKED_TOKENS)
    if over.chunks != ASKED_TOKENS:
        user.unexpected(name, expect, f"{over.chunks} chunks for {ASKED_TOKENS} tokens")


@row("P17", DONE, "crumbling", lasts_s=2 * AFTER_S)
def every_byte_alone(user: Walker, name: str, expect: Expect) -> None:
    """One whose answer comes byte by byte, code points and line ends in pieces."""
    ask(user, "crumbling", name, expect)


@row("P20", DONE, "second_choice", lasts_s=2 * AFTER_S)
def provider_falls_back(user: Walker, name: str, expect: Expect) -> None:
    """The first provider is not there, the second serves."""
    over = ask(user, "second_choice", name, expect)
    found = record(user, over.execution_id)
    check_attempts(user, name, expect, found, [*[("dead", UNAVAILABLE)] * MAX_ATTEMPTS, ("backup", OK)])
    if found.get("provider") != "backup":
        user.unexpected(name, expect, f"served by {found.get('provider')}")
