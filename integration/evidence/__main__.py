"""`python -m integration.evidence aa | planted | noisy`, which `make aa`, `make planted`, `make noisy` run.

Goes on from the lines there are of the code as it is committed. Ctrl-C ends the comparison that runs; it
leaves no line, and the same command goes on there.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from integration.evidence import table
from integration.evidence.cases import SERIES, Case, of_series
from integration.evidence.code import code_hash
from integration.evidence.lines import Line, append, of_case, read
from integration.evidence.trial import TrialError, compared
from integration.plant import ROOT, PlantError
from load.errors import ExitCode


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options().parse_args(arguments)
    cases = [case for case in of_series(options.series) if options.only in (None, case.name)]
    if not cases:
        _say(f"--only {options.only}: there are {', '.join(case.name for case in of_series(options.series))}")
        return ExitCode.USAGE
    try:
        _run(options.series, cases, options.number, options.folder)
    except KeyboardInterrupt:
        _say("stopped; the same command goes on here")
        return ExitCode.INTERRUPTED
    except (TrialError, PlantError) as error:
        _say(str(error))
        return ExitCode.INVALID
    finally:
        table.write(options.folder)
    return ExitCode.PASS


def _run(series: str, cases: Sequence[Case], number: int | None, folder: Path) -> None:
    """The case that lacks most comes next, so that a series that is stopped says something of each."""
    code = code_hash(ROOT)
    while True:
        lines = read(folder, series, code)
        due = {case: of_case(lines, case.name) for case in cases}
        left = [case for case in cases if len(due[case]) < (number or case.wanted)]
        if not left:
            return
        case = min(left, key=lambda one: len(due[one]) / (number or one.wanted))
        line = compared(case, max((line.number for line in due[case]), default=0) + 1)
        append(folder, series, line)
        if line.code != code:
            raise TrialError("the code that decides is not the committed one; commit it, and begin again")
        _say(_told(case, line, number or case.wanted))


def _told(case: Case, line: Line, wanted: int) -> str:
    first = line.first.verdict or "no verdict"
    named = f" ({', '.join(line.first.regressed)})" if line.first.regressed else ""
    return (
        f"{case.name} {line.number} of {wanted}: {first}{named}, then {line.answer.verdict or 'no verdict'};"
        f" exit {line.exit_code}; {line.load_s:.0f} s of load, {line.job_s:.0f} s in all"
    )


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m integration.evidence")
    parser.add_argument("series", choices=SERIES)
    parser.add_argument(
        "-n", dest="number", type=int, help="comparisons of each case, those there are included"
    )
    parser.add_argument("--only", help="this case alone")
    parser.add_argument("--folder", type=Path, default=table.FOLDER, help="of the lines and the table")
    return parser


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    raise SystemExit(main())
