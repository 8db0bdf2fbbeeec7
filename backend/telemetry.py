"""What an operator sees: JSON log lines, metric objects, and the ids that tie them together."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Final

import anyio
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

_context: ContextVar[Mapping[str, str]] = ContextVar("log_context")
_NO_CONTEXT: Final[Mapping[str, str]] = {}


def utc_now() -> datetime:
    return datetime.now(UTC)


def wire_time(moment: datetime | None) -> str | None:
    """RFC 3339 in UTC with milliseconds and `Z`: the one form of a time in answers, frames and logs."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


@contextmanager
def bind(**ids: str) -> Iterator[None]:
    """Adds ids (`correlation_id`, `connection_id`, `execution_id`, `user_id`) to each log line of the block.

    Tasks started inside inherit them, since a task copies the context it is started from.
    """
    token = _context.set({**_context.get(_NO_CONTEXT), **ids})
    try:
        yield
    finally:
        _context.reset(token)


def note(**ids: str) -> None:
    """As `bind`, for the rest of the current request: its own block takes the ids back at its end."""
    _context.set({**_context.get(_NO_CONTEXT), **ids})


def correlation_id() -> str:
    """The id of the current request or connection; empty outside of both."""
    return _context.get(_NO_CONTEXT).get("correlation_id", "")


_SECRET_NAMES: Final = re.compile(r"token|secret|api_key|authorization|password", re.IGNORECASE)
_SECRET_TEXT: Final = re.compile(
    r"\b(?:sg_|sk-|bearer\.)[A-Za-z0-9._~+/=-]{4,}|\bBearer\s+\S+", re.IGNORECASE
)
_PLAIN_RECORD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_NOT_SECRET: Final = frozenset({"prompt_tokens", "completion_tokens", "first_token_ms"})


def redact(text: str) -> str:
    """The text without anything that looks like a token or a key."""
    return _SECRET_TEXT.sub("[redacted]", text)


class JsonLines(logging.Formatter):
    """One JSON object a line; values named or shaped like secrets never reach it."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "ts": wire_time(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname,
            "event": redact(record.getMessage()),
            **_context.get(_NO_CONTEXT),
        }
        for name, value in vars(record).items():
            if name in _PLAIN_RECORD or value is None:
                continue
            if name not in _NOT_SECRET and _SECRET_NAMES.search(name):
                line[name] = "[redacted]"
            else:
                line[name] = redact(value) if isinstance(value, str) else value
        if record.exc_info:
            line["exception"] = redact(self.formatException(record.exc_info))
        return json.dumps(line, default=str)


def logger(name: str) -> logging.Logger:
    """The logger of one module; facts go into `extra`, which become members of the line."""
    return logging.getLogger(name)


def set_up_logging(level: int = logging.INFO) -> None:
    """Sends every line of the process to stderr as JSON; stdout belongs to the `listening` line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.getLogger("alembic").setLevel(logging.WARNING)  # a line for each migration


# Label values come from closed sets only: routes by template, codes by ErrorCode, never an id or a text.

REGISTRY: Final = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

_FAST: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_RUN: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 120)


def _counter(name: str, text: str, *labels: str) -> Counter:
    return Counter(name, text, labels, registry=REGISTRY)


def _gauge(name: str, text: str, *labels: str) -> Gauge:
    return Gauge(name, text, labels, registry=REGISTRY)


def _histogram(name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
    return Histogram(name, text, buckets=buckets, registry=REGISTRY)


http_requests_total = _counter("http_requests_total", "Answered HTTP requests", "route", "method", "status")
http_request_seconds = _histogram("http_request_seconds", "Time to the end of the HTTP answer", _RUN)
ws_connections = _gauge("ws_connections", "Open WebSocket connections")
ws_handshakes_total = _counter("ws_handshakes_total", "WebSocket handshakes: accepted, or the code", "result")
ws_closes_total = _counter("ws_closes_total", "WebSocket closes", "code", "side")
ws_frames_total = _counter("ws_frames_total", "WebSocket frames", "dir", "type")
slow_consumers_total = _counter("slow_consumers_total", "Readers given up on because a send took too long")
runs_active = _gauge("runs_active", "Runs that have not ended")
runs_unsettled = _gauge("runs_unsettled", "Ended runs whose row could not be written yet")
runs_total = _counter("runs_total", "Ended runs", "status", "code", "transport")
run_first_token_seconds = _histogram("run_first_token_seconds", "From RUNNING to the first token", _RUN)
run_duration_seconds = _histogram("run_duration_seconds", "From RUNNING to the terminal state", _RUN)
run_queue_seconds = _histogram("run_queue_seconds", "From admission to a run slot", _FAST)
run_frame_log_bytes = _gauge("run_frame_log_bytes", "Bytes held by all frame logs")
run_transition_conflicts_total = _counter(
    "run_transition_conflicts_total", "Transitions somebody else had won"
)
provider_attempts_total = _counter(
    "provider_attempts_total", "Attempts at a provider: ok, or the code", "outcome"
)
provider_missing_done_total = _counter(
    "provider_missing_done_total", "Provider streams without their end mark"
)
governance_decisions_total = _counter(
    "governance_decisions_total", "Governance decisions", "allowed", "complexity", "maturity"
)
db_pool_in_use = _gauge("db_pool_in_use", "Database connections in use")
db_errors_total = _counter("db_errors_total", "Storage failures", "kind")
tasks = _gauge("tasks", "Tasks of the event loop, the one that counts them among them")
event_loop_lag_seconds = _histogram("event_loop_lag_seconds", "How late a timer of the loop fired", _FAST)


async def watch_loop(interval_s: float = 0.25) -> None:
    """Measures for ever how late the event loop serves a timer."""
    while True:
        due = time.monotonic() + interval_s
        await anyio.sleep(interval_s)
        event_loop_lag_seconds.observe(max(0.0, time.monotonic() - due))
