"""One message to a path that might chat, to see what comes back."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from load.drivers.base import Turn
from load.drivers.dialects.mapping import Dialect
from load.drivers.dialects.template import template
from load.drivers.exchange import Connection, Exchange, encode
from load.drivers.following import values_of
from load.drivers.mapped import driver_of
from load.errors import TargetDown
from load.metrics.timeline import Limits, TerminalState, Timeline

PROMPT: Final = "Which of your opening hours is the longest, and why?"


@dataclass(frozen=True, slots=True)
class Trial:
    """Where a message goes. body: with places. headers, query: who asks."""

    url: str
    path: str
    body: Mapping[str, Any]
    headers: Mapping[str, str]
    query: str
    model: str


def ask(trial: Trial) -> tuple[int, str, bytes]:
    """Status, content type and whole body of the answer. Raises TargetDown when there is none."""
    values = values_of(_turn(), {"model": trial.model})
    body = encode(template(dict(trial.body), trial.path).filled(values))
    connection = Connection(trial.url, dict(trial.headers))
    path = f"{trial.path}?{trial.query}" if trial.query else trial.path
    exchange = connection.request("POST", path, body, {"accept": "*/*"}, Limits())
    ended = None
    if isinstance(exchange, Exchange):
        while ended is None and not exchange.reply.complete:
            ended = exchange.step()
        exchange.finish()
    connection.close()
    if not isinstance(exchange, Exchange) or not exchange.reply.headers_done:
        raise TargetDown(f"POST {trial.path}: the app gave no answer")
    reply = exchange.reply
    return reply.status, reply.headers.get("content-type", "").partition(";")[0].strip(), reply.take()


def speaks(trial: Trial, dialect: Dialect) -> bool:
    """Whether a stream in that dialect ends as DONE, in several chunks."""
    body = template(dict(trial.body), trial.path)
    dialect = replace(dialect, path=trial.path, body=body).carrying(trial.query, "")
    driver = driver_of(dialect, trial.url, trial.headers, Limits(), {"model": trial.model})
    timeline = Timeline(Limits())
    driver.stream(_turn(), timeline.take)
    driver.close()
    return timeline.state is TerminalState.DONE and len(timeline.deltas) > 1


def _turn() -> Turn:
    return Turn(PROMPT, 1, "streamgauge-init", time.perf_counter_ns(), Limits())
