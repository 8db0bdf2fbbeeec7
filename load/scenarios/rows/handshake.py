"""Rows H and A: what a handshake or a token is refused for."""

from __future__ import annotations

from load.scenarios.expect import Expect, refused
from load.scenarios.rows.base import UNKNOWN_AGENT, Walker, row


@row("H6", refused(404, "not_found"), harmless=True)
def unknown_agent(user: Walker, name: str, expect: Expect) -> None:
    """An agent that does not exist, over HTTP or WebSocket."""
    by_http = user.random.random() < 0.5
    driver = user.http(UNKNOWN_AGENT) if by_http else user.websocket(UNKNOWN_AGENT)
    user.stream(driver, user.turn("Is anybody there?"), expect, name)


@row("H7", refused(403, "governance_denied"), "student", harmless=True)
def governance_denied(user: Walker, name: str, expect: Expect) -> None:
    """A STUDENT agent may not chat, over HTTP or WebSocket."""
    driver = user.http("student") if user.random.random() < 0.5 else user.websocket("student")
    user.stream(driver, user.turn("Please pay the invoice."), expect, name)
