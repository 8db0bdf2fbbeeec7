"""What can go wrong, as the wire says it: one vocabulary for problems, frames, rows, logs and metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["TABLE", "ErrorCode", "Finding", "Problem", "Row"]


class ErrorCode(StrEnum):
    """The name of a failure. What each one means stands in `TABLE`."""

    INVALID_REQUEST = "invalid_request"
    UNKNOWN_ACTION = "unknown_action"
    UNAUTHENTICATED = "unauthenticated"
    AUTH_EXPIRED = "auth_expired"
    FORBIDDEN = "forbidden"
    ORIGIN_FORBIDDEN = "origin_forbidden"
    BAD_HANDSHAKE = "bad_handshake"
    GOVERNANCE_DENIED = "governance_denied"
    AGENT_PAUSED = "agent_paused"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    UPGRADE_REQUIRED = "upgrade_required"
    INVALID_CURSOR = "invalid_cursor"
    REQUEST_TIMEOUT = "request_timeout"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    HEADERS_TOO_LARGE = "headers_too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    CONFLICT = "conflict"
    FEEDBACK_EXISTS = "feedback_exists"
    VERSION_CONFLICT = "version_conflict"
    PRECONDITION_REQUIRED = "precondition_required"
    IDEMPOTENCY_MISMATCH = "idempotency_mismatch"
    REQUEST_IN_PROGRESS = "request_in_progress"
    STREAM_BUSY = "stream_busy"
    MALFORMED_FRAME = "malformed_frame"
    RATE_LIMITED = "rate_limited"
    CONCURRENCY_LIMIT = "concurrency_limit"
    CONNECTION_LIMIT = "connection_limit"
    CAPACITY = "capacity"
    NO_PROVIDER = "no_provider"
    PROVIDER_AUTH = "provider_auth"
    PROVIDER_BAD_REQUEST = "provider_bad_request"
    PROVIDER_RATE_LIMITED = "provider_rate_limited"
    PROVIDER_UNAVAILABLE = "provider_unavailable"
    PROVIDER_PROTOCOL = "provider_protocol"
    PROVIDER_STREAM_INTERRUPTED = "provider_stream_interrupted"
    FIRST_TOKEN_TIMEOUT = "first_token_timeout"
    INTER_CHUNK_TIMEOUT = "inter_chunk_timeout"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    RESPONSE_TOO_LARGE = "response_too_large"
    CANCELLED = "cancelled"
    CLIENT_DISCONNECTED = "client_disconnected"
    SLOW_CONSUMER = "slow_consumer"
    RESUME_NOT_FOUND = "resume_not_found"
    RESUME_INVALID_SEQ = "resume_invalid_seq"
    RESUME_GAP = "resume_gap"
    SUPERSEDED = "superseded"
    IDLE_TIMEOUT = "idle_timeout"
    EXPRESSION_ERROR = "expression_error"
    STORAGE_UNAVAILABLE = "storage_unavailable"
    SERVER_SHUTDOWN = "server_shutdown"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Row:
    """What a code means wherever it appears."""

    title: str
    status: int | None  # HTTP status, also of a refused handshake; None: never an HTTP answer
    retryable: bool = False  # may the same request succeed later, with nobody changing anything?
    run_status: str | None = None  # how an execution ends that ends with this code; None: it does not end one
    close: int | None = None  # WebSocket close code that carries this code as its reason


_C = ErrorCode
TABLE: Final[Mapping[ErrorCode, Row]] = {
    _C.INVALID_REQUEST: Row("The request is not valid", 422),
    _C.UNKNOWN_ACTION: Row("The action is not known", 422),
    _C.UNAUTHENTICATED: Row("A valid token is required", 401),
    _C.AUTH_EXPIRED: Row("The token is no longer valid", None, close=4401),
    _C.FORBIDDEN: Row("Only an administrator may do this", 403),
    _C.ORIGIN_FORBIDDEN: Row("The origin is not allowed", 403),
    _C.BAD_HANDSHAKE: Row("The handshake is not acceptable", 400),
    _C.GOVERNANCE_DENIED: Row("The agent is not mature enough for this action", 403),
    _C.AGENT_PAUSED: Row("The agent is paused", 409),
    _C.NOT_FOUND: Row("There is nothing here", 404, close=4404),
    _C.METHOD_NOT_ALLOWED: Row("The method is not allowed", 405),
    _C.UPGRADE_REQUIRED: Row("This path speaks WebSocket only", 426),
    _C.INVALID_CURSOR: Row("The cursor is not valid", 400),
    _C.REQUEST_TIMEOUT: Row("The request arrived too slowly", 408, retryable=True),
    _C.PAYLOAD_TOO_LARGE: Row("The body is too large", 413, close=1009),
    _C.HEADERS_TOO_LARGE: Row("The headers are too large", 431),
    _C.UNSUPPORTED_MEDIA_TYPE: Row("Only JSON is understood here", 415, close=1003),
    _C.CONFLICT: Row("The state of the object does not allow this", 409),
    _C.FEEDBACK_EXISTS: Row("There is feedback of yours already", 409),
    _C.VERSION_CONFLICT: Row("The object has changed meanwhile", 412),
    _C.PRECONDITION_REQUIRED: Row("If-Match is required", 428),
    _C.IDEMPOTENCY_MISMATCH: Row("This request_id belongs to another request", 422),
    _C.REQUEST_IN_PROGRESS: Row("This request is still running", 409, retryable=True),
    _C.STREAM_BUSY: Row("An answer is still streaming on this connection", None, retryable=True),
    _C.MALFORMED_FRAME: Row("The frame could not be understood", None, close=4400),
    _C.RATE_LIMITED: Row("Too many messages", 429, retryable=True, close=4429),
    _C.CONCURRENCY_LIMIT: Row("Too many runs at once", 429, retryable=True),
    _C.CONNECTION_LIMIT: Row("Too many connections at once", 429, retryable=True),
    _C.CAPACITY: Row("The service is full", 503, retryable=True, run_status="FAILED"),
    _C.NO_PROVIDER: Row("No provider serves this model", 424, run_status="FAILED"),
    _C.PROVIDER_AUTH: Row("The provider refused the key", 424, run_status="FAILED"),
    _C.PROVIDER_BAD_REQUEST: Row("The provider refused the request", 424, run_status="FAILED"),
    _C.PROVIDER_RATE_LIMITED: Row("The provider is limiting us", 503, retryable=True, run_status="FAILED"),
    _C.PROVIDER_UNAVAILABLE: Row("The provider cannot be reached", 503, retryable=True, run_status="FAILED"),
    _C.PROVIDER_PROTOCOL: Row("The provider broke its protocol", 502, retryable=True, run_status="FAILED"),
    _C.PROVIDER_STREAM_INTERRUPTED: Row("The provider broke off", 502, retryable=True, run_status="FAILED"),
    _C.FIRST_TOKEN_TIMEOUT: Row("The first token came too late", 504, retryable=True, run_status="TIMED_OUT"),
    _C.INTER_CHUNK_TIMEOUT: Row("The next token came too late", 504, retryable=True, run_status="TIMED_OUT"),
    _C.DEADLINE_EXCEEDED: Row("The answer took too long", 504, retryable=True, run_status="TIMED_OUT"),
    _C.RESPONSE_TOO_LARGE: Row("The answer is too large", 502, run_status="FAILED"),
    _C.CANCELLED: Row("The run was cancelled", 409, run_status="CANCELLED"),
    _C.CLIENT_DISCONNECTED: Row("The client went away", None, run_status="CANCELLED"),
    _C.SLOW_CONSUMER: Row("The client read too slowly", None, run_status="CANCELLED"),
    _C.RESUME_NOT_FOUND: Row("There is no such run to resume", 404),
    _C.RESUME_INVALID_SEQ: Row("The run has not come that far", 416),
    _C.RESUME_GAP: Row("The frames of this run are gone", 410),
    _C.SUPERSEDED: Row("Another connection took the run over", None, close=4409),
    _C.IDLE_TIMEOUT: Row("The connection was idle too long", None, retryable=True, close=4408),
    _C.EXPRESSION_ERROR: Row("An expression could not be evaluated", None),
    _C.STORAGE_UNAVAILABLE: Row("The storage does not answer", 503, retryable=True, run_status="INTERRUPTED"),
    _C.SERVER_SHUTDOWN: Row("The server stops", 503, retryable=True, run_status="INTERRUPTED", close=1012),
    _C.INTERNAL: Row("Something unexpected happened", 500, retryable=True, run_status="FAILED", close=1011),
}  # fmt: skip

# What a 429 or 503 advises when its cause knows no better.
DEFAULT_RETRY_AFTER_MS: Final = 1000


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault of a request. `pointer` is RFC 6901; the offending value is never repeated."""

    pointer: str
    code: str
    message: str


