"""What a run knows about itself: what it said, when, and how that is told and stored."""

from __future__ import annotations

from dataclasses import dataclass, field

from backend import telemetry
from backend.errors import ErrorCode, Problem
from backend.providers.base import Provider, Said, Usage, estimated_tokens
from backend.runs.clocks import RunTimes
from backend.runs.framelog import FrameLog
from backend.runs.frames import RunFrames
from backend.runs.order import Order, Outcome, Stop
from backend.storage import runs as rows
from backend.storage import turns

log = telemetry.logger(__name__)


@dataclass(frozen=True, slots=True)
class Admitted:
    """An order that passed every check and has a row."""

    order: Order
    agent: turns.RunnableAgent
    execution_id: str
    session_id: str  # the row
    session_key: str  # the wire's session_id
    messages: tuple[Said, ...]


@dataclass(slots=True)
class RunRecord:
    """Grows while the run goes on: first `started`, then each delta, at last the terminal frame."""

    admitted: Admitted
    times: RunTimes
    provider: Provider | None
    log: FrameLog = field(default_factory=FrameLog)
    deltas: int = 0
    text_bytes: int = 0
    _said: list[str] = field(default_factory=list)
    _frames: RunFrames = field(init=False)

    def __post_init__(self) -> None:
        admitted = self.admitted
        self._frames = RunFrames(
            admitted.execution_id,
            admitted.order.request_id,
            admitted.session_key,
            admitted.agent.id,
            admitted.agent.model,
        )

    @property
    def text(self) -> str:
        """What was said so far."""
        return "".join(self._said)

    def start(self) -> None:
        self.log.append(self._frames.started(self.log.next_seq))

    def say(self, text: str, size_bytes: int) -> None:
        self.deltas += 1
        self.text_bytes += size_bytes
        self._said.append(text)
        self.log.append(self._frames.delta(self.log.next_seq, text))

    def estimated_usage(self) -> Usage:
        characters = sum(len(said.content) for said in self.admitted.messages)
        return Usage(estimated_tokens(characters), self.deltas, estimated=True)

    def end(self, outcome: Outcome) -> None:
        """The terminal frame: from here on everybody may know."""
        seq = self.log.next_seq
        if outcome.problem is None:
            frame = self._frames.done(
                seq,
                response=self.text,
                finish_reason=outcome.finish_reason or "stop",
                usage=outcome.usage,
                provider=self.provider.name if self.provider else "",
                first_token_ms=self.times.first_token_ms,
                duration_ms=self.times.duration_ms,
            )
        elif outcome.code is ErrorCode.CANCELLED and outcome.stop is not None:
            frame = self._frames.cancelled(
                seq, reason=outcome.stop.value, partial=self.text, usage=outcome.usage
            )
        else:
            frame = self._frames.error(
                seq,
                outcome.problem,
                partial=self.text,
                correlation_id=self.admitted.order.correlation_id,
                fatal=outcome.stop is Stop.SHUTDOWN or outcome.code is ErrorCode.INTERNAL,
            )
        self.log.append(frame, terminal=True)

    def ending(self, outcome: Outcome) -> rows.Ending:
        """The end as it is stored. The terminal frame is not in the log yet: its seq is the next one."""
        times, usage = self.times, outcome.usage
        problem: Problem | None = outcome.problem
        attempts = self._attempts(outcome)
        return rows.Ending(
            execution_id=self.admitted.execution_id,
            session_id=self.admitted.session_id,
            status=outcome.status,
            message=self.admitted.order.message,
            text=self.text,
            values={
                "finish_reason": outcome.finish_reason,
                "error_code": problem.code.value if problem else None,
                "error_detail": problem.detail[:500] if problem else None,
                "provider": self.provider.name if self.provider else None,
                "attempts": len(attempts),
                "prompt_tokens": usage.prompt_tokens,
                "completion_tokens": usage.completion_tokens,
                "usage_estimated": usage.estimated,
                "last_seq": self.log.next_seq,
                "first_token_at": times.moment(times.first_token_ns),
                "first_token_ms": times.first_token_ms,
                "duration_ms": times.duration_ms,
            },
            attempts=attempts,
            ended_at=times.moment(times.completed_ns) or times.queued_at,
        )

    def _attempts(self, outcome: Outcome) -> tuple[rows.Attempt, ...]:
        """Those that came to nothing, then the one that answers: its outcome is the run's."""
        provider, times = self.provider, self.times
        if provider is None:
            return ()
        failed = tuple(
            self._attempt(one.provider, one.code, one.began_ns, one.ended_ns) for one in provider.failed
        )
        if provider.began_ns is None or times.completed_ns is None:
            return failed
        answering = self._attempt(
            provider.name,
            outcome.code,
            provider.began_ns,
            times.completed_ns,
            tokens=self.deltas,
            first_token_ns=times.first_token_ns,
        )
        return (*failed, answering)

    def _attempt(
        self,
        provider: str,
        code: ErrorCode | None,
        began_ns: int,
        ended_ns: int,
        *,
        tokens: int = 0,
        first_token_ns: int | None = None,
    ) -> rows.Attempt:
        return rows.Attempt(
            provider,
            self.admitted.agent.model,
            code.value if code else "ok",
            tokens,
            None if first_token_ns is None else (first_token_ns - began_ns) // 1_000_000,
            (ended_ns - began_ns) // 1_000_000,
            self.times.moment(began_ns) or self.times.queued_at,
        )

    def count(self, outcome: Outcome) -> None:
        """Metrics and the one log line of the end."""
        code = outcome.code.value if outcome.code else None
        transport, times = self.admitted.order.transport.value, self.times
        telemetry.runs_total.labels(outcome.status.value, code or "none", transport).inc()
        for attempt in self._attempts(outcome):
            telemetry.provider_attempts_total.labels(attempt.outcome).inc()
        if times.duration_ms is not None:
            telemetry.run_duration_seconds.observe(times.duration_ms / 1000)
        facts = {
            "status": outcome.status.value,
            "code": code,
            "transport": transport,
            "deltas": self.deltas,
            "first_token_ms": times.first_token_ms,
            "duration_ms": times.duration_ms,
        }
        log.info("run_ended", extra=facts)
