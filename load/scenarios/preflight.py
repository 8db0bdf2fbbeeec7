"""One stream of each dialect before the first user comes: a mapping that matches nothing is told at once."""

from __future__ import annotations

import time

from load.drivers.base import Frame, Turn
from load.drivers.mapped import driver_of
from load.errors import TargetDown, UsageError
from load.metrics.timeline import Limits, TerminalState, Timeline
from load.scenarios.accounts import Credential
from load.scenarios.plans import Plan

PROMPT = "Is somebody there?"
SHOWN_CHARS = 160


def try_plan(plan: Plan, url: str, credential: Credential, limits: Limits) -> None:
    """Raises TargetDown where the target refuses us, UsageError where the plan or its dialect is wrong."""
    dialect = plan.dialect.carrying(credential.query, credential.subprotocol)
    driver = driver_of(dialect, url, credential.headers, limits, plan.values)
    frames: list[Frame] = []
    turn = Turn(PROMPT, 1, "streamgauge-preflight", time.perf_counter_ns(), limits, recorder=frames)
    timeline = Timeline(limits)
    driver.stream(turn, timeline.take)
    driver.close()
    where = f"scenario {plan.name}: {plan.dialect.path}"
    refusal = timeline.refusal
    if refusal is not None and refusal.status in (401, 403):
        raise TargetDown(f"{where} answered {refusal.status}: see [auth]; is the token right?")
    if refusal is not None:
        raise UsageError(f"{where} answered {refusal.status}: {_text(refusal.body)}; see path and body")
    if timeline.state is TerminalState.REFUSED:
        raise TargetDown(f"{where}: nothing answers there")
    if not timeline.deltas and timeline.state is not TerminalState.ERROR:
        came = [data for _, way, data in frames if way == "received"]
        first = _text(came[0]) if came else "nothing"
        raise UsageError(
            f'{where}: no event of dialect {plan.dialect.name} with is = "delta" fits; first came: {first}'
        )


def _text(data: bytes) -> str:
    """In one line."""
    return " ".join(data.decode(errors="replace").split())[:SHOWN_CHARS]
