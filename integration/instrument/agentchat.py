"""Frames of the protocol, made by hand, and a turn that follows them."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

from integration.instrument.script_server import text
from load.drivers.base import Driver, Turn
from load.metrics.timeline import Limits, Timeline

MS = 1_000_000
LIMITS = Limits(
    connect_ns=5_000 * MS,
    accept_ns=5_000 * MS,
    first_delta_ns=5_000 * MS,
    gap_ns=5_000 * MS,
    total_ns=8_000 * MS,
)
"""Ends a test that hangs, and nothing else."""
RUN = "exe_1"
LETTERS = "héllo 😀"


def started(run: str = RUN) -> dict[str, Any]:
    return {"type": "started", "seq": 1, "execution_id": run, "session_id": "ses_1", "done": False}


def delta(seq: int, letter: str, run: str = RUN) -> dict[str, Any]:
    return {"type": "delta", "seq": seq, "execution_id": run, "delta": letter, "done": False}


def done(seq: int, response: str, run: str = RUN) -> dict[str, Any]:
    fields = {"session_id": "ses_1", "finish_reason": "stop", "usage": {"completion_tokens": 9}}
    return {"type": "done", "seq": seq, "execution_id": run, "response": response, "done": True, **fields}


def error(code: str, **fields: Any) -> dict[str, Any]:
    """Fields beside `error`; those of the problem in `problem`."""
    problem = {"code": code, **fields.pop("problem", {})}
    return {"type": "error", "error": problem, "done": True, "fatal": False, **fields}


def answer(letters: str = LETTERS, run: str = RUN) -> list[dict[str, Any]]:
    """A whole stream: `started`, a chunk for each letter, `done`."""
    deltas = [delta(seq, letter, run) for seq, letter in enumerate(letters, 2)]
    return [started(run), *deltas, done(len(letters) + 2, letters, run)]


def frames(*objects: dict[str, Any]) -> list[bytes]:
    """Each object in a text frame."""
    return [text(**fields) for fields in objects]


def events(*objects: dict[str, Any]) -> list[bytes]:
    """Each object as a server-sent event."""
    return [event(fields["type"], fields.get("seq", ""), fields) for fields in objects]


def event(kind: str, number: object, fields: object) -> bytes:
    """One server-sent event."""
    return f"id: {number}\nevent: {kind}\ndata: {json.dumps(fields, ensure_ascii=False)}\n\n".encode()


def turn(prompt: str = "Hello?", **fields: Any) -> Turn:
    """A turn that is due now."""
    limits = fields.pop("limits", LIMITS)
    return Turn(prompt, 1, fields.pop("session_id", None), time.perf_counter_ns(), limits, **fields)


def limits(**changes: int) -> Limits:
    """The usual limits, some of them in ms."""
    return replace(LIMITS, **{name: value * MS for name, value in changes.items()})


def follow(driver: Driver, asked: Turn | None = None) -> Timeline:
    """The timeline of one turn."""
    timeline = Timeline(LIMITS, None if asked is None else asked.expected_text)
    driver.stream(asked or turn(), timeline.take)
    return timeline


def end(timeline: Timeline) -> tuple[str | None, str | None, dict[str, int]]:
    """State, code and breaks."""
    return None if timeline.state is None else timeline.state.value, timeline.code, timeline.breaks
