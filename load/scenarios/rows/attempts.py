"""What rows about providers share: a message to one of their agents, and what was tried for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from load.metrics.timeline import Timeline
from load.scenarios.expect import Expect
from load.scenarios.rows.base import Walker

MAX_ATTEMPTS: Final = 2
"""At one provider, by the target's default."""

UNAVAILABLE: Final = "provider_unavailable"
OK: Final = "ok"


def ask(user: Walker, agent: str, name: str, expect: Expect, **extra: object) -> Timeline:
    """One message over a WebSocket or as server-sent events, which end alike. extra: fields of the chat."""
    driver = user.websocket(agent) if user.random.random() < 0.5 else user.sse(agent)
    return user.stream(driver, user.turn("Tell me about it.", extra=extra), expect, name)


def ask_http(user: Walker, agent: str, name: str, expect: Expect) -> Timeline:
    """One message for a plain answer."""
    return user.stream(user.http(agent), user.turn("Tell me about it."), expect, name)


def check_attempts(
    user: Walker, name: str, expect: Expect, found: dict[str, Any], tried: Sequence[tuple[str, str]]
) -> None:
    """That these providers were asked, with these outcomes, and nobody else."""
    seen = [(one.get("provider"), one.get("outcome")) for one in found.get("attempts", ())]
    if seen != [*tried]:
        told = ", ".join(f"{provider} {outcome}" for provider, outcome in seen) or "none"
        user.unexpected(name, expect, f"attempts: {told}", found.get("id", "unknown"))
