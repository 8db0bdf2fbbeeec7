"""Objectives against tallies that are made by hand."""

from __future__ import annotations

import pytest

from load.errors import ExitCode
from load.metrics.histogram import Histogram
from load.metrics.tally import Tally
from load.report.figures import FIGURES
from load.report.split import BESIDE
from load.verdict.judge import judge
from load.verdict.objective import DISTRIBUTIONS, read_objective
from load.verdict.slo import Decision, Measured, Result, evaluate, findings

MS = 1_000_000


def histogram(*values_ms: float) -> Histogram:
    made = Histogram()
    made.add_all(int(value * MS) for value in values_ms)
    return made


def tally(*ttft_ms: float, **counts: object) -> Tally:
    return Tally(
        ttft=histogram(*ttft_ms),
        ttft_low=histogram(*ttft_ms),
        by_terminal={"DONE": len(ttft_ms)},
        **counts,  # type: ignore[arg-type]  # of the fields' own types
    )


def held(text: str, measured: Measured) -> Result:
    return evaluate(read_objective(text, ("ws", "http", "busy")), measured)


def decided(text: str, measured: Measured) -> tuple[str, str]:
    result = held(text, measured)
    return result.decision.name, result.reason


HUNDRED = Measured({"ws": tally(*range(1, 101))}, {}, protocols={"ws": "WS"})


@pytest.mark.parametrize(
    ("text", "decision"),
    [
        ("ttft_ms p50 < 51", "MET"),
        ("ttft_ms p50 < 49", "MISSED"),
        ("ttft_ms p50 > 49", "MET"),
        ("ttft_ms p50 >= 51", "MISSED"),
        ("ttft_ms mean <= 50.5", "MET"),
        ("ttft_ms mean < 50.5", "MISSED"),
        ("ttft_ms max <= 100", "MET"),
        ("ttft_ms min < 1", "MISSED"),
        ("streams count >= 100", "MET"),
        ("streams{state=DONE} share >= 1", "MET"),
        ("streams{state=ERROR} count < 1", "MET"),
        ("streams{protocol=WS} count < 100", "MISSED"),
    ],
)
def test_a_value_is_on_one_side(text: str, decision: str) -> None:
    """One hundred streams with first texts after 1, 2, … 100 ms."""
    assert decided(text, HUNDRED) == (decision, "")


def test_a_histogram_rounds_so_its_bounds_are_an_interval() -> None:
    """0.39 % to each side; a limit inside it is not decided."""
    assert decided("ttft_ms p50 < 50", HUNDRED) == ("UNDECIDED", "the limit lies within its bounds")


def test_the_clock_has_its_accuracy() -> None:
    """A user clock may have looked 10 ms late: what was seen at 50 ms was there at 40 or later."""
    measured = Measured(HUNDRED.quiet, {}, before_ns=10 * MS)

    assert decided("ttft_ms p50 < 45", measured)[0] == "UNDECIDED"
    assert decided("ttft_ms p50 < 51", measured)[0] == "MET"
    assert decided("ttft_ms p50 < 39", measured)[0] == "MISSED"


def test_chunks_that_shared_a_read_have_two_bounds() -> None:
    """Of a late generator: every gap of the group may be 0 or all of it."""
    gaps = Tally(
        gap=histogram(*[20] * 90), gap_group=histogram(100), gap_group_weighted=histogram(*[100] * 10)
    )
    late = Measured({"ws": gaps}, {}, on_time=False)
    punctual = Measured({"ws": gaps}, {})

    assert decided("gap_ms p95 < 50", late) == ("UNDECIDED", "the limit lies within its bounds")
    assert decided("gap_ms p95 < 50", punctual) == ("MET", "")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("ttft_ms p99 < 200", "too_few: 100 samples"),
        ("ttft_ms p98 < 200", "too_few: 100 samples"),
        ("gap_ms p50 < 200", "no_samples"),
        ("ttft_ms{scenario=http} p50 < 200", "no_samples"),
        ("unresolved share < 1", "no_samples"),
        ("streams per_s > 1", "no_samples"),
    ],
)
def test_what_is_not_there_is_not_decided(text: str, reason: str) -> None:
    """No sample, or fewer than three beyond the quantile."""
    assert decided(text, HUNDRED) == ("UNDECIDED", reason)


