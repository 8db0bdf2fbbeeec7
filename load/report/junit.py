"""`junit.xml`: a case for each scenario, each metric compared, and each finding about the whole run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite
from junitparser.junitparser import FinalResult

from load.report.document import Document
from load.verdict.rounds import STALLED
from load.verdict.wording import FIGURE

ERRORS = ("INVALID", "TARGET_DOWN", "INTERRUPTED", "INCONCLUSIVE")
"""Findings that say nothing was shown, against those that show something wrong."""
HOLDS = ("OK", "improved")
NO_DATA = "no data"


def render(document: Document) -> bytes:
    """The suites `scenarios`, `run` and, of a comparison, `comparison`; a case is not ok exactly where the
    verdict has a finding for it."""
    findings: list[Mapping[str, Any]] = document["findings"]
    names = dict.fromkeys(
        [*document["scenarios"], *(found["scenario"] for found in findings if found["scenario"])]
    )
    scenarios = TestSuite("scenarios")
    for name in names:
        booked = document["scenarios"].get(name)
        title = f"{name}: no stream" if booked is None else f"{name}: {booked['expected']}"
        those = [found for found in findings if found["scenario"] == name]
        scenarios.add_testcase(_case(title, those, document))
    run = TestSuite("run")
    whole = [found for found in findings if found["scenario"] is None]
    for number, found in enumerate(whole, 1):
        run.add_testcase(_case(f"{found['kind']} {found['figure'] or number}", [found], document))
    if not whole:
        run.add_testcase(_case("the run as a whole", [], document))
    xml = JUnitXml("streamgauge")
    for suite in (scenarios, run, *_comparison(document)):
        suite.add_property("run", document["name"])
        xml.add_testsuite(suite)
    xml.update_statistics()  # type: ignore[no-untyped-call]
    return bytes(xml.tostring())  # type: ignore[no-untyped-call]


def _comparison(document: Document) -> tuple[TestSuite, ...]:
    """A case for each metric that was to be judged."""
    found = document.get("comparison")
    if not found or found["result"] is None:
        return ()
    suite, first = TestSuite("comparison"), found["runs"]["first"]
    reasons = [one["reason"] for one in document["findings"] if one["figure"] == FIGURE]
    for name, standing in found["result"]["metrics"].items():
        told = (first["stalled"] if name == STALLED else first["metrics"].get(name, {})).get("text", "")
        case = TestCase(
            f"{name} is no worse than in {_valid(found['arms']['base'])}", classname="streamgauge"
        )
        if standing in HOLDS:
            case.system_out = _valid(f"{standing}: {told}")
        elif standing == "REGRESSED":
            case.result = [Failure(_valid(told), standing)]
        else:
            why = _valid("; ".join([told, *reasons] if told else reasons) or standing)
            kind = Skipped if standing == NO_DATA or _warns(document) else Error
            case.result = [kind(why, standing)]
        suite.add_testcase(case)
    return (suite,)


def _warns(document: Document) -> bool:
    """Whether what is undecided ends with the exit code of PASS."""
    return bool(document["verdict"].get("undecided") == "warn")


def _result(found: Mapping[str, Any], document: Document) -> FinalResult:
    """What a finding makes of its case."""
    kind: type[FinalResult] = Error if found["kind"] in ERRORS else Failure
    if found["kind"] == "INCONCLUSIVE" and _warns(document):
        kind = Skipped
    return kind(_valid(found["reason"]), found["kind"])


def _case(name: str, findings: list[Mapping[str, Any]], document: Document) -> TestCase:
    case = TestCase(_valid(name), classname="streamgauge")
    results: list[FinalResult] = []
    for found in findings:
        result = _result(found, document)
        facts = [found["value"], found["limit"], found["reproduce"], *found["recordings"]]
        result.text = _valid("\n".join(str(fact) for fact in facts if fact))
        results.append(result)
    case.result = results
    return case


def _valid(text: str) -> str:
    """Without the characters that XML cannot hold, even escaped."""
    return re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)
