"""What a client asked for, and how it came out: the values a run begins and ends with."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import orjson

from backend.errors import ErrorCode, Problem
from backend.providers.base import FinishReason, Usage
from backend.storage.models import RunStatus, Transport

OnDisconnect = Literal["cancel", "continue"]


@dataclass(frozen=True, slots=True)
class Order:
    """One message of one user to one agent, checked for form and for nothing else."""

    user_id: str
    agent_id: str
    message: str
    action: str
    transport: Transport
    correlation_id: str
    token_id: str | None = None  # where the token must be looked at again, because it was long ago
    session_key: str | None = None
    request_id: str | None = None
    on_disconnect: OnDisconnect = "cancel"
    max_tokens: int | None = None
    temperature: float | None = None
    metadata: Mapping[str, object] | None = None

    def fingerprint(self) -> str:
        """Equal for equal requests: what a repeated `request_id` is compared by."""
        asked = {"agent_id": self.agent_id, "action": self.action, "session_id": self.session_key}
        encoded = orjson.dumps(asked | self.input_data(), option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(encoded).hexdigest()

    def input_data(self) -> dict[str, object]:
        """What the row keeps of the request."""
        data: dict[str, object] = {"message": self.message}
        if self.max_tokens is not None:
            data["max_tokens"] = self.max_tokens
        if self.temperature is not None:
            data["temperature"] = self.temperature
        if self.metadata is not None:
            data["metadata"] = dict(self.metadata)
        return data


class Stop(StrEnum):
    """Why a run is ended from outside; the value is the `reason` a `cancelled` frame gives."""

    CLIENT = "client"
    API = "api"
    ADMIN = "admin"
    DISCONNECTED = "disconnected"
    SLOW = "slow"
    SHUTDOWN = "shutdown"

    @property
    def code(self) -> ErrorCode:
        return _STOP_CODES.get(self, ErrorCode.CANCELLED)


_STOP_CODES = {
    Stop.DISCONNECTED: ErrorCode.CLIENT_DISCONNECTED,
    Stop.SLOW: ErrorCode.SLOW_CONSUMER,
    Stop.SHUTDOWN: ErrorCode.SERVER_SHUTDOWN,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended. `problem` is None exactly when it is COMPLETED."""

    status: RunStatus
    usage: Usage
    problem: Problem | None = None
    finish_reason: FinishReason | None = None
    stop: Stop | None = None

    @classmethod
    def failed(cls, problem: Problem, usage: Usage, stop: Stop | None = None) -> Outcome:
        return cls(RunStatus(problem.row.run_status or RunStatus.FAILED), usage, problem, stop=stop)

    @property
    def code(self) -> ErrorCode | None:
        return self.problem.code if self.problem else None
