"""A proposal for an app that nobody described: what is found, what is left to a person."""

from __future__ import annotations

import tomllib
from pathlib import Path
from shutil import copy

import pytest

from load.init import AGAIN, main

ELSEWHERE = Path(__file__).parents[1] / "elsewhere"
APPS = Path(__file__).with_name("apps")
SETTINGS = (
    *("--env", "HELPDESK_DB={scratch}/h.db", "--env", "OPENAI_BASE_URL={upstream}/v1"),
    *("--env", "OPENAI_API_KEY=x"),
    *("--setup", "python -m backend.database migrate", "--setup", "python -m backend.database seed 2"),
)
WHO = ("--login", "hooks.py:login", "--users", "visitors.csv")
MODEL = "sim:ttft=10,n=5,gap=5"


def proposed(folder: Path, *arguments: str) -> tuple[int, Path]:
    """Exit code and file."""
    for name in ("hooks.py", "visitors.csv"):
        copy(ELSEWHERE / name, folder)
    out = folder / "streamgauge.toml"
    return main(["backend.api:app", "--app-dir", str(ELSEWHERE), "--out", str(out), *arguments]), out


@pytest.mark.holds
def test_a_stream_is_tried_and_its_dialect_proposed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """With its settings and its login, somebody else's app needs no edit."""
    code, out = proposed(tmp_path, *SETTINGS, *WHO, "--model", MODEL)

    assert code == 0
    table = tomllib.loads(out.read_text())
    expected = tomllib.loads((ELSEWHERE / "streamgauge.toml").read_text())["dialect"]["events"]
    own = table["dialect"]["own"]
    assert own["request"] == expected["request"]
    assert own["event"][:3] == expected["event"][:3]
    assert (own["seq"], own["first_seq"]) == ("no", 0)
    said = capfd.readouterr().err
    assert "\nedit" not in said
    assert "WebSocket /v2/live: what it expects cannot be read" in said


@pytest.mark.holds
def test_what_cannot_be_guessed_is_an_edit(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Without a login no stream can be tried, and nobody knows the name of the model."""
    code, out = proposed(tmp_path, *SETTINGS)

    said = [line for line in capfd.readouterr().err.splitlines() if line.startswith("edit")]
    assert code == 0
    assert tomllib.loads(out.read_text())["scenario"][0]["model"] == "CHANGE-ME"
    assert said == [
        f"edit 1: POST /v2/answers answers 401: say in [auth] who asks ({AGAIN})",
        'edit 2: scenario chat: model = "CHANGE-ME" is what requests name as their model',
    ]


@pytest.mark.parametrize(
    ("app", "folder", "code", "said"),
    [
        ("plain.api:app", APPS, 2, "POST /chat answers in one piece (application/json): it does not stream"),
        (
            "shop.api:app",
            APPS,
            2,
            "shop.api:app: no POST path of its OpenAPI takes a message; describe it by hand",
        ),
        ("gone.api:app", APPS, 2, "there is no package gone to measure in"),
        pytest.param("backend.api:app", ELSEWHERE, 7, "openai.OpenAIError: ", marks=pytest.mark.holds),
    ],
)
def test_an_app_that_cannot_be_measured_is_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], app: str, folder: Path, code: int, said: str
) -> None:
    """It does not stream, takes no message, is not there, or does not start; nothing is written."""
    out = tmp_path / "streamgauge.toml"

    assert main([app, "--app-dir", str(folder), "--out", str(out)]) == code
    line = capfd.readouterr().err
    assert said in line
    assert line.count("\n") == 1
    assert not out.exists()


def test_a_file_that_is_there_is_kept(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Whoever wrote it may have edited it."""
    out = tmp_path / "streamgauge.toml"
    out.write_text("mine")

    assert main(["shop.api:app", "--out", str(out)]) == 2
    assert out.read_text() == "mine"
    assert capfd.readouterr().err == f"USAGE: --out {out}: it is there already; name another file\n"
