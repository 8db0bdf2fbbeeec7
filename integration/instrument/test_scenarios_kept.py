"""Streams that wait for the provider's journal."""

from __future__ import annotations

from array import array

from integration.instrument.streams import REFUSED, answered
from load.metrics.journal import Asked
from load.metrics.run import CLEAN, ROUGH, Run
from load.scenarios.kept import Kept


def asked(word: str, *written_ns: int) -> Asked:
    return Asked(word, "sim:n=2", 1_200, array("q", written_ns), "done", 9_000)


def booked(kept: Kept, *entries: Asked) -> Run:
    run = Run()
    kept.book(run, entries)
    return run


def test_a_stream_is_booked_in_its_own_scenario_and_window() -> None:
    """Two chunks, each 10 ns on its way."""
    kept = Kept()
    kept.keep("aa", "chat_ws", CLEAN, answered(2_000, 2_100))
    kept.keep("bb", "chat_sse", ROUGH, answered(2_000))
    run = booked(kept, asked("aa", 1_990, 2_090))

    assert set(run.tallies) == {("chat_ws", CLEAN)}
    relay = run.tally("chat_ws", CLEAN).relay
    assert (relay.n, relay.min, relay.max) == (2, 10, 10)


def test_a_word_of_two_streams_or_two_requests_is_no_figure() -> None:
    """Which of them belong together nobody knows."""
    kept = Kept()
    kept.keep("aa", "chat_ws", CLEAN, answered(2_000))
    kept.keep("aa", "chat_ws", CLEAN, answered(2_000))
    kept.keep("bb", "chat_ws", CLEAN, answered(2_000))
    run = booked(kept, asked("aa", 1_990), asked("bb"), asked("bb", 1_990))

    assert run.tallies == {}


def test_without_a_word_or_a_chunk_nothing_is_kept() -> None:
    """Of somebody else's messages, and of streams that never began."""
    kept = Kept()
    kept.keep("", "chat_ws", CLEAN, answered(2_000))
    kept.keep("aa", "chat_ws", CLEAN, REFUSED)

    assert kept.streams == {}
