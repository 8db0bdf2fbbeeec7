"""`python -m integration`, which `make test` runs: every suite, the joined coverage, the gate.

Each suite runs in a pytest of its own: what the gate judges is what `integration/subject` alone has reached,
and the timings of `instrument` are not taken under a tracer. These two run side by side, since most of the
first is waiting; whole runs come behind them, alone.
Further arguments go to each pytest; with a path, `-k` or the like it is one plain pytest, and nothing is
judged or written.

Leaves in `reports/integration/`: coverage.json, errorpaths.json, junit.xml, summary.md, summary.json,
`coverage/` (the parts, which a load run joins with its own) and `targets/` (the logs of the processes that
tests started).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

from integration.covered import FOLDER_VARIABLE, PHASE
from integration.summary import Suite, console_lines, counted, markdown, merge_junit
from load.errors import ExitCode, InvalidRun, UsageError
from load.joint import of_tests_alone
from load.report.paths import to_plain
from load.report.store import write_atomically
from load.report.together import Ran, summary_json
from load.scenarios.own import read_bundled_rules
from load.target.config import ROOT, bundled
from load.target.launch import measured_command
from load.target.parts import CoverageSummary, find_parts, write_coverage_json
from load.target.pathparts import find_path_parts
from load.verdict.gates import missed
from load.verdict.pathgates import early, rotten

SUITES = ("subject", "instrument", "runs")
MEASURED_SUITE = "subject"
BESIDE = "instrument"
FOLDER = ROOT / "reports" / "integration"
SELECTING = (
    "-k",
    "-m",
    "--deselect",
    "--ignore",
    "--lf",
    "--last-failed",
    "--sw",
    "--stepwise",
    "--cov",
    "--co",
)


def main(arguments: Sequence[str]) -> int:
    if selects(arguments):
        say("A selection was asked for: no gate is judged, and reports/integration is left as it was.")
        return subprocess.call([sys.executable, "-m", "pytest", *arguments], cwd=ROOT)
    try:
        shutil.rmtree(FOLDER, ignore_errors=True)
        (FOLDER / "coverage").mkdir(parents=True)
    except OSError as error:
        say(f"{error.filename} cannot be written: {error.strerror}")
        return ExitCode.USAGE
    try:
        with ThreadPoolExecutor() as pool:
            beside = pool.submit(run, BESIDE, arguments, FOLDER / f"{BESIDE}.log")
            subject = run(MEASURED_SUITE, arguments)
            instrument = beside.result()
        say((FOLDER / f"{BESIDE}.log").read_text())
        suites = (subject, instrument, run("runs", arguments))
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    merge_junit({suite: junit_of(suite) for suite in SUITES}, FOLDER / "junit.xml")
    return conclude(suites)


def selects(arguments: Sequence[str]) -> bool:
    """Would pytest leave out tests because of these?"""
    return any(
        argument.startswith(SELECTING) or (not argument.startswith("-") and path_of(argument).exists())
        for argument in arguments
    )


def path_of(argument: str) -> Path:
    return ROOT / argument.partition("::")[0]


def run(suite: str, arguments: Sequence[str], log: Path | None = None) -> Suite:
    """log: takes what pytest prints; without one it is seen at once."""
    pytest = ("pytest", f"integration/{suite}", f"--junit-xml={junit_of(suite)}", *arguments)
    environment = dict(os.environ)
    if suite == MEASURED_SUITE:
        targets = FOLDER / "targets"
        command = measured_command(bundled(0, {}), targets / "pytest", PHASE, *pytest)
        environment[FOLDER_VARIABLE] = str(targets)
    else:
        command = (sys.executable, "-m", *pytest)
    say(f"== integration/{suite}{'' if log is None else f', into {log.relative_to(ROOT)}'}")
    began = time.monotonic()
    with nullcontext() if log is None else log.open("w") as out:
        code = subprocess.call(command, cwd=ROOT, env=environment, stdout=out, stderr=out)
    return counted(suite, code, time.monotonic() - began, junit_of(suite))


def junit_of(suite: str) -> Path:
    return FOLDER / f"{suite}.junit.xml"


def conclude(suites: Sequence[Suite]) -> int:
    failed = [suite for suite in suites if suite.exit_code != 0]
    misses: tuple[str, ...] = ()
    try:
        rules = read_bundled_rules()
    except UsageError as error:
        say(str(error))
        return ExitCode.USAGE
    summary: CoverageSummary | None = None
    invalid: tuple[str, ...] = ()
    try:
        summary = write_coverage_json(gather(FOLDER / "targets"), FOLDER / "coverage.json")
    except InvalidRun as error:
        invalid = (str(error),)
    else:
        invalid = tuple(f"{check}: {result}" for check, result in summary.checks.items() if result != "ok")
    if summary is not None and summary.usable:
        found = missed(rules.integration_minimum, summary.lines, summary.sources)
        misses = tuple(str(miss) for miss in found)
    paths = of_tests_alone(FOLDER, rules)
    if paths is not None:
        write_atomically(FOLDER / "errorpaths.json", json.dumps(to_plain(paths), indent=1))
        invalid += tuple(f"{name}: {result}" for name, result in paths.checks.items() if result != "ok")
        wrong = [*early(paths), *rotten(paths, rules.allow_neither)]
        misses += tuple(finding.reason for finding in wrong)
    ran = Ran({suite.name: suite.tests for suite in suites}, summary, None, paths)
    document = summary_json(ran, rules, rules.integration_minimum)
    write_atomically(FOLDER / "summary.json", json.dumps(document, indent=1))
    (FOLDER / "summary.md").write_text(markdown(suites, summary, misses, invalid, paths))
    for line in console_lines(suites, summary, misses, invalid, paths):
        say(line)
    if failed:
        return ExitCode.BEHAVIOUR
    if invalid:
        return ExitCode.INVALID
    return ExitCode.OBJECTIVE if misses else ExitCode.PASS


def gather(targets: Path) -> list[Path]:
    """Moves the parts of all processes into one folder; the first is pytest's own."""
    folders = sorted(targets.iterdir(), key=lambda folder: (folder.name != "pytest", folder.name))
    gathered = []
    for folder in folders:
        for part in find_parts(folder):
            for file in part.parent.glob(f"{part.name}*"):
                # Process ids come round again: the folder's name keeps parts apart.
                file.rename(FOLDER / "coverage" / file.name.replace(part.name, f"{part.name}-{folder.name}"))
            gathered.append(FOLDER / "coverage" / f"{part.name}-{folder.name}")
        for paths in find_path_parts(folder):  # of processes whose lines did not count
            paths.rename(FOLDER / "coverage" / f"{folder.name}-{paths.name}")
        shutil.rmtree(folder / "scratch", ignore_errors=True)
    return gathered


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
