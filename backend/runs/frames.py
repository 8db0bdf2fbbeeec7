"""The frames of a run as bytes: `started`, `delta`, `done`, `cancelled`, `error` (docs/protocol.md).

`done` is false on frames that others follow and true on the terminal one. Every subscriber and every replay
gets these bytes, so figures are fixed here once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

from backend import telemetry
from backend.errors import Problem
from backend.providers.base import FinishReason, Usage


@dataclass(frozen=True, slots=True)
class RunFrames:
    """The encoder of one run."""

    execution_id: str
    request_id: str | None
    session_id: str | None
    agent_id: str
    model: str
    _ids: bytes = field(init=False)

    def __post_init__(self) -> None:
        ids = b',"execution_id":%b,"request_id":%b,"delta":'
        encoded = ids % (orjson.dumps(self.execution_id), orjson.dumps(self.request_id))
        object.__setattr__(self, "_ids", encoded)

    def started(self, seq: int) -> bytes:
        return orjson.dumps(
            {
                "type": "started",
                "seq": seq,
                "execution_id": self.execution_id,
                "request_id": self.request_id,
                "session_id": self.session_id,
                "agent_id": self.agent_id,
                "model": self.model,
                "ts": telemetry.wire_time(telemetry.utc_now()),
                "done": False,
            }
        )

    def delta(self, seq: int, text: str) -> bytes:
        # By hand: orjson leaves each result in a block of 4 KiB, and a log keeps thousands of these.
        return b'{"type":"delta","seq":%d%b%b,"done":false}' % (seq, self._ids, orjson.dumps(text))

    def done(
        self,
        seq: int,
        *,
        response: str,
        finish_reason: FinishReason,
        usage: Usage,
        provider: str,
        first_token_ms: int | None,
        duration_ms: int | None,
    ) -> bytes:
        return orjson.dumps(
            {
                "type": "done",
                "seq": seq,
                "execution_id": self.execution_id,
                "request_id": self.request_id,
                "session_id": self.session_id,
                "response": response,
                "finish_reason": finish_reason,
                "usage": usage_object(usage),
                "provider": provider,
                "first_token_ms": first_token_ms,
                "duration_ms": duration_ms,
                "done": True,
            }
        )

    def cancelled(self, seq: int, *, reason: str, partial: str, usage: Usage) -> bytes:
        return orjson.dumps(
            {
                "type": "cancelled",
                "seq": seq,
                "execution_id": self.execution_id,
                "request_id": self.request_id,
                "reason": reason,
                "partial": partial,
                "usage": usage_object(usage),
                "done": True,
            }
        )

    def error(
        self, seq: int, problem: Problem, *, partial: str, correlation_id: str, fatal: bool = False
    ) -> bytes:
        frame: dict[str, Any] = {
            "type": "error",
            "seq": seq,
            "execution_id": self.execution_id,
            "request_id": self.request_id,
            "error": problem.body(correlation_id),
        }
        if partial:
            frame["partial"] = partial
        return orjson.dumps(frame | {"fatal": fatal, "done": True})


def usage_object(usage: Usage) -> dict[str, int | bool]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "estimated": usage.estimated,
    }
