"""run.json is a contract: its members, what they hold, and that they can be read back."""

from __future__ import annotations

import json
import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from integration.instrument.documents import BROKEN, FACTS, MS, OPTIONS, document, measured, red
from load.errors import InvalidRun
from load.metrics.row import StreamRow
from load.metrics.run import Run
from load.metrics.timeline import TerminalState
from load.report.document import Document
from load.report.facts import TargetFacts
from load.report.figures import FIGURES
from load.report.render import read_document, to_json, write_document


def stored(made: Document) -> dict[str, Any]:
    """What a reader of run.json gets."""
    read: dict[str, Any] = json.loads(to_json(made))
    return read


def test_members_of_format_1() -> None:
    """The members that docs/report.md promises are there, in this order."""
    assert list(stored(document())) == [
        "format",
        "name",
        "verdict",
        "findings",
        "target",
        "profile",
        "streams",
        "metrics",
        "windows",
        "rows",
        "scenarios",
        "objectives",
        "capacity",
        "comparison",
        "baseline",
        "fingerprint",
        "deadlines",
        "reconciliation",
        "generator",
        "coverage",
        "errorpaths",
        "together",
        "provenance",
        "tallies",
        "health",
    ]


def test_format_is_1() -> None:
    assert stored(document())["format"] == 1


def test_verdict_of_a_good_run() -> None:
    assert stored(document())["verdict"] == {
        "status": "PASS",
        "exit_code": 0,
        "undecided": "fail",
        "reasons": [],
    }


def test_verdict_and_finding_of_a_red_run() -> None:
    """A finding carries what is needed to see it again, and the file with its frames."""
    found = stored(red())

    assert found["verdict"] == {
        "status": "BEHAVIOUR",
        "exit_code": 1,
        "undecided": "fail",
        "reasons": ["BEHAVIOUR chat_ws: 1 of 1000 streams ended BROKEN(loss), declared is DONE"],
    }
    assert found["findings"] == [
        {
            "kind": "BEHAVIOUR",
            "scenario": "chat_ws",
            "figure": None,
            "value": "1 of 1000",
            "limit": "0",
            "reason": BROKEN.reason,
            "reproduce": BROKEN.reproduce,
            "ids": ["exe_1"],
            "timed_out": False,
            "recordings": ["findings/exe_1.ndjson"],
        }
    ]


def test_target_that_we_started() -> None:
    assert stored(document())["target"] == {
        "kind": "started",
        "app": "backend.app:create_app",
        "coverage": "lines",
        "python": "3.13.1",
        "settings": {"BACKEND_FIRST_TOKEN_TIMEOUT": "1.5"},
        "died": None,
        "last_words": [],
        "tls": None,
        "proxy": None,
    }


def test_target_that_already_ran() -> None:
    facts = replace(FACTS, target=TargetFacts("host", "http://127.0.0.1:8000"))

    assert stored(document(facts=facts))["target"] == {
        "kind": "host",
        "host": "http://127.0.0.1:8000",
        "coverage": "off",
        "python": None,
        "settings": {},
        "died": None,
        "last_words": [],
        "tls": None,
        "proxy": None,
    }


def test_profile() -> None:
    assert stored(document())["profile"] == {
        "users": 50,
        "spawn_rate": 25.0,
        "run_time_s": 30.0,
        "steady_s": 28.0,
        "seed": 7,
        "mix": {"chat_ws": 65, "chat_http": 25, "failures": 10},
        "scenarios": [],
        "failures": "all",
        "loop": "corrected closed loop",
        "rate": None,
        "replay": None,
        "max_in_flight": None,
        "stages": [],
        "arrivals": "poisson",
        "think_s": 0.5,
        "prompts": "shipped",
        "conversations": 249,
    }


def test_streams_of_the_whole_run() -> None:
    """Counts are of the whole run, since the server stored the whole run."""
    streams = stored(document())["streams"]

    assert streams["total"] == 1050
    assert streams["steady"] == 1010
    assert streams["by_terminal"] == {
        "DONE": 1039,
        "ERROR": 10,
        "CANCELLED": 0,
        "CUT_OFF": 0,
        "TIMED_OUT": 0,
        "REFUSED": 0,
        "BROKEN": 1,
    }


