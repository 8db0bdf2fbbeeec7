"""load/target/parts.py: which coverage data may be believed, and what becomes of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import coverage
import pytest

from load.errors import InvalidRun
from load.target.config import ROOT, TargetConfig
from load.target.launch import Target, facts_of, launch
from load.target.parts import CHECKS, export, find_parts, load_part, write_coverage_json

APPS = Path(__file__).with_name("apps")
ALL_OK = dict.fromkeys(CHECKS, "ok")

Launch = Callable[..., Target]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with a copy of the shop that a test may edit."""
    shutil.copytree(APPS / "shop", tmp_path / "tree" / "shop")
    return tmp_path / "tree"


@pytest.fixture
def ran(tmp_path: Path, shop: Path) -> Iterator[Launch]:
    """Launches the shop; what a test leaves running is stopped."""
    targets: list[Target] = []

    def launched(phase: str, *, branch: bool = False) -> Target:
        config = TargetConfig("shop.api:app", shop, ready="/ready", coverage="branch" if branch else "auto")
        targets.append(launch(config, tmp_path / f"{phase}{len(targets)}", phase))
        return targets[-1]

    yield launched
    for target in targets:
        target.stop()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one complete run of the shop left."""
    folder = tmp_path_factory.mktemp("finished")
    return stopped(launch(TargetConfig("shop.api:app", APPS, ready="/ready"), folder, "load"))


@pytest.fixture
def part(finished: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may damage."""
    shutil.copytree(finished.parent, tmp_path / "coverage")
    return tmp_path / "coverage" / finished.name


def stopped(target: Target) -> Path:
    target.stop()
    return target.part


def test_parts_of_two_phases_are_joined(ran: Launch, tmp_path: Path) -> None:
    """Each line tells by which phase it was reached; the canary is not part of the report."""
    out = tmp_path / "coverage.json"
    parts = [stopped(ran("load")), stopped(ran("integration"))]
    summary = write_coverage_json(parts, out)
    report = json.loads(out.read_text())

    assert summary.checks == ALL_OK
    assert summary.phases == ("integration", "load")
    assert summary.left_out == ()
    assert list(report["files"]) == ["shop/__init__.py", "shop/api.py", "shop/broken.py"]
    assert list(summary.sources) == list(report["files"])
    assert report["meta"]["format"] == 3
    assert sorted(report["files"]["shop/api.py"]["contexts"]["1"]) == ["integration", "load"]
    assert summary.files["shop/__init__.py"] == 100.0
    assert summary.files["shop/broken.py"] == 0.0  # never imported, and in the data all the same
    covered, executable = summary.lines["shop/api.py"]
    assert summary.files["shop/api.py"] == pytest.approx(100 * covered / executable)


def test_parts_of_other_sources_are_left_out(ran: Launch, shop: Path, tmp_path: Path) -> None:
    """The first part decides; the other is named."""
    old = stopped(ran("integration"))
    (shop / "shop" / "api.py").write_text((shop / "shop" / "api.py").read_text() + "\nX = 1\n")
    new = stopped(ran("load"))
    summary = write_coverage_json([new, old], tmp_path / "coverage.json")

    assert summary.phases == ("load",)
    assert summary.left_out == (f"{old.name}: measured other sources",)


def test_lines_and_branches_are_not_joined(ran: Launch, tmp_path: Path) -> None:
    """They cannot be."""
    lines, branches = stopped(ran("load")), stopped(ran("load", branch=True))
    summary = write_coverage_json([lines, branches], tmp_path / "coverage.json")

    assert summary.left_out == (f"{branches.name}: measured branch, not lines",)


def test_a_source_edited_during_the_run_makes_the_data_unusable(
    ran: Launch, shop: Path, tmp_path: Path
) -> None:
    """Nothing is written: unusable is not zero."""
    target = ran("load")
    (shop / "shop" / "broken.py").write_text("\n")
    out = tmp_path / "coverage.json"
    summary = write_coverage_json([stopped(target)], out)

    assert summary.checks == ALL_OK | {
        "H2": f"{target.part.name}: shop/broken.py changed while it was measured"
    }
    assert (summary.usable, dict(summary.files)) == (False, {})
    assert not out.exists()


def test_foreign_lines_make_the_data_unusable(part: Path, tmp_path: Path) -> None:
    """Comments, blank lines and lines past the end of the file have not run."""
    data = coverage.CoverageData(str(part))
    data.read()
    data.set_context("load")
    data.add_lines({"shop/api.py": [5, 9999]})
    data.write()
    summary = write_coverage_json([part], tmp_path / "coverage.json")

    fault = f"{part.name}: shop/api.py has lines recorded that are no statement: [5, 9999]"
    assert summary.checks == ALL_OK | {"H3": fault}


def test_a_foreign_context_makes_the_data_unusable(part: Path, tmp_path: Path) -> None:
    """Data of another phase in this part."""
    data = coverage.CoverageData(str(part))
    data.read()
    data.set_context("integration")
    data.add_lines({"shop/api.py": [1]})
    data.write()
    summary = write_coverage_json([part], tmp_path / "coverage.json")

    fault = f"{part.name}: holds the contexts ['integration', 'load'], not load"
    assert summary.checks == ALL_OK | {"H1": fault}


def test_an_unreadable_part_makes_the_data_unusable(part: Path, tmp_path: Path) -> None:
    """It is not passed over: its process says that it saved everything."""
    part.write_bytes(b"no database")
    summary = write_coverage_json([part], tmp_path / "coverage.json")

    assert summary.checks == ALL_OK | {"H1": f"{part.name}: no data was kept"}


