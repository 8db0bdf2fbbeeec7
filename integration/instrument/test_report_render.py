"""The renderings say what run.json says, each in a form that its reader can open."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from contextlib import suppress
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import orjson
import pytest
from junitparser import Error, Failure, JUnitXml

from integration.instrument.documents import BROKEN, FACTS, declared, document, measured, red
from load.errors import ExitCode
from load.report import html, junit, markdown
from load.report.console import printable, show, show_progress
from load.report.document import Document, build
from load.report.layout import Sheet, Table
from load.report.numbers import ms, percent, with_count
from load.report.render import RENDERINGS, to_json
from load.report.sheet import sheet
from load.scenarios.ledger import Ledger
from load.verdict.judge import Finding, judge

NASTY = '<script>alert("x")</script> | \x1b[2J `a` & [link](http://example.org) \x00\ud800'
INVALID = Finding(ExitCode.INVALID, None, None, None, None, "no_samples: not one stream ended")


ROOT = Path(__file__).parents[2]
FETCHING = ("src", "href", "srcset", "data", "action")


class Page(HTMLParser):
    """Its tags, its text, and everything that a browser would fetch."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.fetched: list[str] = []
        self.links: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        found = dict(attrs)
        if tag == "a":
            self.links.append(found.get("href") or "")
            return
        self.fetched += [
            value for name, value in attrs if name in ("src", "href", "srcset", "data") and value
        ]

    def handle_data(self, data: str) -> None:
        self.text += f"{data}\n"


def nasty() -> Document:
    """A run in which the target's words try to be markup."""
    finding = replace(BROKEN, scenario=NASTY, reason=NASTY, value=NASTY, reproduce=NASTY, ids=(NASTY,))
    facts = replace(
        FACTS, target=replace(FACTS.target, address=NASTY), recordings={NASTY: "findings/a.ndjson"}
    )
    return document(facts=facts, findings=(finding,))


def shown(made: Document) -> str:
    out = io.StringIO()
    show(made, Path("reports/run"), out)
    return out.getvalue()


