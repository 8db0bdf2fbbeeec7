"""A stored run as a tripwire."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from integration.instrument.documents import FACTS, document
from load.errors import ExitCode, UsageError
from load.metrics.tally import Tally
from load.report.document import FORMAT
from load.report.render import to_json
from load.verdict.baseline import Baseline, differences, of_document, tripped, untold

MS = 1_000_000
PRINT = {"profile": "a1", "cpu": "x", "canary_ms": 1.0, "core": "sysmon"}


def quiet(ttft_ms: float = 30, *, streams: int = 40, stalled: int = 0) -> Tally:
    """Streams with one gap each."""
    tally = Tally(by_terminal={"DONE": streams}, stalled_streams=stalled)
    tally.ttft.add(int(ttft_ms * MS), streams)
    tally.gap.add(20 * MS, streams)
    tally.total.add(260 * MS, streams)
    return tally


def reasons(ours: Tally, base: Tally) -> list[str]:
    """What is told of it."""
    return [one.reason for one in tripped(Baseline("then", PRINT, base), ours)]


def test_a_median_beyond_one_and_a_half_times_is_told() -> None:
    """With both values, in the words of a regression."""
    (finding,) = tripped(Baseline("then", PRINT, quiet(30)), quiet(48))

    assert finding.kind is ExitCode.REGRESSED
    assert finding.reason == "ttft_ms p50 is 48 ms, 1.60 times the 30 ms of then"


@pytest.mark.parametrize(
    ("ours", "base"),
    [
        (quiet(43), quiet(30)),  # within
        (quiet(48, streams=39), quiet(30)),
        (quiet(48), quiet(30, streams=39)),
        (quiet(48), quiet(0)),
        (quiet(10), quiet(30)),
    ],
)
def test_a_smaller_change_too_few_streams_or_nothing_to_divide_by_is_not(ours: Tally, base: Tally) -> None:
    """Nor what got better."""
    assert reasons(ours, base) == []


@pytest.mark.parametrize(
    ("stalled", "base", "told"),
    [
        (4, 0, []),
        (5, 0, ["5 of 400 streams stalled, 0 of 400 in then"]),
        (6, 2, []),
        (7, 2, ["7 of 400 streams stalled, 2 of 400 in then"]),
    ],
)
def test_three_times_as_many_stalls_and_five_more(stalled: int, base: int, told: list[str]) -> None:
    """Either alone is chance."""
    assert reasons(quiet(streams=400, stalled=stalled), quiet(streams=400, stalled=base)) == told


def test_what_cannot_be_compared_is_named() -> None:
    """A figure that is zero, and all of them below 40 streams."""
    assert untold(Baseline("then", PRINT, quiet(0)), quiet()) == ("ttft_ms",)
    assert untold(Baseline("then", PRINT, quiet()), quiet(streams=39)) == ("ttft_ms", "gap_ms", "total_ms")


@pytest.mark.parametrize(
    ("own", "told"),
    [
        ({}, ()),
        ({"cpu": "y"}, ("cpu is y, there x",)),
        ({"cpu": None}, ()),
        ({"canary_ms": 1.04}, ()),
        ({"canary_ms": 1.06}, ("a fixed piece of work takes 1.06 ms, there 1.0 ms",)),
        ({"core": "ctrace"}, ("core is ctrace, there sysmon", "the C tracer slows the target")),
    ],
)
def test_every_field_that_differs_is_named(own: dict[str, Any], told: tuple[str, ...]) -> None:
    """What one of them does not know keeps nobody from comparing."""
    assert differences(PRINT, PRINT | own) == told


def test_a_stored_run_gives_its_quiet_streams() -> None:
    """As they were."""
    stored = orjson.loads(to_json(document(facts=replace(FACTS, fingerprint=PRINT))))
    base = of_document(stored, "run.json", FORMAT)

    assert base.fingerprint == PRINT
    assert base.name == stored["name"]
    assert base.quiet.ended == stored["metrics"]["undisturbed"]["ttft_ms"]["n"]


@pytest.mark.parametrize(
    ("stored", "told"),
    [
        ([], "--baseline run.json: is no run.json"),
        ({}, "--baseline run.json: is no run.json"),
        ({"format": True}, "--baseline run.json: is no run.json"),
        ({"format": 2}, "--baseline run.json: is of format 2, and this checkout reads 1"),
        ({"format": 1}, "--baseline run.json: has no fingerprint; run it again with this version"),
        (
            {"format": 1, "fingerprint": []},
            "--baseline run.json: has no fingerprint; run it again with this version",
        ),
        (
            {"format": 1, "fingerprint": {"canary_ms": "fast"}},
            "--baseline run.json: has no fingerprint; run it again with this version",
        ),
        (
            {"format": 1, "fingerprint": {}, "comparison": {"arms": {}}},
            "--baseline run.json: is a comparison, whose load is another; name an ordinary run",
        ),
        (
            {"format": 1, "fingerprint": {}, "capacity": {"steps": []}},
            "--baseline run.json: is a search for a capacity, whose load is another; name an ordinary run",
        ),
        (
            {"format": 1, "fingerprint": {}},
            "--baseline run.json: cannot be read: InstrumentError: not a stored run",
        ),
    ],
)
def test_what_is_no_run_is_refused_in_one_line(stored: object, told: str) -> None:
    """Nothing of it is guessed."""
    with pytest.raises(UsageError) as refused:
        of_document(stored, "run.json", FORMAT)

    assert str(refused.value) == told