def test_an_unseen_label_makes_the_data_unusable(part: Path, tmp_path: Path) -> None:
    """Requests came, and the labelled one of the start-up was not among them."""
    facts = json.loads(facts_of(part).read_text())
    facts_of(part).write_text(json.dumps(facts | {"selfcheck": False}))
    summary = write_coverage_json([part], tmp_path / "coverage.json")

    fault = f"{part.name}: the labelled request of the start-up was not seen"
    assert summary.checks == ALL_OK | {"H5": fault}


def test_an_uncounted_canary_makes_the_data_unusable(part: Path, tmp_path: Path) -> None:
    """A probe that is known to be reached under that label counts for all others."""
    facts = json.loads(facts_of(part).read_text())
    assert facts["counted"]
    facts_of(part).write_text(json.dumps(facts | {"counted": False}))
    summary = write_coverage_json([part], tmp_path / "coverage.json")

    fault = f"{part.name}: the canary's failure was not counted under the label of the start-up"
    assert summary.checks == ALL_OK | {"H5": fault}


def test_without_parts_the_run_is_invalid(tmp_path: Path) -> None:
    """And says what may be the reason."""
    with pytest.raises(InvalidRun, match="there is no coverage data; was the target started with"):
        write_coverage_json([], tmp_path / "coverage.json")


def test_a_part_of_which_nothing_is_left_is_invalid(tmp_path: Path) -> None:
    """The process wrote no word."""
    with pytest.raises(InvalidRun, match=r"there is no coverage data .*/load\.1"):
        write_coverage_json([tmp_path / "load.1"], tmp_path / "coverage.json")


def test_a_replaced_tracer_makes_the_data_unusable(part: Path, tmp_path: Path) -> None:
    """Lines are missing from then on."""
    facts = json.loads(facts_of(part).read_text())
    facts_of(part).write_text(json.dumps(facts | {"replaced": True}))
    summary = write_coverage_json([part], tmp_path / "coverage.json")

    fault = f"{part.name}: another tracer (a debugger?) took over while it was measured"
    assert summary.checks == ALL_OK | {"H4": fault}


def test_the_parts_of_a_folder_are_found(part: Path, tmp_path: Path) -> None:
    """By what each process noted, not by the names of data files."""
    assert find_parts(tmp_path) == (part,)
    assert find_parts(tmp_path / "coverage") == ()


def test_an_exported_part_is_plain_coverage_data(part: Path, tmp_path: Path) -> None:
    """Absolute names, no canary, files that never ran included."""
    export(part, tmp_path / "exported")
    data = coverage.CoverageData(str(tmp_path / "exported"))
    data.read()

    names = {str(APPS / "shop" / name) for name in ("__init__.py", "api.py", "broken.py")}
    assert data.measured_files() == names
    assert set(data.lines(str(APPS / "shop" / "api.py")) or ()) == load_part(part).lines("shop/api.py")


RUN = """
import json, sys
from pathlib import Path
from load.errors import InvalidRun
from load.target.config import TargetConfig
from load.target.launch import launch
from load.target.parts import write_coverage_json
apps, folder = map(Path, sys.argv[1:])
target = launch(TargetConfig("shop.api:app", apps, ready="/ready"), folder, "load")
kept = target.stop().coverage_kept
try:
    checks = dict(write_coverage_json([target.part], folder / "coverage.json").checks)
except InvalidRun as invalid:
    checks = {"invalid": str(invalid)}
print(json.dumps([kept, target.part.name, checks]))
"""


def planted(tmp_path: Path, file: str, *changes: tuple[str, str]) -> tuple[str, str, dict[str, str]]:
    """What a run of the shop says with this defect in the instrument."""
    tree = tmp_path / "planted"
    shutil.copytree(ROOT / "load", tree / "load", ignore=shutil.ignore_patterns("__pycache__"))
    source = (tree / "load" / "target" / file).read_text()
    for old, new in changes:
        assert source.count(old) == 1
        source = source.replace(old, new)
    (tree / "load" / "target" / file).write_text(source)
    command = [sys.executable, "-c", RUN, str(APPS), str(tmp_path / "run")]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=True, timeout=60)
    kept, part, checks = json.loads(done.stdout)
    return kept, part, checks


def test_tracing_that_is_not_told_of_greenlets_is_found(tmp_path: Path) -> None:
    """The canary loses lines behind an awaited database call, and foreign ones are booked on it."""
    kept, part, checks = planted(
        tmp_path,
        "recording.py",
        ('"ctrace" if branch else "sysmon"', '"ctrace"'),
        ('self.mode == "auto" and sys.version_info < (3, 12)', "False"),
    )

    assert kept == "complete"
    assert sorted(check for check, result in checks.items() if result != "ok") == ["H3", "H4"]
    assert "canary.py has lines recorded that are no statement" in checks["H3"]
    assert checks["H4"].startswith(f"{part}: the canary's lines [")


def test_a_core_that_gives_way_is_refused(tmp_path: Path) -> None:
    """coverage.py silently takes another core than the one that was asked for."""
    with pytest.raises(subprocess.CalledProcessError) as failed:
        planted(
            tmp_path,
            "recording.py",
            ('["thread", "greenlet"] if greenlets else ["thread"]', '["thread", "greenlet"]'),
            ('self.mode == "auto" and sys.version_info < (3, 12)', "False"),
        )

    assert "UsageError: coverage would run with its core ctrace instead of sysmon" in failed.value.stderr


def test_missing_signal_handlers_are_found(tmp_path: Path) -> None:
    """uvicorn ends by raising the signal again: no data, and no silence about it."""
    kept, part, checks = planted(
        tmp_path,
        "inside.py",
        ("signal.signal(signal.SIGTERM, leave if is_server else break_off)", "pass"),
    )

    assert kept == "none"
    reason = f"no coverage data was kept: {part}: was killed before its first save"
    assert checks == {"invalid": reason}
