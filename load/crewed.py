"""A master and its workers: what goes between them while a run is on."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

import gevent
from locust.runners import STATE_MISSING, MasterRunner

from load.distributed import FACTS, HALT, facts_of
from load.errors import ExitCode
from load.loadrun import LoadRun
from load.scenarios.part import put

LAST_REPORT_S = 10.0
"""So long beyond the stop of the users their workers may take to report."""


def tell_facts(
    run: LoadRun, master: MasterRunner, weights: Mapping[str, float], client_id: str, *, late: bool
) -> None:
    """Takes a worker into the crew, and tells it what it needs."""
    if run.session is None or run.crew is None:
        return
    crew = run.crew
    member = crew.join(client_id, late=late)
    place = member.index, max(len(master.clients.all), len(crew.members))
    facts = facts_of(run.session, run.folder, run.walkers, weights, place)
    master.send_message(FACTS, dict(facts), client_id)


def take_part(run: LoadRun, client_id: str, part: dict[str, Any]) -> None:
    """Adds what a worker measured."""
    if run.crew is None or run.verdict is not None or part["of"] != run.folder.name:
        return
    if run.crew.report(client_id, part["number"], part["fingerprint"], final=part["final"]):
        run.rows.write_lines(put(run.ledger, part))
        run.rows.dropped += part["rows_dropped"]


def await_reports(run: LoadRun | None, master: MasterRunner, stop_timeout_s: float) -> None:
    """Lets the workers stop their users, and waits for what they still have to say."""
    crew = None if run is None else run.crew
    if crew is None:
        return
    master.send_message(HALT)
    ends_at = time.monotonic() + stop_timeout_s + LAST_REPORT_S
    while time.monotonic() < ends_at:
        there = {worker.id for worker in master.clients.all if worker.state != STATE_MISSING}
        if not there.intersection(crew.waited_for):
            return
        gevent.sleep(0.05)


def leave_without_parent(parent: int) -> None:
    """Ends a forked worker whose parent is gone: Locust leaves it running."""
    while os.getppid() == parent:
        gevent.sleep(1.0)
    os._exit(int(ExitCode.INVALID))
