"""Rows F: frames that break the protocol or ask for nonsense."""

from __future__ import annotations

from load.scenarios.expect import DONE, Expect, error
from load.scenarios.rows.base import Walker, row


@row("F2", error("invalid_request"), "intern", harmless=True)
def empty_message(user: Walker, name: str, expect: Expect) -> None:
    """An empty message gets an error frame, and the connection lives on."""
    driver = user.websocket("intern")
    user.stream(driver, user.turn(""), expect, name)
    user.stream(driver, user.turn("And now a real question: what is the time?"), DONE, "after_error")