def in_terminal(command: list[str], environment: dict[str, str], columns: int) -> str:
    """What a program writes that believes it has a terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=os.environ | environment, cwd=ROOT
    )
    os.close(theirs)
    written = b""
    with suppress(OSError):  # Linux says EIO where others say end of file
        while part := os.read(ours, 65536):
            written += part
    os.close(ours)
    assert process.wait(timeout=30) == 0
    return written.decode()


class TestNumbers:
    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (None, "no data"),
            (0.0, "0.00"),
            (1.234, "1.23"),
            (12.34, "12.3"),
            (123.4, "123"),
            (12_345.6, "12,346"),
        ],
    )
    def test_ms_have_three_digits(self, value: float | None, text: str) -> None:
        assert ms(value) == text

    @pytest.mark.parametrize(
        ("part", "whole", "text"),
        [
            (0, 0, "no data"),
            (0, 10, "0 %"),
            (10, 10, "100 %"),
            (1, 3, "33.3 %"),
            (1, 100_000, "<0.1 %"),
            (99_999, 100_000, ">99.9 %"),  # 100 only when it is
        ],
    )
    def test_percent(self, part: int, whole: int, text: str) -> None:
        assert percent(part, whole) == text

    def test_percent_comes_with_its_count(self) -> None:
        assert with_count(994, 1000) == "99.4 % (994 of 1,000)"


class TestAll:
    @pytest.mark.parametrize("name", [name for name, _ in RENDERINGS])
    @pytest.mark.parametrize("made", [document(), red(), document(empty=True)], ids=["good", "red", "empty"])
    def test_the_stored_document_renders_the_same(self, name: str, made: Document) -> None:
        """Any report can be made again from run.json."""
        render = dict(RENDERINGS)[name]

        assert render(orjson.loads(to_json(made)), None) == render(made, None)


class TestHtml:
    @pytest.fixture
    def page(self) -> Page:
        return Page(html.render(sheet(red())))

    def test_fetches_nothing(self, page: Page) -> None:
        """The icon is empty, so that no browser asks for one."""
        assert page.fetched == ["data:,"]
        assert "script" not in page.tags

    def test_names_no_address_but_files_beside_it(self) -> None:
        source = html.render(sheet(red()))

        assert re.findall(r"https?://|//[a-z]|url\(|@import", source) == []

    def test_links_to_files_of_the_folder(self, page: Page) -> None:
        outside = [link for link in page.links if not link.startswith("#")]

        assert outside == ["findings/exe_1.ndjson", "run.json"]

    @pytest.mark.parametrize(
        "number",
        [
            "1,050",  # streams
            "78.9",  # ttft p50
            "129",  # ttft max
            "11,000",  # gaps
            "99.9 % (1,039 of 1,040)",  # as declared
            "1,506",  # deadline observed, p50
            "kernel: ±0.1 ms (resolved 99.1 %)",
            "96.6 %",  # lines covered
        ],
    )
    def test_holds_the_numbers_of_the_document(self, page: Page, number: str) -> None:
        assert number in page.text

    def test_escapes_the_words_of_the_target(self) -> None:
        page = Page(html.render(sheet(nasty())))

        assert "script" not in page.tags
        assert page.text.count('<script>alert("x")</script>') >= 4

    def test_says_no_data_without_a_sample(self) -> None:
        """Nothing is shown as 0 ms or 0 %."""
        page = Page(html.render(sheet(document(empty=True))))

        assert "no data" in page.text
        assert re.findall(r"\b0\.00\b|(?<!\d)0 %", page.text) == []


class TestMarkdown:
    def test_begins_with_the_verdict(self) -> None:
        text = markdown.render(sheet(red()))

        assert text.startswith("# BEHAVIOUR: an outcome that nobody declared, or a broken stream\n")

    def test_names_the_command_that_shows_the_finding_again(self) -> None:
        assert f"  - again: `{BROKEN.reproduce}`\n" in markdown.render(sheet(red()))

    def test_keeps_words_of_the_target_plain(self) -> None:
        """Neither HTML nor a link, outside of code."""
        text = re.sub(r"(`+) .*? \1", "", markdown.render(sheet(nasty())))

        assert "<" not in text
        assert re.findall(r"(?<!\\)\]\(", text) == []

    def test_gives_every_row_the_cells_of_its_head(self) -> None:
        """No word of the target opens another column."""
        text = markdown.render(sheet(nasty()))
        tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
        counts = [{len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()} for table in tables]

        assert [len(found) for found in counts] == [1] * len(tables)

    def test_stays_below_what_github_shows(self) -> None:
        """GitHub drops a summary above 1 MiB whole."""
        facts = replace(
            FACTS, target=replace(FACTS.target, settings={f"NAME_{n}": "é" * 200 for n in range(9000)})
        )
        text = markdown.render(sheet(document(facts=facts)))

        assert 800_000 < len(text.encode()) < 1 << 20
        assert text.endswith("\nCut here; the rest is in report.html.\n")


class TestJunit:
    def cases(self, made: Document) -> dict[str, list[type]]:
        """Name of each case -> kinds of its results."""
        xml = JUnitXml.fromstring(junit.render(made))
        return {str(case.name): [type(result) for result in case.result] for suite in xml for case in suite}

    def test_good_run(self) -> None:
        assert self.cases(document()) == {
            "chat_ws: DONE": [],
            "first_token_timeout: ERROR(first_token_timeout)": [],
            "the run as a whole": [],
        }

    def test_red_run(self) -> None:
        assert self.cases(red())["chat_ws: DONE"] == [Failure]

    def test_run_that_cannot_tell(self) -> None:
        missing = replace(INVALID, scenario="feedback")

        assert self.cases(document(empty=True, findings=(INVALID, missing))) == {
            "feedback: no stream": [Error],
            "INVALID 1": [Error],
        }

    def test_counts(self) -> None:
        xml = JUnitXml.fromstring(junit.render(document(findings=(BROKEN, INVALID))))

        assert (xml.tests, xml.failures, xml.errors) == (3, 1, 1)

    def test_is_well_formed_whatever_the_target_says(self) -> None:
        xml = JUnitXml.fromstring(junit.render(nasty()))

        assert xml.failures == 1


class TestConsole:
    def test_begins_with_the_verdict_then_one_line_a_finding(self) -> None:
        lines = shown(red()).splitlines()

        assert lines[0] == "BEHAVIOUR  an outcome that nobody declared, or a broken stream (exit code 1)"
        assert lines[1] == (
            "BEHAVIOUR chat_ws: 1 of 1000 streams ended BROKEN(loss), declared is DONE"
            "  again: locust -f locustfile.py --headless --scenario chat_ws --seed 7"
            "  frames: reports/run/findings/exe_1.ndjson"
        )

    def test_is_plain_without_a_terminal(self) -> None:
        assert "\x1b" not in shown(red())

    @pytest.mark.parametrize(("variable", "plain"), [("1", True), ("", False)])
    def test_obeys_no_color_in_a_terminal(self, variable: str, plain: bool) -> None:
        """A terminal of 80 columns: without colours, and no line of a table is broken."""
        command = [sys.executable, "-c", "from integration.instrument.documents import show_red; show_red()"]
        written = in_terminal(command, {"NO_COLOR": variable, "TERM": "xterm"}, columns=80)

        assert ("\x1b" not in written) is plain
        assert re.search(r"ttft +1,000 +78\.9 +119 +124 +128 +129", written) is not None

    def test_names_unit_count_and_accuracy(self) -> None:
        text = shown(document())

        assert re.search(r"^figure .* n +p50, ms +p90, ms +p95, ms +p99, ms +max, ms$", text, re.MULTILINE)
        assert re.search(r"^ttft .* 1,000 +78\.9 +119 +124 +128 +129$", text, re.MULTILINE)
        assert "kernel: ±0.1 ms (resolved 99.1 %)" in text

    def test_ends_with_the_place_of_the_report(self) -> None:
        assert shown(document()).endswith("report: reports/run/report.html\n")

    def test_lets_no_word_of_the_target_steer_the_terminal(self) -> None:
        assert "\x1b" not in shown(nasty())

    def test_keeps_a_line_one_line(self) -> None:
        assert printable("a\r\nb\x07c") == "a  b c"

    def test_progress(self, capsys: pytest.CaptureFixture[str]) -> None:
        """On stderr: stdout begins with the verdict."""
        ledger = Ledger(lambda _: None, run=measured(), outcomes=declared())
        show_progress(12.3, 50, ledger)
        captured = capsys.readouterr()

        assert captured.out == ""
        assert captured.err == (
            "  12 s  50 users  1,050 streams  slowest first text 9,999 ms"
            "  2 kinds of error reached  1 undeclared\n"
        )


class TestSheet:
    def test_a_figure_without_a_sample_is_left_out_but_the_headline(self) -> None:
        rows = self.table(sheet(document(empty=True)), "Latency").rows

        assert [row.cells[0] for row in rows] == ["ttft", "gap", "total"]

    def test_few_samples_are_marked(self) -> None:
        """Ten samples have three beyond their median, not beyond their p90."""
        told = sheet(document())
        row = next(
            row for row in self.table(told, "Whole streams").rows if row.cells[0] == "first_token_timeout"
        )

        assert row.cells[1:7] == ("10", "1,510", "~1,510", "~1,510", "~1,510", "1,510")

    def test_bounds_are_shown_as_a_range(self) -> None:
        late = build(replace(FACTS, late_budget_ns=1), measured(), declared(), judge(()))
        row = self.table(sheet(late), "Gaps").rows[0]

        assert row.cells[-2] == "20.0 … 22.0"

    def table(self, told: Sheet, title: str) -> Table:
        return next(table for table in told.tables if table.title.startswith(title))