class Problem(Exception):
    """A failure a client is told about: RFC 9457 over HTTP, the `error` member of a frame on a stream.

    `status` replaces the status of the table (`invalid_request` is 400 when it cannot even be read).
    `members` are further members of the object (`limit_ms`, `execution_id`, …); None values are left out.
    """

    def __init__(
        self,
        code: ErrorCode,
        detail: str | None = None,
        *,
        status: int | None = None,
        retry_after_ms: int | None = None,
        errors: Sequence[Finding] = (),
        headers: Mapping[str, str] | None = None,
        **members: object,
    ) -> None:
        row = TABLE[code]
        super().__init__(code.value, detail)
        self.code = code
        self.row = row
        self.detail = detail or row.title
        self.status = status or row.status
        self.errors = tuple(errors)
        self.members = {name: value for name, value in members.items() if value is not None}
        self._headers = dict(headers or {})
        if retry_after_ms is None and self.status in (429, 503):
            retry_after_ms = DEFAULT_RETRY_AFTER_MS
        self.retry_after_ms = retry_after_ms

    def body(self, correlation_id: str) -> dict[str, object]:
        """The object the client reads. It has no `instance`: foreign and unknown ids must look the same."""
        body: dict[str, object] = {"type": f"/problems/{self.code}", "title": self.row.title}
        if self.status is not None:
            body["status"] = self.status
        body |= {"code": self.code.value, "retryable": self.row.retryable, "detail": self.detail}
        if self.retry_after_ms is not None:
            body["retry_after_ms"] = self.retry_after_ms
        body["correlation_id"] = correlation_id
        if self.errors:
            body["errors"] = [
                {"pointer": one.pointer, "code": one.code, "message": one.message} for one in self.errors
            ]
        return body | self.members

    def headers(self) -> dict[str, str]:
        """The HTTP headers that belong to it."""
        headers = dict(self._headers)
        if self.status in (429, 503):
            headers["Retry-After"] = str(max(1, math.ceil((self.retry_after_ms or 0) / 1000)))
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return headers
