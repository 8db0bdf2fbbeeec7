"""load/again.py: a run rendered and judged again from its folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from integration.instrument.documents import BROKEN, comparing, document
from integration.instrument.test_report_compared import WORSE, lines
from integration.instrument.test_target_pathparts import SITE, left
from load.again import again, main
from load.errors import ExitCode
from load.report.blocks import BlockRows
from load.report.render import write_document
from load.verdict.judge import Finding
from load.verdict.rules import Rules

MISSED = Finding(
    ExitCode.OBJECTIVE, None, "error paths", None, None, "respond: shop/api.py:12 reached by neither"
)


def stored(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a run leaves that reached one path; its lines were not measured."""
    folder = tmp_path / "reports" / "20261125T120000Z-0123456-beef"
    left(folder / "coverage", "load.7")
    return folder


@pytest.fixture(autouse=True)
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a machine runs it more is judged."""
    monkeypatch.delenv("CI", raising=False)


def test_a_run_gets_the_paths_of_tests_that_came_later(folder: Path, tmp_path: Path) -> None:
    """Of the same sources; every rendering shows them."""
    write_document(folder, document())
    tests = tmp_path / "integration"
    left(tests / "coverage", "integration.8", phase="integration")

    code = again(folder, Rules(), tests)

    assert code == ExitCode.PASS
    assert stored(folder)["errorpaths"]["totals"]["both"] == 1
    assert "integration: 1 process; load: 1 process" in (folder / "summary.md").read_text()
    assert "Every error path" in (folder / "report.html").read_text()


def test_what_streams_did_stays_as_it_was_found(folder: Path, tmp_path: Path) -> None:
    """With its ids; the exit code is the run's."""
    write_document(folder, document(findings=(BROKEN,)))
    before = stored(folder)

    code = again(folder, Rules(), tmp_path / "integration")

    assert code == ExitCode.BEHAVIOUR
    assert {name: stored(folder)[name] for name in ("findings", "verdict", "tallies")} == {
        name: before[name] for name in ("findings", "verdict", "tallies")
    }


def test_a_gate_that_no_longer_misses_is_no_finding_any_more(folder: Path, tmp_path: Path) -> None:
    """It is judged by the map of now."""
    write_document(folder, document(findings=(MISSED,)))

    code = again(folder, Rules(), tmp_path / "integration")

    assert (code, stored(folder)["findings"], stored(folder)["verdict"]["status"]) == (0, [], "PASS")


def test_a_path_that_the_base_reached_is_missed_by_name(tmp_path: Path) -> None:
    """It is still in the source, and the same phase was run."""
    folder = tmp_path / "reports" / "now"
    left(folder / "coverage", "load.7", hits=[])
    write_document(folder, document())
    hits = [{"phase": "load", "label": "first_token_timeout"}]
    base = tmp_path / "errorpaths.json"
    base.write_text(json.dumps({"format": 1, "phases": {"load": {}}, "sites": [{"id": SITE, "hits": hits}]}))

    code = main([str(folder), "--paths-base", str(base)])

    assert code == ExitCode.OBJECTIVE
    assert [found["reason"] for found in stored(folder)["findings"]] == [
        "lost: shop/run.py:20 timeout fired fail_after was reached in the base (by first_token_timeout)"
    ]


def test_a_base_that_cannot_be_read_is_named(folder: Path, tmp_path: Path) -> None:
    """Rather than that nothing was lost."""
    write_document(folder, document())

    assert main([str(folder), "--paths-base", str(tmp_path / "gone.json")]) == ExitCode.INVALID


def test_a_folder_without_a_run_is_invalid(tmp_path: Path) -> None:
    """Nothing is written there."""
    assert main([str(tmp_path)]) == ExitCode.INVALID
    assert list(tmp_path.iterdir()) == []


def test_a_comparison_is_decided_again_from_its_blocks(tmp_path: Path) -> None:
    """Whatever `run.json` says it came to; of the sums that stand there nothing is used."""
    blocks = lines(WORSE)
    found = comparing(blocks)
    blank = {**found["comparison"], "result": None, "runs": {}, "hints": {}}
    passed = {"status": "PASS", "exit_code": 0, "undecided": "fail", "reasons": []}
    rows = BlockRows(tmp_path)
    for block in blocks:
        rows.write(block.to_json())
    rows.close()
    write_document(tmp_path, {**found, "comparison": blank, "verdict": passed, "findings": []})

    code = again(tmp_path, Rules(), tmp_path / "integration")

    assert code == ExitCode.REGRESSED
    assert stored(tmp_path)["comparison"] == found["comparison"]
    assert [one["reason"] for one in stored(tmp_path)["findings"]] == [
        one["reason"] for one in found["findings"]
    ]


def test_without_its_blocks_a_comparison_stays_as_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And the file that is missing is named."""
    found = comparing(lines(WORSE))
    write_document(tmp_path, found)

    code = again(tmp_path, Rules(), tmp_path / "integration")

    assert code == ExitCode.REGRESSED
    assert stored(tmp_path)["comparison"] == found["comparison"]
    assert "blocks.jsonl" in capsys.readouterr().err
