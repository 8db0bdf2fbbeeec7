"""What a worker hands over: nothing twice, nothing lost."""

from __future__ import annotations

from array import array

import msgpack  # type: ignore[import-untyped]
import pytest

from load.metrics.journal import Arrivals
from load.metrics.outcomes import Outcomes
from load.metrics.run import CLEAN, Run
from load.metrics.timeline import TerminalState
from load.scenarios import part
from load.scenarios.ledger import Ledger
from load.verdict.reconcile import LEFT, Seen


def booked(first: int) -> Ledger:
    """A ledger with something of everything."""
    ledger = Ledger(lambda _: None)
    tally = ledger.run.tally("chat_ws", CLEAN)
    tally.ttft.add(first)
    tally.by_terminal["DONE"] = first
    ledger.run.health.gauge.add(first)
    ledger.run.health.fault("files")
    outcome = ledger.outcomes.declare("chat_ws", "DONE")
    outcome.book_expected()
    for n in range(2):
        outcome.book_unexpected("ERROR(x)", f"exe_{first}_{n}", timed_out=True)
        ledger.recordings[f"exe_{first}_{n}"] = [(n, "received", b"\xff")]
    outcome.book_deadline(5.0, 7_000_000)
    ledger.outcomes.book_deadline("late", 5.0, 7_000_000, 1.0)
    ledger.outcomes.tell("chat_ws", "x", first)
    ledger.executions[f"exe_{first}"] = Seen(TerminalState.ERROR, "x", first)
    ledger.executions["both"] = LEFT if first == 2 else Seen(TerminalState.DONE, None, 1)
    ledger.kept.streams[f"w{first}"] = ("chat_ws", CLEAN, Arrivals(1, None, 2, array("q", [3, first])))
    ledger.kept.streams["twice"] = ("chat_ws", CLEAN, Arrivals(1, 2, None, array("q", [3])))
    ledger.protocols["chat_ws"] = "agentchat"
    ledger.defects.append(f"defect {first}")
    ledger.abandoned_unseen = first
    ledger.refused_in_a_row = first
    return ledger


def carried(plain: part.Part) -> part.Part:
    """Over the wire, as Locust does it."""
    over: part.Part = msgpack.loads(msgpack.dumps(plain), strict_map_key=False)
    return over


def test_two_workers_add_up() -> None:
    """Each in two parts."""
    whole = Ledger(lambda _: None)
    lines = b""
    for first in (1, 2):
        ledger, rows = booked(first), [b"row\n"]
        lines += part.put(whole, carried(part.take(ledger, rows)))
        lines += part.put(whole, carried(part.take(ledger, rows)))
    one, two = booked(1), booked(2)

    assert (whole.run, lines) == (one.run + two.run, b"row\nrow\n")
    assert whole.outcomes == one.outcomes + two.outcomes
    assert whole.outcomes.scenarios["chat_ws"].unexpected["ERROR(x)"].ids == ["exe_1_0", "exe_1_1", "exe_2_0"]
    assert whole.outcomes.scenarios["chat_ws"].unexpected["ERROR(x)"].count == 4
    assert sorted(whole.recordings) == ["exe_1_0", "exe_1_1", "exe_2_0"]
    assert whole.executions["both"] == Seen(TerminalState.DONE, None)
    assert whole.kept.streams == {**one.kept.streams, **two.kept.streams, "twice": None}
    assert (whole.defects, whole.abandoned_unseen) == (["defect 1", "defect 2"], 3)
    assert whole.protocols == {"chat_ws": "agentchat"}


def test_a_ledger_is_empty_behind_it() -> None:
    """But for what it has to know."""
    ledger = booked(1)
    ledger.outcomes.rows["no_credential"] = "H1"
    rows = [b"row\n"]
    part.take(ledger, rows)

    assert (ledger.run, rows, ledger.executions, ledger.kept.streams) == (Run(), [], {}, {})
    assert ledger.outcomes == Outcomes(rows={"no_credential": "H1"})


def test_a_stream_kept_twice_by_one_worker_stays_unknown() -> None:
    """It has no figures beside the journal."""
    ledger, whole = booked(1), Ledger(lambda _: None)
    ledger.kept.streams["w1"] = None
    part.put(whole, carried(part.take(ledger, [])))

    assert whole.kept.streams["w1"] is None


@pytest.mark.parametrize(("rows", "dropped"), [(5000, 0), (5003, 3)])
def test_more_lines_than_fit(rows: int, dropped: int) -> None:
    """They are counted."""
    taken = part.take(booked(1), [b"\n"] * rows)

    assert (len(part.put(Ledger(lambda _: None), taken)), taken["rows_dropped"]) == (5000, dropped)
