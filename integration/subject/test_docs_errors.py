"""docs/errors.md says what `backend/errors.py` and the comments in the code say."""

from __future__ import annotations

import re
from collections import Counter
from typing import Literal

import pytest

from backend.errors import TABLE, ErrorCode
from integration.rows import CATALOGUE, ID, ROOT, Reached, catalogue, ids_of, is_whole

PAGE = CATALOGUE.read_text(encoding="utf-8")
ROWS = catalogue(PAGE)
CODE = re.compile(r"`(\w+)`")
COMMENT = re.compile(r"  # ((?:[A-Z]\d{1,2} ?)+)$", re.MULTILINE)


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


CODE_ROWS = {
    found.group(1): cells(line)
    for line in PAGE.splitlines()
    if line.startswith("|") and (found := CODE.fullmatch(cells(line)[0]))
}


def test_every_code_is_on_the_page_once() -> None:
    """The page lists the codes of the table, all of them, in its order."""
    listed = [match.group(1) for match in re.finditer(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)]

    assert listed == [code.value for code in ErrorCode]
    assert f"\n{len(ErrorCode)} codes.\n" in PAGE


@pytest.mark.parametrize("code", list(ErrorCode))
def test_what_the_page_says_of_a_code(code: ErrorCode) -> None:
    """Status, retry, run status and close code are those of the table."""
    row = TABLE[code]
    _, http, stream, retry, run, _ = CODE_ROWS[code.value]

    first_status = re.match(r"\(?(\d{3})", http)
    assert (int(first_status.group(1)) if first_status else None) == row.status
    assert retry == ("yes" if row.retryable else "no")
    assert (None if run == "–" else run.split()[0].strip(",")) == row.run_status
    closes = [int(one) for one in re.findall(r"close (\d{4})", stream)]
    assert (row.close in closes) if row.close is not None else closes == []


def test_the_sums_on_the_page_are_those_of_its_rows() -> None:
    """126 rows and so on, over all and for each group."""
    loads = Counter(cells(line)[-1] for line in PAGE.splitlines() if is_row(line))
    reached = loads["run"] + loads["end"]
    total = sum(loads.values())

    assert (
        f"\n{total} rows, {reached} of them reached by load ({loads['run']} `run`, {loads['end']} `end`).\n"
        in PAGE
    )
    for group in re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]:
        heading, _, body = group.partition("\n")
        here = Counter(cells(line)[-1] for line in body.splitlines() if is_row(line))
        told = re.search(r": (\d+) rows, (\d+|none) from load", heading)
        assert told is not None, heading
        assert int(told.group(1)) == sum(here.values()), heading
        assert told.group(2).replace("none", "0") == str(here["run"] + here["end"]), heading


def is_row(line: str) -> bool:
    return line.startswith("|") and ID.fullmatch(cells(line)[0]) is not None


def test_ids_are_unique() -> None:
    """An id is one row."""
    assert [one for one, n in Counter(row.id for row in ROWS).items() if n > 1] == []


def test_ids_in_the_code_are_rows() -> None:
    """A trailing comment with an id leads to a row of the page."""
    known = {row.id for row in ROWS}

    assert {name: ids - known for name, ids in ids_in_code().items() if ids - known} == {}


NO_PLACE = {
    "F4", "F6", "F11", "F13", "F16", "C13",  # the WebSocket library answers
    "C7", "C12", "S5", "S8", "S9",  # many clients, slow ones, a stopped clock, a quiet server: no line alone
}  # fmt: skip
"""Rows that no single place in the code realises."""


def test_every_built_row_is_marked_in_the_code() -> None:
    """The place that realises a row carries its id."""
    marked = set().union(*ids_in_code().values())

    assert {row.id for row in ROWS if row.built} - marked - NO_PLACE == set()


def ids_in_code() -> dict[str, set[str]]:
    return {
        str(path.relative_to(ROOT)): {
            one
            for match in COMMENT.finditer(path.read_text(encoding="utf-8"))
            for one in match.group(1).split()
        }
        for path in sorted((ROOT / "backend").rglob("*.py"))
    }


@pytest.mark.parametrize(
    ("nodeid", "ids"),
    [
        ("a.py::test_H1_no_credential", ("H1",)),
        ("a.py::test_C8_C9_races[x-1]", ("C8", "C9")),
        ("a.py::test_inv_R1_numbers", ()),
        ("a.py::test_get_H1", ()),
        ("a.py::test_L11", ("L11",)),
    ],
)
def test_ids_in_names_of_tests(nodeid: str, ids: tuple[str, ...]) -> None:
    """Only ids right behind `test_` name a row; invariants are no rows."""
    assert ids_of(nodeid) == ids


def report(nodeid: str, outcome: Literal["passed", "failed"]) -> pytest.TestReport:
    return pytest.TestReport(nodeid, ("", None, ""), {}, outcome, None, "call")


def test_a_built_row_without_a_passing_test_is_a_fault() -> None:
    """No test, or one that failed beside one that passed: both are faults; rows to come are not."""
    reached = Reached()
    for row in ROWS:
        if row.id != "H1":
            reached.pytest_runtest_logreport(report(f"a.py::test_{row.id}_x", "passed"))
    reached.pytest_runtest_logreport(report("a.py::test_H2_y", "failed"))

    assert reached.faults() == ["H1", "H2"]
    assert reached.table()[-1] == "missing or failed: H1 H2"


def test_rows_of_stages_to_come_stand_as_not_built() -> None:
    """A row whose stage is not listed under Built is named with its stage, and is no fault."""
    row = next(row for row in catalogue("Built: core\n| W1 | workflows | x |"))

    assert Reached().state(row) == "not built (workflows)"


@pytest.mark.parametrize(
    ("args", "whole"),
    [
        ([], True),
        (["integration/subject"], True),
        (["integration"], True),
        (["integration/subject", "-m", "not holds"], True),
        (["integration/subject", "-m", "holds"], False),
        (["integration/subject/test_runs.py"], False),
        (["integration/subject", "-k", "H1"], False),
        (["integration/subject", "--deselect", "integration/subject/test_runs.py"], False),
    ],
)
def test_rows_are_asked_for_when_all_tests_run(
    pytestconfig: pytest.Config, args: list[str], whole: bool
) -> None:
    """A selection of tests cannot reach every row, and is not blamed for it."""
    config = pytest.Config.fromdictargs({}, ["-p", "no:locust", "--rootdir", str(ROOT), *args])

    assert is_whole(config) is whole
