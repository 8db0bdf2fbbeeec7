"""Somebody else's app, measured by a configuration file alone."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from integration.runs.locust import ROOT, Ended, headless

CONFIG = ROOT / "integration" / "elsewhere" / "streamgauge.toml"
EXPECTED = {
    "live": "DONE",
    "events": "DONE",
    "model_stalls": "ERROR(model_slow)",
    "model_busy": "ERROR(model_busy)",
    "model_breaks_off": "ERROR(model_gone)",
}
TRIED = 2
"""A stream of each dialect, before the first user comes."""

pytestmark = pytest.mark.holds


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """A dozen visitors; their tokens end after 6 s and are renewed at 80 % of that."""
    reports = tmp_path_factory.mktemp("reports")
    return headless(
        "--config", str(CONFIG), "-u", "12", "-r", "12", "-t", "16s", "--seed", "3", reports=reports
    )


def test_everything_ended_as_the_file_expects(run: Ended) -> None:
    """Ordinary answers and every failure of the model, over both wires, in the app's own words."""
    scenarios: dict[str, Any] = run.run["scenarios"]

    assert run.reasons == [], run.out
    assert {name: entry["expected"] for name, entry in scenarios.items()} == EXPECTED
    assert {name for name, entry in scenarios.items() if entry["unexpected"]} == set()


def test_what_clients_saw_is_what_the_app_stored(run: Ended) -> None:
    """Its own table of answers has as many of each outcome; what the end of the run cut off is known."""
    with closing(sqlite3.connect(run.folder / "scratch" / "helpdesk.db")) as database:
        stored = Counter(dict(database.execute("select outcome, count(*) from answers group by outcome")))
    seen = {name: entry["total"] for name, entry in run.run["scenarios"].items()}
    expected = Counter(
        given=seen["live"] + seen["events"] + TRIED,
        model_slow=seen["model_stalls"],
        model_busy=seen["model_busy"],
        model_gone=seen["model_breaks_off"],
    )

    assert expected - stored == Counter()
    assert (stored - expected).total() <= run.run["streams"]["unfinished"]


def test_the_providers_share_is_known(run: Ended) -> None:
    """The scripted provider's journal tells how long the app held each chunk, and its own delay of 30 ms."""
    figures = run.run["metrics"]["undisturbed"]

    assert figures["relay_ms"]["n"] > 500
    assert 28 <= figures["provider_ms"]["p50"] <= 60
    assert figures["backend_ttft_ms"]["p50"] <= figures["ttft_ms"]["p50"] - 28


def test_lines_of_the_app_are_covered_and_nothing_of_ours_is_told_of_its_users(run: Ended) -> None:
    """Its package has the name of our own; no token and no password is in what the run leaves."""
    assert "backend/tokens.py" in run.run["coverage"]["files"]
    assert run.run["target"]["settings"]["OPENAI_API_KEY"] == "…"
    for file in run.folder.rglob("*"):
        if file.is_file() and "scratch" not in file.parts:
            assert b"word-3" not in file.read_bytes(), file
            assert b"eyJhbGciOi" not in file.read_bytes(), file


def test_objectives_are_held_against_what_is_known(tmp_path: Path) -> None:
    """The model takes 30 ms to its first word, 20 ms from word to word: what contradicts that is missed."""
    asked = {
        "ttft_ms min > 29": "MET",
        "ttft_ms min < 20": "MISSED",
        "gap_ms{scenario=live} p50 > 15": "MET",
        "gap_ms{scenario=live} p50 < 10": "MISSED",
        "streams{scenario=events,state=DONE} share >= 1": "MET",
        "ttft_ms p99 < 60000": "UNDECIDED",
    }
    objectives = [word for text in asked for word in ("--objective", text)]
    run = headless("--config", str(CONFIG), "-u", "6", "-r", "6", "-t", "8s", *objectives, reports=tmp_path)

    assert {found["text"]: found["decision"] for found in run.run["objectives"]} == asked
    missed = [reason.split(": missed")[0] for reason in run.reasons if reason.startswith("OBJECTIVE")]
    assert missed == [
        "OBJECTIVE ttft_ms: ttft_ms min < 20",
        "OBJECTIVE live gap_ms: gap_ms{scenario=live} p50 < 10",
    ]


def test_a_refused_login_ends_the_run_before_it_begins(tmp_path: Path) -> None:
    """One line with the hook and what it said."""
    text = CONFIG.read_text().replace('users = "visitors.csv"', 'users = "strangers.csv"')
    (tmp_path / "hooks.py").write_text((CONFIG.parent / "hooks.py").read_text())
    (tmp_path / "strangers.csv").write_text("name,password\nnobody,nothing\n")
    (tmp_path / "streamgauge.toml").write_text(f'app_dir = "{CONFIG.parent}"\n{text}')
    run = headless(
        "--config", str(tmp_path / "streamgauge.toml"), "-u", "2", "-t", "3s", reports=tmp_path / "r"
    )

    assert run.code == 7
    assert run.lines[-1] == (
        "TARGET_DOWN: streamgauge.toml: auth: login = hooks.py:login refused account 0:"
        " HTTPError: HTTP Error 401: Unauthorized"
    )


@pytest.mark.parametrize(
    ("old", "new", "code", "said"),
    [
        ("backend.database migrate", "backend.database nothing", 7, "see app, setup, env and ready"),
        ('ready = "/up"', 'ready = "/down"\nready_timeout_s = 1', 7, "see app, setup, env and ready"),
        ('app = "backend.api:app"', 'app = "gone.api:app"', 7, "see app, setup, env and ready"),
        ('when = { op = "tok" }', 'when = { op = "word" }', 2, "see scenario, dialect and auth"),
        ("source =", "sources =", 2, ""),
    ],
    ids=["setup", "ready", "app", "mapping", "key"],
)
def test_a_wrong_configuration_is_one_line(tmp_path: Path, old: str, new: str, code: int, said: str) -> None:
    """The file, what is wrong, and the keys to look at; nobody comes."""
    for name in ("hooks.py", "visitors.csv"):
        (tmp_path / name).write_text((CONFIG.parent / name).read_text())
    text = CONFIG.read_text()
    assert old in text
    (tmp_path / "streamgauge.toml").write_text(f'app_dir = "{CONFIG.parent}"\n{text.replace(old, new)}')
    config = str(tmp_path / "streamgauge.toml")
    run = headless("--config", config, "-u", "2", "-t", "3s", reports=tmp_path / "r")

    kind = {2: "USAGE", 7: "TARGET_DOWN"}[code]
    assert run.code == code
    assert run.lines[-1].startswith(f"{kind}: streamgauge.toml: "), run.out
    assert run.lines[-1].endswith(f"({said})" if said else "workers"), run.out
    assert "Traceback" not in run.out
