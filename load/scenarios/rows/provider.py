"""Rows P: a provider that is slow, silent, wrong or gone."""

from __future__ import annotations

from load.scenarios.expect import Expect, error
from load.scenarios.profile import FIRST_TOKEN_TIMEOUT_S, INTER_CHUNK_TIMEOUT_S, TOTAL_DEADLINE_S
from load.scenarios.rows.base import Walker, row


@row("P6", error("first_token_timeout", FIRST_TOKEN_TIMEOUT_S), "mute", lasts_s=FIRST_TOKEN_TIMEOUT_S + 0.3)
def first_token_timeout(user: Walker, name: str, expect: Expect) -> None:
    """An agent whose first token would come after a minute."""
    user.stream(user.websocket("mute"), user.turn("Say something."), expect, name)


@row(
    "P7", error("inter_chunk_timeout", INTER_CHUNK_TIMEOUT_S), "stalling", lasts_s=INTER_CHUNK_TIMEOUT_S + 0.3
)
def inter_chunk_timeout(user: Walker, name: str, expect: Expect) -> None:
    """An agent that falls silent after its first token."""
    user.stream(user.websocket("stalling"), user.turn("Go on, please."), expect, name)


@row("P8", error("deadline_exceeded", TOTAL_DEADLINE_S), "endless", lasts_s=TOTAL_DEADLINE_S + 0.3)
def deadline_exceeded(user: Walker, name: str, expect: Expect) -> None:
    """An agent that is never silent and never ready."""
    user.stream(user.websocket("endless"), user.turn("Tell me everything."), expect, name)
