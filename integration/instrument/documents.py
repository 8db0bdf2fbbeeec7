"""A run made by hand and its document, for the tests of the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from load.errors import ExitCode
from load.metrics.outcomes import Outcomes
from load.metrics.run import CLEAN, RAMP, ROUGH, Run
from load.options import Options
from load.report.console import show
from load.report.document import Document, build
from load.report.facts import RunFacts, TargetFacts
from load.report.provenance import Provenance
from load.target.parts import CoverageSummary
from load.verdict.behaviour import Needed
from load.verdict.comparison import BlockLine, decide_again, joined
from load.verdict.decided import Arms, comparison_json
from load.verdict.judge import Finding, judge
from load.verdict.objective import read_objective
from load.verdict.slo import Decision, Result
from load.verdict.wording import findings as worse

MS = 1_000_000

OPTIONS = Options(
    users=50,
    spawn_rate=25.0,
    run_time_s=30.0,
    host=None,
    token_env=None,
    config=None,
    app=None,
    app_dir=Path(),
    cov_source=(),
    protocol=None,
    model="",
    scenario_files=(),
    coverage="auto",
    objectives=(),
    undecided="fail",
    scenarios=(),
    mix=MappingProxyType({"chat_ws": 65, "chat_http": 25, "failures": 10}),
    failures="all",
    prompts=None,
    seed=7,
    arrivals="poisson",
    think_s=0.5,
    reports=Path("reports"),
    trace_headers=True,
)

PROVENANCE = Provenance(
    sha="0123456789abcdef0123456789abcdef01234567",
    dirty=False,
    command="locust -f locustfile.py --headless --seed 7",
    python="3.13.1",
    platform="linux x86_64",
    kernel="6.12.0",
    cpus=2,
    job=None,
)

COVERAGE = CoverageSummary(
    files={"backend/api/chat.py": 87.5, "backend/api/stream.py": 100.0},
    lines={"backend/api/chat.py": (70, 80), "backend/api/stream.py": (210, 210)},
    sources=("backend/api/chat.py", "backend/api/stream.py"),
    core="sysmon",
    python="3.13.1",
    mode="lines",
    phases=("load",),
    source_hash="sha256:0",
    checks={"H1": "ok", "H2": "ok"},
    left_out=(),
)

FACTS = RunFacts(
    options=OPTIONS,
    target=TargetFacts(
        "started",
        "backend.app:create_app",
        python="3.13.1",
        core="sysmon",
        mode="lines",
        settings={"BACKEND_FIRST_TOKEN_TIMEOUT": "1.5"},
    ),
    name="20261125T120000Z-0123456-beef",
    started=datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC),
    ended=datetime(2026, 11, 25, 12, 0, 33, tzinfo=UTC),
    provenance=PROVENANCE,
    steady_s=28.0,
    late_budget_ns=5 * MS,
    conversations=249,
    undisturbed=("chat_ws",),
    needed=(Needed("P6", 2, ("first_token_timeout",)),),
    window_order=("clean", "rough"),
    window_s=7.0,
    coverage=COVERAGE,
)

BROKEN = Finding(
    kind=ExitCode.BEHAVIOUR,
    scenario="chat_ws",
    figure=None,
    value="1 of 1000",
    limit="0",
    reason="1 of 1000 streams ended BROKEN(loss), declared is DONE",
    reproduce="locust -f locustfile.py --headless --scenario chat_ws --seed 7",
    ids=("exe_1",),
)


def measured() -> Run:
    """1,000 streams of chat_ws and 10 of first_token_timeout in the measuring window, 40 before it.

    Times to the first text are 30, 31, … 129 ms, ten of each; every gap is 20 ms.
    """
    run = Run()
    chat = run.tally("chat_ws", CLEAN)
    for n in range(100):
        chat.ttft.add((30 + n) * MS, 10)
        chat.ttft_intended.add((31 + n) * MS, 10)
    chat.ttft_low = chat.ttft
    chat.gap.add(20 * MS, 10_890)
    chat.gap_group.add(22 * MS, 55)
    chat.gap_group_weighted.add(22 * MS, 110)
    chat.max_gap.add(22 * MS, 1000)
    chat.total.add(280 * MS, 1000)
    chat.start_lag.add(MS // 2, 990)
    chat.chunks, chat.unresolved, chat.good = 12_000, 110, 999
    chat.by_terminal = {"DONE": 999, "BROKEN": 1}
    chat.by_code = {"BROKEN(loss)": 1}
    chat.breaks = {"loss": 1}
    late = run.tally("first_token_timeout", ROUGH)
    late.total.add(1510 * MS, 10)
    late.by_terminal = {"ERROR": 10}
    late.by_code = {"ERROR(first_token_timeout)": 10}
    ramp = run.tally("chat_ws", RAMP)
    ramp.by_terminal = {"DONE": 40}
    ramp.ttft.add(9_999 * MS, 40)
    health = run.health
    health.lateness.add(MS // 5, 12_000)
    health.gauge.add(MS, 5_000)
    health.reads, health.processes = 12_000, 1
    health.cpu_ns, health.wall_ns = 9_000 * MS, 30_000 * MS
    return run


def declared() -> Outcomes:
    """What came of each scenario of `measured`, one stream of chat_ws undeclared."""
    outcomes = Outcomes()
    chat = outcomes.declare("chat_ws", "DONE")
    for _ in range(1039):
        chat.book_expected()
    chat.book_unexpected("BROKEN(loss)", "exe_1")
    late = outcomes.declare("first_token_timeout", "ERROR(first_token_timeout)", of_failures=True)
    outcomes.rows |= {"first_token_timeout": "P6"}
    for n in range(10):
        late.book_expected()
        late.book_deadline(1500, (1501 + n) * MS)
        outcomes.book_deadline("first_token_timeout", 1500, (1501 + n) * MS, 1500.5)
    return outcomes


MET = Result(
    read_objective("ttft_ms p95 < 800", ("chat_ws",)),
    Decision.MET,
    148.875,
    150.1875,
    1000,
)


def document(
    *,
    facts: RunFacts = FACTS,
    run: Run | None = None,
    findings: tuple[Finding, ...] = (),
    empty: bool = False,
) -> Document:
    """The document of `measured`; empty: of a run in which nothing happened."""
    if empty:
        return build(facts, Run(), Outcomes(), judge(findings))
    return build(facts, measured() if run is None else run, declared(), judge(findings))


def red() -> Document:
    """One broken stream, its frames kept."""
    facts = replace(FACTS, recordings={"exe_1": "findings/exe_1.ndjson"}, objectives=(MET,))
    return document(facts=facts, findings=(BROKEN,))


ARMS = Arms(
    "origin/main (1a2b3c4)",
    "working tree",
    "seed",
    restarted=True,
    notes=("origin/main is 2 commits ahead of where the working tree left it.",),
)
COMPARE = "make compare BASE=origin/main"


def comparing(lines: Sequence[BlockLine], *, undecided: str = "fail", arms: Arms = ARMS) -> Document:
    """The document of a comparison that left these blocks."""
    run, outcomes = Run(), Outcomes()
    for arm in ("base", "head"):
        streams = sum(line.n for line in lines if line.arm == arm)
        tally = run.tally(f"{arm} chat_ws", CLEAN)
        tally.by_terminal = {"DONE": streams}
        tally.good, tally.chunks = streams, 12 * streams
        outcome = outcomes.declare(f"{arm} chat_ws", "DONE")
        outcome.total = outcome.as_expected = streams
    run.health.lateness.add(MS // 5, 12_000)
    run.health.reads, run.health.processes = 12_000, 1
    run.health.cpu_ns, run.health.wall_ns = 9_000 * MS, 60_000 * MS
    decision = joined(decide_again(lines))
    found = () if decision is None else tuple(worse(decision, COMPARE))
    facts = replace(
        FACTS,
        options=replace(OPTIONS, users=12, undecided=undecided),
        comparison=comparison_json(arms, lines),
        coverage=None,
        coverage_absent="a comparison measures none",
        needed=(),
        undisturbed=(),
    )
    return build(facts, run, outcomes, judge(found, undecided))


def show_red() -> None:
    """For a process of its own: `red` on its standard output."""
    show(red(), Path("reports/run"))
