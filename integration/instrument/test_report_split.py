"""Where the time to the first text went, and the sides of each run, as a report shows them."""

from __future__ import annotations

from dataclasses import replace

from integration.instrument.documents import FACTS, MS, document, measured
from load.metrics.journal import Split
from load.metrics.run import CLEAN, Run
from load.metrics.timeline import TerminalState
from load.report.document import Document
from load.report.sheet import sheet
from load.report.sides import reconciliation, split, split_line
from load.verdict.pairs import Seen, Stored
from load.verdict.reconcile import reconcile

KNOWN = replace(FACTS, journal=True, undisturbed=("chat_ws",))


def beside() -> Run:
    """Two streams of chat_ws that the journal knows: 46 and 66 ms, one of them with a handshake of 2 ms."""
    run = measured()
    tally = run.tally("chat_ws", CLEAN)
    tally.book_split(Split(0, 6 * MS, 31 * MS, 9 * MS, (9 * MS, 3 * MS)))
    tally.book_split(Split(2 * MS, 8 * MS, 31 * MS, 27 * MS, (5 * MS, 5 * MS)))
    return run


def known() -> Document:
    return document(facts=KNOWN, run=beside())


def test_the_parts_are_means_that_add_up() -> None:
    """57 = 1 + 7 + 31 + 18."""
    found = known()["metrics"]["undisturbed"]["split"]

    assert found == {
        "n": 2,
        "first_text_ms": 57.0,
        "connect_ms": 1.0,
        "admission_ms": 7.0,
        "provider_ms": 31.0,
        "backend_ms": 18.0,
    }


def test_each_part_is_a_distribution_too() -> None:
    """Of chunks for the relay, of streams for the rest; over all, the undisturbed, and each scenario."""
    metrics = known()["metrics"]

    assert metrics["relay_ms"]["n"] == 4
    assert metrics["undisturbed"]["backend_ttft_ms"]["max"] == 35.0
    assert metrics["by_scenario"]["chat_ws"]["relay_ms"]["max"] == 9.0
    assert metrics["by_scenario"]["first_token_timeout"]["split"] is None


def test_one_line_says_it() -> None:
    """The line stands among the first of every rendering."""
    line = "TTFT 57.0 ms = connect 1.0 + admission 7.0 + provider 31.0 + backend 18.0 (means of 2 streams)"

    assert split_line(known()) == line
    assert line in sheet(known()).lines


def test_without_a_provider_of_ours_it_was_not_measured() -> None:
    """Absent is neither 0 nor a table."""
    plain = document()

    assert plain["metrics"]["undisturbed"]["relay_ms"] is None
    assert split(plain).rows == ()
    assert split_line(plain).endswith("not measured, there is no journal of the provider")


def test_the_table_has_the_headline_first() -> None:
    """Then each scenario that the journal knows."""
    rows = split(known()).rows

    assert [row.cells[0] for row in rows] == ["undisturbed scenarios", "chat_ws"]
    assert rows[0].cells[1:] == ("2", "57.0", "1.00", "7.00", "31.0", "18.0", "5.00", "9.00")


def test_the_sums_of_every_side_stand_side_by_side() -> None:
    """A side that differs is red; without a journal its columns are empty."""
    client = {"a": Seen(TerminalState.DONE, None), "b": Seen(TerminalState.CUT_OFF, "us")}
    stored = {"a": Stored("COMPLETED", None, "embedded/echo-1", "aa"), "b": Stored("FAILED", "internal")}
    two = reconciliation(document(facts=replace(FACTS, reconciled=reconcile(client, stored))))
    three = reconciliation(document(facts=replace(FACTS, reconciled=reconcile(client, stored, []))))

    assert [(row.cells, row.tone) for row in two.rows] == [
        (("done", "1", "1", "–", "–"), ""),
        (("error", "0", "1", "–", "–"), "bad"),
        (("client-lost", "1", "0", "–", "–"), "bad"),
        (("started", "2", "2", "–", "–"), "sum"),
    ]
    assert three.rows[-1].cells == ("started", "2", "2", "0", "2")