def test_metrics_of_the_measuring_window() -> None:
    """The streams before the window, which took ten seconds, are in no figure."""
    metrics = stored(document())["metrics"]

    assert list(metrics["ttft_ms"]) == ["n", "p50", "p90", "p95", "p99", "max"]
    assert metrics["ttft_ms"]["n"] == 1000
    assert metrics["ttft_ms"]["max"] == 129.0
    assert metrics["ttft_ms"]["p95"] == pytest.approx(124, rel=0.004)


def test_metrics_of_each_scenario() -> None:
    by_scenario = stored(document())["metrics"]["by_scenario"]

    assert (by_scenario["chat_ws"]["ttft_ms"]["n"], by_scenario["chat_ws"]["ttft_ms"]["max"]) == (1000, 129.0)
    assert by_scenario["first_token_timeout"] == {
        "ttft_ms": {"n": 0, "p50": None, "p90": None, "p95": None, "p99": None, "max": None},
        "gap_ms": {"n": 0, "p50": None, "p90": None, "p95": None, "p99": None, "max": None},
        "total_ms": {"n": 10, "p50": 1510.0, "p90": 1510.0, "p95": 1510.0, "p99": 1510.0, "max": 1510.0},
        "relay_ms": None,
        "backend_ttft_ms": None,
        "split": None,
        "accuracy": "kernel: ±0.1 ms (no chunks)",
    }


def test_gaps_of_a_generator_on_time_count_chunks_of_one_read_as_one_gap() -> None:
    """55 reads of two chunks: 55 gaps of 22 ms and 55 of nothing."""
    gaps = stored(document())["metrics"]["gap_ms"]

    assert (gaps["n"], gaps["max"], "low" in gaps) == (11_000, 22.0, False)