def test_three_samples_beyond_a_quantile_are_enough() -> None:
    """p97 of 100."""
    assert decided("ttft_ms p97 < 200", HUNDRED) == ("MET", "")


def test_a_tracer_only_adds_time() -> None:
    """What is met stands, what is missed might be met without it."""
    measured = Measured(HUNDRED.quiet, {}, tracer="C tracer")

    assert decided("ttft_ms p50 < 60", measured) == ("MET", "")
    assert decided("ttft_ms p50 < 40", measured) == (
        "UNDECIDED",
        "tracer: the C tracer slows the target down",
    )


@pytest.mark.parametrize(
    ("text", "lag_ms", "decision"),
    [
        ("ttft_intended_ms p50 < 60", 15, "MET"),
        ("ttft_intended_ms p50 < 60", 16, "UNDECIDED"),
        ("ttft_intended_ms p50 < 40", 16, "UNDECIDED"),
        ("total_intended_ms p50 < 60", 16, "UNDECIDED"),
        ("ttft_ms p50 < 60", 16, "MET"),
    ],
)
def test_a_start_that_we_delayed_is_in_what_counts_from_when_it_was_due(
    text: str, lag_ms: int, decision: str
) -> None:
    """More than a quarter of the limit: it cannot be told from the target's own time."""
    times = histogram(*range(1, 101))
    late = Tally(
        ttft=times,
        ttft_low=times,
        ttft_intended=times,
        total_intended=times,
        start_lag=histogram(*[lag_ms] * 100),
    )
    result = held(text, Measured({"ws": late}, {}))

    assert result.decision.name == decision
    assert ("began streams 16.0 ms late" in result.reason) == (decision == "UNDECIDED")


def test_counters_count_streams() -> None:
    """Stalls count streams with at least one; endings by state and code; unexpected over all."""
    quiet = tally(*[5] * 40, stalls=9, stalled_streams=4, good=38, by_code={"ERROR(busy)": 3})
    measured = Measured({"ws": quiet}, {"busy": tally(1, 2)}, unexpected={"ws": 1, "busy": 2}, steady_s=20.0)

    assert held("stalls share <= 0.1", measured).low == 0.1
    assert held("stalls count < 5", measured).low == 4
    assert held("good per_s > 1", measured).low == 1.9
    assert held("streams{state=ERROR:busy} count < 9", measured).low == 3
    assert held("unexpected count < 9", measured).low == 3
    assert held("unexpected{scenario=busy} count < 9", measured).low == 2
    assert held("streams{scenario=busy} count > 0", measured).low == 2


def test_each_decision_has_its_exit_code() -> None:
    """Missed: OBJECTIVE; undecided: INCONCLUSIVE; no sample: INVALID; met: nothing."""
    texts = ("ttft_ms p50 < 40", "ttft_ms p50 < 50", "gap_ms p50 < 9", "ttft_ms p50 < 60")
    found = list(findings(held(text, HUNDRED) for text in texts))

    assert [finding.kind for finding in found] == [
        ExitCode.OBJECTIVE,
        ExitCode.INCONCLUSIVE,
        ExitCode.INVALID,
    ]
    assert found[0].reason.startswith("ttft_ms p50 < 40: missed, it was 49.")


def test_undecided_may_only_warn() -> None:
    """The exit code is that of a pass, the word stays INCONCLUSIVE."""
    found = list(findings([held("ttft_ms p50 < 50", HUNDRED)]))

    failing, warning = judge(found), judge(found, "warn")
    assert (failing.status, failing.exit_code) == ("INCONCLUSIVE", ExitCode.INCONCLUSIVE)
    assert (warning.status, warning.exit_code) == ("INCONCLUSIVE", ExitCode.PASS)
    assert held("ttft_ms p50 < 50", HUNDRED).decision is Decision.UNDECIDED


def test_objectives_and_reports_mean_the_same_figures() -> None:
    """What is shown under a name is what an objective of that name is held against."""
    shown = {figure.name: figure.source for figure in (*FIGURES, *BESIDE)}

    assert {name: DISTRIBUTIONS[name] for name in shown.keys() & DISTRIBUTIONS} == {
        name: shown[name] for name in shown.keys() & DISTRIBUTIONS
    }
    assert DISTRIBUTIONS.keys() - shown == {"deadline_late_ms", "ttft_answer_ms"}
