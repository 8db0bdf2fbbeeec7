"""Rows F12 to F14: who says nothing, does not answer, or says goodbye."""

from __future__ import annotations

from typing import Final

from load.drivers.raw import say
from load.scenarios.expect import Expect
from load.scenarios.profile import (
    WS_FIRST_FRAME_TIMEOUT_S,
    WS_IDLE_TIMEOUT_S,
    WS_PING_INTERVAL_S,
    WS_PING_TIMEOUT_S,
)
from load.scenarios.rows.base import Walker, row
from load.scenarios.rows.frames import AT_ONCE_S, LEFT
from load.scenarios.rows.line import closed, line, told
from load.scenarios.rows.runs import check_stored, ended, record

PONG_S: Final = WS_PING_INTERVAL_S + WS_PING_TIMEOUT_S
NORMAL: Final = 1000


@row(
    "F12",
    closed(4408, "idle_timeout", WS_FIRST_FRAME_TIMEOUT_S),
    "intern",
    lasts_s=WS_FIRST_FRAME_TIMEOUT_S + 0.3,
)
def no_first_frame(user: Walker, name: str, expect: Expect) -> None:
    """Connects and says nothing."""
    with told(user, name, expect), line(user, "intern") as wire:
        came = wire.rest()
        user.outcome(name, expect, came, after_s=(wire.at - wire.client.began_at) / 1e9)


@row("F12", closed(4408, "idle_timeout", WS_IDLE_TIMEOUT_S), "intern", lasts_s=WS_IDLE_TIMEOUT_S + 0.5)
def idle_connection(user: Walker, name: str, expect: Expect) -> None:
    """Says one thing and then nothing more; that it answers pings is no reason to keep it."""
    with told(user, name, expect), line(user, "intern") as wire:
        spoken_at = wire.client.send(say(type="ping"))
        came = wire.rest()
        user.outcome(name, expect, came, after_s=(wire.at - spoken_at) / 1e9)


@row("F13", closed(1011, limit_s=PONG_S), "endless", lasts_s=PONG_S + 0.5)
def no_pongs(user: Walker, name: str, expect: Expect) -> None:
    """Reads its answer, but does not answer pings: given up, and its run with it."""
    token = user.spare_token(4)
    with told(user, name, expect), line(user, "endless", token=token) as wire:
        wire.client.pongs = False
        execution_id = wire.chat(user.turn("I am listening."))
        came = wire.rest()
        after_s = (wire.at - wire.client.began_at) / 1e9
        user.outcome(name, expect, came, after_s=after_s, stream_id=execution_id)
        check_stored(user, name, expect, ended(user, execution_id, token, AT_ONCE_S), *LEFT)


@row("F14", closed(NORMAL), "endless", lasts_s=1.0)
def goodbye(user: Walker, name: str, expect: Expect) -> None:
    """A close frame in the middle of an answer is echoed, and the run ends."""
    token = user.spare_token(4)
    with told(user, name, expect), line(user, "endless", token=token) as wire:
        execution_id = wire.chat(user.turn("Never mind."))
        wire.first("delta")
        wire.client.send_close(NORMAL)
        user.outcome(name, expect, wire.rest(), stream_id=execution_id)
        check_stored(user, name, expect, ended(user, execution_id, token, AT_ONCE_S), *LEFT)


@row("F14", closed(NORMAL), "endless", lasts_s=1.0)
def goodbye_for_now(user: Walker, name: str, expect: Expect) -> None:
    """The same of a client that will come back: the run goes on without it, until somebody cancels it."""
    token = user.spare_token(4)
    with told(user, name, expect), line(user, "endless", token=token) as wire:
        turn = user.turn("Go on without me.", extra={"on_disconnect": "continue"})
        execution_id = wire.chat(turn)
        wire.first("delta")
        wire.client.send_close(NORMAL)
        user.outcome(name, expect, wire.rest(), stream_id=execution_id)
        check_stored(user, name, expect, record(user, execution_id, token), "RUNNING", None)
        user.http(token=token).request("POST", f"/api/executions/{execution_id}/cancel")
        check_stored(user, name, expect, ended(user, execution_id, token), "CANCELLED", "cancelled")
