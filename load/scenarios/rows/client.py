"""Rows C: what a client does while an answer runs."""

from __future__ import annotations

from load.scenarios.expect import CANCELLED, CUT_BY_US, DONE, Expect
from load.scenarios.rows.base import Walker, row


@row("C1", CUT_BY_US, "endless", lasts_s=0.8)
def client_disconnect(user: Walker, name: str, expect: Expect) -> None:
    """The client vanishes in the middle of an answer: reset, FIN or close frame."""
    how = user.random.choice(("rst", "fin", "close"))
    user.stream(user.websocket("endless"), user.turn("Never mind.", drop_after=(2, how)), expect, name)


@row("C2", DONE, "steady", lasts_s=0.6)
def resumed(user: Walker, name: str, expect: Expect) -> None:
    """A connection that is reset in mid-answer, and a client that takes the answer up again."""
    turn = user.turn("Where were we?", drop_after=(3, "rst"), resume=1, extra={"on_disconnect": "continue"})
    user.stream(user.websocket("steady"), turn, expect, name)


@row("C8", CANCELLED, "endless", lasts_s=0.8, harmless=True)
def client_cancel(user: Walker, name: str, expect: Expect) -> None:
    """The client has read enough and says so."""
    user.stream(user.websocket("endless"), user.turn("A long story.", cancel_after=2), expect, name)
