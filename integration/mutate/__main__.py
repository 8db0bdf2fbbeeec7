"""`python -m integration.mutate --seed N`, which `make mutate SEED=N` runs.

Draws error sites of `backend/` by seed, changes each in a tree of its own and asks the tests of
`integration/subject`, first those that reached the site. What is known, of all seeds, stands in
`reports/mutate/known.jsonl`; the same command again goes on from there. Exit codes: 0, 3 when a share is
below its minimum, 6 when nothing can be told.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from integration.mutate.draw import drawn
from integration.mutate.ledger import Entry, Ledger, hash_of_tests
from integration.mutate.loaded import UNCHANGED_RUNS, LoadError, Unchanged
from integration.mutate.operators import Mutation
from integration.mutate.reaching import read
from integration.mutate.report import killed, named, survivors, table
from integration.mutate.trial import SUITE, Trees, TrialError, failing, tests_in, tried
from integration.plant import ROOT
from load.errors import ExitCode

PACKAGE = "backend"
REPORTS = ROOT / "reports"


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options().parse_args(arguments)
    ledger = Ledger(options.reports / "mutate" / "known.jsonl")
    with tempfile.TemporaryDirectory(prefix="mutate-") as folder:
        trees = Trees(Path(folder))
        mutants = drawn(trees.clean, PACKAGE, options.seed, options.count)
        try:
            if options.by != "load":
                _try_all(trees, mutants, ledger, options.reports)
                _confirm(trees, mutants, ledger)
            if options.by != "tests":
                _load_all(trees, mutants, ledger)
        except (TrialError, LoadError) as error:
            _say(str(error))
            return ExitCode.INVALID
        tests = hash_of_tests(trees.clean / SUITE)
        return conclude([ledger.known(one, tests) for one in mutants], _states(options.reports))


def conclude(entries: Sequence[Entry], states: Mapping[str, str]) -> int:
    for line in (*table(entries, states), "", *survivors(entries, states)):
        _say(line)
    shares = []
    if any(entry.tried for entry in entries):
        shares.append(killed(entries))
        _say(f"killed by {SUITE}: {shares[-1]}")
    if any(entry.named is not None for entry in entries):
        shares.append(named(entries))
        _say(f"named by a load run: {shares[-1]}; {sum(entry.met for entry in entries)} of them it reaches")
    quick = [entry.seconds for entry in entries if entry.killed_by is not None]
    if quick:
        _say(f"{sum(quick) / len(quick):.1f} s for each that was killed, in the mean")
    return ExitCode.PASS if shares and not any(share.missed for share in shares) else ExitCode.OBJECTIVE


def _try_all(trees: Trees, mutants: Sequence[Mutation], ledger: Ledger, reports: Path) -> None:
    tests_hash = hash_of_tests(trees.clean / SUITE)
    left = [one for one in mutants if not ledger.known(one, tests_hash).tried]
    if not left:
        return
    reaching = read(reports / "integration", tests_in(trees.clean), trees.clean)
    for number, mutation in enumerate(left, 1):
        entry = ledger.known(mutation, tests_hash)
        trial = tried(trees.mutant(mutation), reaching.of(mutation.site))
        entry = replace(
            entry,
            tests_hash=tests_hash,
            killed_by=trial.killed_by,
            how=trial.how,
            stage=trial.stage,
            seconds=round(trial.seconds, 1),
        )
        ledger.note(entry)
        _say(f"{number}/{len(left)} {next(table([entry], {}))}")


def _confirm(trees: Trees, mutants: Sequence[Mutation], ledger: Ledger) -> None:
    """A test that fails without any change has seen nothing. Raises TrialError for such."""
    tests_hash = hash_of_tests(trees.clean / SUITE)
    entries = [ledger.known(one, tests_hash) for one in mutants]
    open_ones = [one for one in entries if one.killed_by is not None and not one.confirmed]
    tests = sorted({one.killed_by for one in open_ones if one.killed_by and "::" in one.killed_by})
    wrong = failing(trees.clean, tests) if tests else set()
    for entry in open_ones:
        if entry.killed_by in wrong:
            ledger.note(replace(entry, killed_by=None, how="", stage=""))
        else:
            ledger.note(replace(entry, confirmed=True))
    if wrong:
        raise TrialError(f"fail without any change as well: {', '.join(sorted(wrong))}")


def _load_all(trees: Trees, mutants: Sequence[Mutation], ledger: Ledger) -> None:
    tests_hash = hash_of_tests(trees.clean / SUITE)
    left = [one for one in mutants if ledger.known(one, tests_hash).named is None]
    if not left:
        return
    unchanged = Unchanged(trees.clean)
    _say(f"{unchanged.alarms} of {UNCHANGED_RUNS} unchanged runs would be named beside the others")
    for number, mutation in enumerate(left, 1):
        entry = ledger.known(mutation, tests_hash)
        if mutation.site.id in unchanged.met:
            entry = replace(entry, named=unchanged.name(trees.mutant(mutation)), met=True)
        else:
            # What is not carried out cannot be seen.
            entry = replace(entry, named="", met=False)
        ledger.note(entry)
        _say(f"load {number}/{len(left)} {next(table([entry], {}))}")


def _states(reports: Path) -> dict[str, str]:
    """The places of the sites in the last map there is."""
    for file in (reports / "latest" / "errorpaths.json", reports / "integration" / "errorpaths.json"):
        if file.exists():
            return {site["id"]: site["state"] for site in json.loads(file.read_text())["sites"]}
    return {}


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m integration.mutate")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=60, help="so many sites (default 60)")
    parser.add_argument(
        "--by",
        choices=("tests", "load", "both"),
        default="tests",
        help="who is asked about each (default tests); load: 50 s for each place that a run reaches",
    )
    parser.add_argument(
        "--reports", type=Path, default=REPORTS, help="where integration/ lies and mutate/ is written"
    )
    return parser


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    raise SystemExit(main())
