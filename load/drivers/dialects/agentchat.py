"""Frames of `agentchat.v1` (docs/protocol.md) as events; the same over WebSocket and server-sent events.

A frame that lacks a field of the contract gives `Garbled`, and its event nevertheless where it ends the
stream: a terminal frame stays one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import orjson

from load.drivers.eventstream import ServerEvent
from load.metrics.events import Accepted, Beat, Cancelled, Delta, Errored, Event, Finished, Garbled

Frame: TypeAlias = Mapping[str, Any]
Stamp: TypeAlias = tuple[int, int, int]
"""(arrived at, read at, mates) of a frame."""


def _number(value: object) -> int | None:
    return value if type(value) is int else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _milliseconds(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _garbled(at: int, what: str, frame: Frame) -> Garbled:
    return Garbled(at, f"{what} in {frame!s:.64}")


def _started(frame: Frame, stamp: Stamp) -> list[Event]:
    seq, execution_id = _number(frame.get("seq")), _text(frame.get("execution_id"))
    if seq is None or execution_id is None:
        return [_garbled(stamp[0], "no seq or execution_id", frame)]
    return [Accepted(stamp[0], execution_id, seq, _text(frame.get("session_id")))]


def _delta(frame: Frame, stamp: Stamp) -> list[Event]:
    seq, text, execution_id = _number(frame.get("seq")), _text(frame.get("delta")), frame.get("execution_id")
    if seq is None or not text or not isinstance(execution_id, str):
        return [_garbled(stamp[0], "no seq, delta or execution_id", frame)]
    at, read_at, mates = stamp
    return [Delta(at, read_at, seq, text, "answer", mates)]


def _done(frame: Frame, stamp: Stamp) -> list[Event]:
    seq, text = _number(frame.get("seq")), _text(frame.get("response"))
    usage = frame.get("usage")
    finished = Finished(
        stamp[0],
        text=text,
        seq=seq,
        id=_text(frame.get("execution_id")),
        session_id=_text(frame.get("session_id")),
        reason=_text(frame.get("finish_reason")),
        tokens=_number(usage.get("completion_tokens")) if isinstance(usage, dict) else None,
    )
    if seq is None or text is None or finished.id is None or frame.get("done") is not True:
        return [_garbled(stamp[0], "no seq, response, execution_id or done", frame), finished]
    return [finished]


def _error(frame: Frame, stamp: Stamp) -> list[Event]:
    problem = frame.get("error")
    if not isinstance(problem, dict):
        problem = {}
    code = _text(problem.get("code"))
    errored = Errored(
        stamp[0],
        code or "unknown",
        seq=_number(frame.get("seq")),
        id=_text(frame.get("execution_id")),
        partial=_text(frame.get("partial")),
        limit_ms=_milliseconds(problem.get("limit_ms")),
        elapsed_ms=_milliseconds(problem.get("elapsed_ms")),
        retry_after_ms=_milliseconds(problem.get("retry_after_ms")),
        fatal=frame.get("fatal") is True,
    )
    if code is None or frame.get("done") is not True:
        return [_garbled(stamp[0], "no code or done", frame), errored]
    return [errored]


def _cancelled(frame: Frame, stamp: Stamp) -> list[Event]:
    seq = _number(frame.get("seq"))
    cancelled = Cancelled(
        stamp[0],
        reason=_text(frame.get("reason")),
        seq=seq,
        id=_text(frame.get("execution_id")),
        partial=_text(frame.get("partial")),
    )
    if seq is None or cancelled.id is None or frame.get("done") is not True:
        return [_garbled(stamp[0], "no seq, execution_id or done", frame), cancelled]
    return [cancelled]


FRAMES: Final[Mapping[object, Callable[[Frame, Stamp], list[Event]]]] = {
    "started": _started,
    "delta": _delta,
    "done": _done,
    "error": _error,
    "cancelled": _cancelled,
}
"""Frames of a run; every other type is a sign of life."""

TERMINAL: Final = frozenset({"done", "error", "cancelled"})


def mates_of(kinds: Sequence[object]) -> int:
    """How many chunks share the stamp of one read, from the types of its frames in order.

    A terminal frame directly behind the last chunk does not count; another frame does, since the stamp may be
    its own. What stands before the first chunk is no matter: the stamp is that of the last bytes.
    """
    chunks = kinds.count("delta")
    if chunks != 1:
        return max(1, chunks)
    behind = kinds[kinds.index("delta") + 1 :]
    return 1 if all(kind in TERMINAL for kind in behind) else 2


def parse(message: bytes) -> Frame | str:
    """A frame, or what is wrong with it: not UTF-8, not JSON, or no object."""
    try:
        frame = orjson.loads(message)
    except orjson.JSONDecodeError as error:
        return f"{error}: {message[:64]!r}"
    return frame if type(frame) is dict else f"no object: {message[:64]!r}"


def events_of(frame: Frame, stamp: Stamp) -> list[Event]:
    """What a frame means. Types that nobody knows are ignored by the contract, and so are signs of life."""
    kind = frame.get("type")
    make = FRAMES.get(kind) if isinstance(kind, str) else None
    if make is None:
        return [Beat(stamp[0], kind if isinstance(kind, str) else "unknown")]
    return make(frame, stamp)


def of_server_event(event: ServerEvent) -> Frame | str:
    """The frame in an event of `text/event-stream`: `event:` is its type, `id:` its seq."""
    frame = parse(event.data)
    if isinstance(frame, str):
        return frame
    if frame.get("type") != event.type:
        return f"event {event.type!r} holds {event.data[:64]!r}"
    if "seq" in frame and str(frame["seq"]) != event.id:
        return f"id {event.id!r} of {event.data[:64]!r}"
    return frame


def request(prompt: str, session_id: str | None, extra: Mapping[str, object]) -> dict[str, object]:
    """The fields of a chat, over every wire."""
    fields: dict[str, object] = {"message": prompt}
    if session_id is not None:
        fields["session_id"] = session_id
    fields.update(extra)
    return fields
