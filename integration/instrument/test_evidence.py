"""The published shares are counted from lines of comparisons, and only from those of the code as it is."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import pytest

from integration.evidence.cases import AA, CASES, EQUAL, NOISY, PLANTED, SERIES
from integration.evidence.code import DECIDING, code_hash
from integration.evidence.lines import Line, append, packed, read, told_again
from integration.evidence.table import FOLDER, text, upper
from integration.instrument.comparisons import MACHINES, Drawn
from integration.plant import ROOT
from load.verdict.comparison import FIRST, Comparison

CODE = "0123456789abcdef"


def line(case: str, number: int, effect: float = 0.0, code: str = CODE) -> Line:
    """A comparison that never ran, of a minute at most."""
    comparison = Comparison(60.0)
    for one in itertools.islice(Drawn(MACHINES[0], number, {"ttft": effect}), 200):
        comparison.take(one)
        if comparison.over:
            break
    first, answer = told_again({FIRST: comparison})
    return Line(
        case=case, number=number, seed=number, utc="2026-11-26T08:00:00Z", sha="0" * 40, code=code,
        first=first, answer=answer, exit_code=0, exit_warn=0, findings=(), load_s=comparison.load_s,
        job_s=61.0, runs=packed({FIRST: comparison}),
    )  # fmt: skip


def test_the_published_table_is_what_the_lines_come_to() -> None:
    """Where it is not: python -m integration.evidence.table."""
    published = (FOLDER / "README.md").read_text(encoding="utf-8")

    assert published == text(FOLDER, code_hash(ROOT))


@pytest.mark.parametrize("series", SERIES)
def test_every_published_line_is_decided_so_again(series: str) -> None:
    """From its rounds alone."""
    lines = read(FOLDER, series, code_hash(ROOT))

    assert [told_again(one.again) for one in lines] == [(one.first, one.answer) for one in lines]


def test_a_line_is_the_same_when_it_is_read_again(tmp_path: Path) -> None:
    """All of its rounds, and the decision that follows from them."""
    one = line(EQUAL, 1, 0.3)

    append(tmp_path, AA, one)

    assert [json.loads(found.to_json()) for found in read(tmp_path, AA, CODE)] == [json.loads(one.to_json())]
    assert (one.first.verdict, one.first.regressed[0]) == ("REGRESSED", "ttft")
    assert told_again(read(tmp_path, AA, CODE)[0].again) == (one.first, one.answer)


def test_a_line_stays_small() -> None:
    """Three hundred of a whole minute stay below 10 MB."""
    comparison = Comparison(1e9)
    for one in itertools.islice(Drawn(MACHINES[0], 1), 90):
        comparison.take(one)

    assert len(json.dumps(packed({FIRST: comparison}))) < 30_000


def test_lines_of_other_code_do_not_count(tmp_path: Path) -> None:
    """They say nothing of this one."""
    append(tmp_path, AA, line(EQUAL, 1, code="f" * 16))

    assert text(tmp_path, CODE).count("No line yet of the code as it is.") == 3


def test_the_table_of_equal_trees(tmp_path: Path) -> None:
    """One of three is called worse; it is too early to say whether the aims hold."""
    for number, effect in enumerate((0.0, 0.0, 0.3), 1):
        append(tmp_path, AA, line(EQUAL, number, effect))

    table = [row for row in text(tmp_path, CODE).splitlines() if row.startswith("| REGRESSED before")]

    assert table == [
        "| REGRESSED before confirmation | 1 of 3: 33.3 % (< 86.5 %) | at most 1 | not all run yet |"
    ]


def test_a_planted_defect_is_found_or_missed(tmp_path: Path) -> None:
    """By the first run; a break by its finding."""
    append(tmp_path, PLANTED, line("ttft_20", 1, 0.3))
    append(tmp_path, PLANTED, line("ttft_20", 2))
    broke = ("BEHAVIOUR", "head chat_ws", "1 of 900 streams ended BROKEN(loss)")
    append(tmp_path, PLANTED, replace(line("lost_delta", 1), findings=(broke,)))

    rows = [row.split(" | ")[1] for row in text(tmp_path, CODE).splitlines() if " of 20 |" in row]

    assert rows == ["1 of 2", "1 of 1"]


def test_an_answer_beside_noise_is_wrong_when_it_contradicts_the_truth(tmp_path: Path) -> None:
    """REGRESSED of equal trees, OK of a real effect."""
    append(tmp_path, NOISY, line("ttft_10", 1))

    assert "| first text 10 % later | 1 | 0 | 0 | 1 of 1: 100.0 % (< 100.0 %) |" in text(tmp_path, CODE)


@pytest.mark.parametrize(
    ("found", "of", "bound"), [(0, 300, 0.00994), (0, 100, 0.02951), (2, 40, 0.14915), (5, 5, 1.0)]
)
def test_bounds_are_those_of_clopper_and_pearson(found: int, of: int, bound: float) -> None:
    """0 of n: 1 - 0.05 ** (1 / n)."""
    assert upper(found, of) == pytest.approx(bound, abs=1e-5)


def test_another_byte_of_deciding_code_is_other_code(tmp_path: Path) -> None:
    """Of any of its files."""
    (tmp_path / DECIDING[0]).parent.mkdir(parents=True)
    (tmp_path / DECIDING[0]).write_text("a")
    before = code_hash(tmp_path)
    (tmp_path / DECIDING[0]).write_text("b")

    assert code_hash(tmp_path) != before


def test_every_patch_is_a_case() -> None:
    """And every case has its patch."""
    patches = {path.stem for path in (ROOT / "integration" / "plants" / "evidence").glob("*.patch")}

    assert {case.name for case in CASES} - {EQUAL} == patches
