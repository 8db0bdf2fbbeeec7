"""Rows F: frames that break the protocol, ask for nonsense, or come too often."""

from __future__ import annotations

from typing import Any, Final

import orjson

from load.drivers.raw import BINARY, CONT, TEXT, frame, say
from load.scenarios.expect import DONE, Expect, error
from load.scenarios.rows.base import Walker, row
from load.scenarios.rows.line import Line, closed, line, told
from load.scenarios.rows.runs import check_stored, ended

STRIKES: Final = 5
MESSAGE_BYTES: Final = 65_536
MESSAGE_CHARS: Final = 16_000
"""The service's defaults."""
FLOOD: Final = 100
"""Frames at once, five times what is allowed in a second."""
MALFORMED: Final = (
    (b"no json", b"{"),
    (b"[]", b"null"),
    (b"{}", b'{"type": "dance"}', b'{"type": 5}'),
    (b'{"type": "chat"}', b'{"message": "Hi", "max_tokens": "5"}', b'{"message": "Hi", "sesion_id": "x"}'),
    (b'{"type": "cancel"}',),
)
"""For each reason why a frame is none, those to choose from; as many as STRIKES."""
LEFT: Final = ("CANCELLED", "client_disconnected")
AT_ONCE_S: Final = 1.5
"""Below the grace of a run whose client may come back."""


def code_of(found: dict[str, Any]) -> str:
    """Of an error frame."""
    return str(found["error"].get("code"))


@row("F1", closed(4400, "malformed_frame"), "intern")
def malformed_frames(user: Walker, name: str, expect: Expect) -> None:
    """Frames that are none, for every reason: four are forgiven, the fifth ends the connection."""
    texts = [user.random.choice(alike) for alike in MALFORMED]
    user.random.shuffle(texts)
    with told(user, name, expect), line(user, "intern") as wire:
        for text in texts[:-1]:
            wire.client.send(frame(TEXT, text))
            found = wire.first("error")
            if code_of(found) != "malformed_frame" or found["fatal"] is not False:
                user.unexpected(name, expect, f"{error(code_of(found))}, fatal {found['fatal']}")
        wire.client.send(frame(TEXT, texts[-1]))
        user.outcome(name, expect, wire.rest(told=True))


@row("F2", error("invalid_request"), "intern", lasts_s=0.8, harmless=True)
def empty_message(user: Walker, name: str, expect: Expect) -> None:
    """An empty or blank message gets an error that points at it, and the connection lives on."""
    driver = user.websocket("intern")
    followed = user.follow(driver, user.turn(user.random.choice(("", "   ", "\n"))), name)
    received = [orjson.loads(data) for _, way, data in followed.frames if way == "received"]
    pointers = [one["pointer"] for one in received[-1].get("error", {}).get("errors", [])] if received else []
    user.book(followed, expect)
    if pointers != ["/message"]:
        user.unexpected(name, expect, f"{expect} that points at {pointers}")
    user.stream(driver, user.turn("And now a real question: what is the time?"), DONE, "after_error")


@row("F3", error("invalid_request"), "intern")
def long_message(user: Walker, name: str, expect: Expect) -> None:
    """A message of one character too many."""
    user.stream(user.websocket("intern"), user.turn("x" * (MESSAGE_CHARS + 1)), expect, name)


@row("F7", error("invalid_request"), "intern")
def unusable_frame(user: Walker, name: str, expect: Expect) -> None:
    """A chat whose text could not be stored."""
    user.stream(user.websocket("intern"), user.turn("Ring a bell: \0"), expect, name)


@row("F8", error("unknown_action"), "intern", harmless=True)
def unknown_action(user: Walker, name: str, expect: Expect) -> None:
    """An action that nobody knows."""
    user.stream(user.websocket("intern"), user.turn("Up and away!", extra={"action": "fly"}), expect, name)


@row("F4", closed(1009), "endless", lasts_s=1.0)
def oversize_frame(user: Walker, name: str, expect: Expect) -> None:
    """A frame of one byte too many while an answer runs."""
    _oversize(user, name, expect, frame(TEXT, b"x" * (MESSAGE_BYTES + 1)))


@row("F4", closed(1009), "endless", lasts_s=1.0)
def oversize_fragments(user: Walker, name: str, expect: Expect) -> None:
    """The same in two fragments, each of which is small enough."""
    first = frame(TEXT, b"x" * MESSAGE_BYTES, fin=False)
    _oversize(user, name, expect, first + frame(CONT, b"x"))


def _oversize(user: Walker, name: str, expect: Expect, data: bytes) -> None:
    token = user.spare_token(4)
    with told(user, name, expect), line(user, "endless", token=token) as wire:
        execution_id = wire.chat(user.turn("Tell me more."))
        wire.first("delta")
        wire.client.send(data)
        user.outcome(name, expect, wire.rest(), stream_id=execution_id)
        check_stored(user, name, expect, ended(user, execution_id, token, AT_ONCE_S), *LEFT)


@row("F5", closed(1003, "unsupported_media_type"), "intern")
def binary_frame(user: Walker, name: str, expect: Expect) -> None:
    """A chat as bytes instead of text."""
    with told(user, name, expect), line(user, "intern") as wire:
        wire.client.send(frame(BINARY, b'{"message": "Hello"}'))
        user.outcome(name, expect, wire.rest(told=True))


@row("F9", error("stream_busy"), "closing", lasts_s=2.0)
def second_chat(user: Walker, name: str, expect: Expect) -> None:
    """A second chat while an answer streams is refused, and the answer is not touched."""
    with told(user, name, expect), line(user, "closing") as wire:
        wire.chat(user.turn("One thing."))
        wire.first("delta")
        wire.client.send(say(type="chat", message="And another.", request_id=wire.correlation_id))
        busy = wire.first("error")
        user.outcome(name, expect, error(code_of(busy)))
        if busy.get("request_id") != wire.correlation_id or busy["fatal"] is not False:
            user.unexpected(name, expect, f"{expect} of another request, or fatal")
        answer = wire.answer()
        if answer != DONE:
            user.unexpected(name, expect, f"the first answer {answer}")


@row("F10", closed(4429, "rate_limited"), "intern", lasts_s=0.5)
def frame_flood(user: Walker, name: str, expect: Expect) -> None:
    """Frames far faster than allowed: refused one by one, and then that is the end."""
    with told(user, name, expect), line(user, "intern") as wire:
        wire.client.send(say(type="ping") * FLOOD)
        user.outcome(name, expect, wire.rest(told=True))
        _check_flood(user, name, expect, wire)


def _check_flood(user: Walker, name: str, expect: Expect, wire: Line) -> None:
    refusals = [found for found in wire.heard if found["type"] == "error"]
    if [found["fatal"] for found in refusals] != [False] * STRIKES + [True]:
        user.unexpected(name, expect, f"{expect} behind {len(refusals)} refusals")
    if not all(found["error"].get("retry_after_ms") for found in refusals):
        user.unexpected(name, expect, f"{expect} without a time to retry")
