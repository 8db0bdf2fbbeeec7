"""`junit.xml`: a case for each scenario, and one for each finding that concerns the whole run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from junitparser import Error, Failure, JUnitXml, TestCase, TestSuite
from junitparser.junitparser import FinalResult

from load.report.document import Document

ERRORS = ("INVALID", "TARGET_DOWN", "INTERRUPTED", "INCONCLUSIVE")
"""Findings that say nothing was shown, against those that show something wrong."""


def render(document: Document) -> bytes:
    """The suites `scenarios` and `run`; a case is not ok exactly where the verdict has a finding for it."""
    findings: list[Mapping[str, Any]] = document["findings"]
    names = dict.fromkeys(
        [*document["scenarios"], *(found["scenario"] for found in findings if found["scenario"])]
    )
    scenarios = TestSuite("scenarios")
    for name in names:
        booked = document["scenarios"].get(name)
        title = f"{name}: no stream" if booked is None else f"{name}: {booked['expected']}"
        scenarios.add_testcase(_case(title, [found for found in findings if found["scenario"] == name]))
    run = TestSuite("run")
    whole = [found for found in findings if found["scenario"] is None]
    for number, found in enumerate(whole, 1):
        run.add_testcase(_case(f"{found['kind']} {found['figure'] or number}", [found]))
    if not whole:
        run.add_testcase(_case("the run as a whole", []))
    xml = JUnitXml("streamgauge")
    for suite in (scenarios, run):
        suite.add_property("run", document["name"])
        xml.add_testsuite(suite)
    xml.update_statistics()  # type: ignore[no-untyped-call]
    return bytes(xml.tostring())  # type: ignore[no-untyped-call]


def _case(name: str, findings: list[Mapping[str, Any]]) -> TestCase:
    case = TestCase(_valid(name), classname="streamgauge")
    results: list[FinalResult] = []
    for found in findings:
        result = (Error if found["kind"] in ERRORS else Failure)(_valid(found["reason"]), found["kind"])
        facts = [found["value"], found["limit"], found["reproduce"], *found["recordings"]]
        result.text = _valid("\n".join(str(fact) for fact in facts if fact))
        results.append(result)
    case.result = results
    return case


def _valid(text: str) -> str:
    """Without the characters that XML cannot hold, even escaped."""
    return re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)