def test_gaps_of_a_late_generator_are_bounds() -> None:
    """Lateness above the budget: what came in one read is known only as nothing to all of its silence."""
    late = replace(FACTS, late_budget_ns=MS // 10)
    gaps = stored(document(facts=late))["metrics"]["gap_ms"]

    assert (gaps["n"], gaps["max"], gaps["low"]["max"]) == (11_000, 22.0, 20.0)


def test_scenarios() -> None:
    assert stored(document())["scenarios"] == {
        "chat_ws": {
            "expected": "DONE",
            "total": 1040,
            "not_checkable": [],
            "as_expected": 1039,
            "of_failures": False,
            "unexpected": [{"seen": "BROKEN(loss)", "count": 1, "ids": ["exe_1"]}],
        },
        "first_token_timeout": {
            "expected": "ERROR(first_token_timeout)",
            "total": 10,
            "not_checkable": [],
            "as_expected": 10,
            "of_failures": True,
            "unexpected": [],
        },
    }


def test_objectives() -> None:
    assert stored(red())["objectives"] == [
        {
            "text": "ttft_ms p95 < 800",
            "decision": "MET",
            "low": 148.875,
            "high": 150.1875,
            "n": 1000,
            "shown": "148.875 … 150.188",
            "reason": "",
        }
    ]


def test_deadlines() -> None:
    found = stored(document())["deadlines"]["first_token_timeout"]

    assert (found["configured_ms"], found["n"], found["early"]) == (1500, 10, 0)
    assert list(found["observed_ms"]) == ["min", "p50", "p90", "p95", "p99", "max"]
    assert (found["observed_ms"]["min"], found["observed_ms"]["max"]) == (1501.0, 1510.0)


def test_generator() -> None:
    generator = stored(document())["generator"]

    assert generator["stamp_source"] == "kernel"
    assert generator["unresolved_share"] == pytest.approx(110 / 12_000, abs=1e-6)
    assert generator["cpu_share"] == 0.3


def test_coverage() -> None:
    coverage = stored(document())["coverage"]

    assert coverage["files"] == {"backend/api/chat.py": 87.5, "backend/api/stream.py": 100.0}
    assert (coverage["core"], coverage["overhead"], coverage["overhead_interval"]) == ("sysmon", None, None)


def test_coverage_that_is_absent_is_not_zero() -> None:
    facts = replace(FACTS, coverage=None, coverage_absent="--coverage off")

    assert stored(document(facts=facts))["coverage"] == {
        "files": {},
        "core": "sysmon",
        "overhead": None,
        "overhead_interval": None,
        "absent": "--coverage off",
    }


def test_a_run_without_a_sample_has_no_figure() -> None:
    """No data is null, never 0."""
    found = stored(document(empty=True))

    assert found["metrics"]["ttft_ms"] == {
        "n": 0,
        "p50": None,
        "p90": None,
        "p95": None,
        "p99": None,
        "max": None,
    }
    assert found["generator"]["unresolved_share"] is None
    assert found["metrics"]["accuracy"] == "accuracy: no data"


def test_a_closed_loop_has_no_corrected_figure() -> None:
    """Without a schedule nothing is known of an intended start."""
    facts = replace(FACTS, options=replace(OPTIONS, arrivals="closed"))

    assert "ttft_intended_ms" not in stored(document(facts=facts))["metrics"]


class TestAccuracy:
    def test_kernel_stamps(self) -> None:
        assert stored(document())["metrics"]["accuracy"] == "kernel: ±0.1 ms (resolved 99.1 %)"

    def test_the_user_clock_says_how_late_it_may_be(self) -> None:
        run = measured()
        run.health.reads_unstamped = run.health.reads
        run.health.gauge.add(7 * MS, 1_000)

        assert stored(document(run=run))["metrics"]["accuracy"] == "user clock: up to +7.0 ms late"

    def test_a_mixture_says_both(self) -> None:
        run = measured()
        run.health.reads_unstamped = 1_200

        assert stored(document(run=run))["metrics"]["accuracy"] == (
            "kernel: ±0.1 ms (resolved 99.1 %); 10.0 % of reads by the user clock, up to +0.2 ms late"
        )

    @pytest.mark.parametrize(("core", "name"), [("ctrace", "C tracer"), ("frames", "frame tracer")])
    def test_a_tracer_is_named_at_every_latency(self, core: str, name: str) -> None:
        target = replace(FACTS.target, core=core)
        metrics = stored(document(facts=replace(FACTS, target=target)))["metrics"]

        assert metrics["accuracy"] == (
            f"kernel: ±0.1 ms (resolved 99.1 %); {name}: the target is slower than it is alone"
        )
        assert metrics["by_scenario"]["chat_ws"]["accuracy"] == metrics["accuracy"]


def test_tallies_and_health_give_the_run_again() -> None:
    """A verdict can be computed again from the stored run."""
    assert Run.from_json(stored(document())) == measured()


def test_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    made = document()
    write_document(folder, made)

    assert to_json(read_document(folder)) == to_json(made)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": 2}'])
def test_another_file_is_no_document(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(InvalidRun):
        read_document(tmp_path)


class TestDocumentation:
    """docs/report.md and docs/metrics.md name what run.json holds."""

    DOCS = Path(__file__).parents[2] / "docs"

    def rows(self, name: str) -> dict[str, str]:
        """First cell of each table row, without its backticks -> the row."""
        lines = (self.DOCS / name).read_text(encoding="utf-8").splitlines()
        rows = [line for line in lines if line.startswith("| `")]
        return {cell: row for row in rows for cell in re.findall(r"`([^`]+)`", row.split(" | ")[0])}

    @pytest.mark.parametrize("member", list(stored(red())))
    def test_names_every_member(self, member: str) -> None:
        row = self.rows("report.md")[member]
        found = stored(red())[member]
        inner = found[0] if isinstance(found, list) else found
        if member in ("scenarios", "deadlines", "rows"):
            inner = next(iter(inner.values()))
        if member in ("tallies", "health", "metrics") or not isinstance(inner, dict):
            inner = {}

        assert [name for name in inner if f"`{name}`" not in row] == []

    def test_names_every_figure(self) -> None:
        assert [figure.name for figure in FIGURES if figure.name not in self.rows("metrics.md")] == []

    def test_names_every_state(self) -> None:
        assert [state.value for state in TerminalState if state.value not in self.rows("metrics.md")] == []

    def test_names_every_member_of_a_row(self) -> None:
        text = (self.DOCS / "report.md").read_text(encoding="utf-8")

        assert [field.name for field in fields(StreamRow) if f"`{field.name}`" not in text] == []
