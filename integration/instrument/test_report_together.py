"""load/report/together.py: tests and load in few figures."""

from __future__ import annotations

from dataclasses import replace

from integration.instrument.documents import COVERAGE
from integration.instrument.pathparts import BLANK, FULL, hit, part
from load.report.together import Ran, summary_json, together
from load.verdict.errorpaths import make_map
from load.verdict.rules import Rules

CHAT, STREAM = "backend/api/chat.py", "backend/api/stream.py"
RULES = Rules(minimum={CHAT: 90}, tier1=(CHAT, STREAM), must_reach=("respond",))
PATHS = make_map([part("integration"), part("load", hit(BLANK))])
RAN = Ran({"subject": 900, "load": 60}, COVERAGE, 6.24, PATHS)


def test_the_summary_says_what_was_covered_and_what_load_adds() -> None:
    """A file with a path that must be reached and was not is below its minimum, too."""
    found = summary_json(RAN, RULES, RULES.minimum)

    assert found["suites"] == {"subject": 900, "load": 60}
    assert found["files"] == [CHAT, STREAM]
    assert found["coverage"] == {CHAT: "87.5 %", STREAM: "100 %"}
    assert found["gain_by_load_points"] == "+6.2"
    assert found["below_minimum"] == [CHAT, FULL.file]
    assert found["edge_cases"] == 1
    assert found["total"] == "96.5 %"


def test_the_names_of_the_origin_plan_say_the_same() -> None:
    """Its remaining files are those of tier 1 alone."""
    found = summary_json(RAN, RULES, RULES.minimum)

    assert found["phase"] == "integration + load"
    assert found["plans_completed"] == ["subject", "load"]
    assert found["files_tested"] == found["files"]
    assert found["coverage_achieved"] == found["coverage"]
    assert found["overall_impact"] == "+6.2"
    assert found["remaining_tier1_files"] == [CHAT]


def test_a_file_that_is_absent_is_below_its_minimum() -> None:
    """It is not 0 %, and it is not left out."""
    found = summary_json(RAN, Rules(), {"backend/api/gone.py": 1})

    assert found["below_minimum"] == ["backend/api/gone.py"]


def test_without_load_nothing_is_said_of_what_it_adds() -> None:
    """No data is not zero."""
    found = summary_json(replace(RAN, gain_points=None, paths=None), RULES, {})

    assert (found["gain_by_load_points"], found["edge_cases"]) == (None, None)
    assert [row.cells[:2] for row in together(found).rows] == [
        ("coverage achieved", "96.5 %"),
        ("tests", "subject 900, load 60"),
        ("load adds", "no data"),
        ("edge cases", "no data"),
        ("below their minimum", "0"),
    ]


def test_a_path_that_one_phase_alone_did_not_reach_is_no_miss() -> None:
    """The other might have."""
    alone = replace(RAN, paths=make_map([part("load", hit(BLANK))]))

    assert summary_json(alone, RULES, {})["below_minimum"] == []
    assert summary_json(RAN, RULES, {})["below_minimum"] == [FULL.file]
