"""What cannot be done: one line, its own exit code, no traceback."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from integration.runs.locust import Ended, headless, over, running


def one_line(ended: Ended) -> str:
    """The only line it printed."""
    assert "Traceback" not in ended.out
    (line,) = ended.lines
    return line


def test_nobody_is_a_usage_error(tmp_path: Path) -> None:
    """`--users 0` would measure nothing and pass."""
    ended = headless("-u", "0", reports=tmp_path)

    assert one_line(ended) == "USAGE: --users 0: at least one user is needed"
    assert ended.code == 2


def test_a_broken_prompts_file_names_the_line(tmp_path: Path) -> None:
    """The file, the line and what is wrong with it."""
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text('{"message": "good"}\n{"message": \n')

    ended = headless("--prompts", str(prompts), reports=tmp_path / "reports")

    assert one_line(ended).startswith(f"USAGE: {prompts}, line 2: ")
    assert ended.code == 2


def test_a_port_where_nothing_listens_is_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--host` to nothing ends before the first user."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # bound, never listening: connections are refused
        port = reserved.getsockname()[1]
        ended = headless(
            "--host", f"http://127.0.0.1:{port}", "--token-env", "T", reports=tmp_path, env={"T": "sg_x"}
        )  # fmt: skip

    assert one_line(ended) == (
        f"TARGET_DOWN: --host http://127.0.0.1:{port}: nothing answers there (GET /api/agents);"
        " is the server running, and the token right?"
    )
    assert ended.code == 7


@pytest.mark.holds
@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["--scenari", "chat_ws"],
            "USAGE: unrecognized arguments: --scenari Did you mean '--scenario'?",
        ),
        (["--users", "many"], "USAGE: argument -u/--users: invalid int value: 'many'"),
        (["--scenario", "nobody"], "USAGE: --scenario nobody: unknown; there are "),
        (["--mix", "nobody=1"], "USAGE: --mix nobody: unknown; there are "),
        (
            ["--mix", "chat_ws"],
            "USAGE: --mix chat_ws: 'chat_ws' must read NAME=WEIGHT, for example chat_ws=70",
        ),
        (["--prompts", "{folder}/none"], "USAGE: --prompts {folder}/none: no such file"),
        (["--prompts", "{folder}/empty"], "USAGE: {folder}/empty: "),
        (["--app-dir", "{folder}/none"], "USAGE: --app-dir {folder}/none: no such folder"),
        (
            ["--reports", "{folder}/empty/reports"],
            "USAGE: --reports {folder}/empty/reports: cannot be written (Not a directory); name another",
        ),
    ],
)
def test_what_cannot_be_done_is_one_line_and_2(arguments: list[str], line: str, tmp_path: Path) -> None:
    """It names the option and what was given, and nothing is left behind."""
    (tmp_path / "empty").touch()
    given = [argument.replace("{folder}", str(tmp_path)) for argument in arguments]

    ended = headless(*given, reports=tmp_path / "reports")

    assert one_line(ended).startswith(line.replace("{folder}", str(tmp_path)))
    assert ended.code == 2
    assert not list(tmp_path.glob("reports/*"))


@pytest.mark.holds
def test_a_web_port_in_use_is_a_usage_error(tmp_path: Path) -> None:
    """Locust alone would go on without its web UI."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with running("--web-host", "127.0.0.1", "--web-port", str(port), reports=tmp_path) as locust:
            ended = over(locust, tmp_path)

    assert one_line(ended) == f"USAGE: --web-port {port}: Address already in use; name another one"
    assert ended.code == 2


@pytest.mark.holds
def test_a_folder_without_a_backend_is_down_and_its_log_is_kept(tmp_path: Path) -> None:
    """The line names the file that says why, and the file is there."""
    (tmp_path / "tree").mkdir()

    ended = headless("--app-dir", str(tmp_path / "tree"), reports=tmp_path / "reports")

    (log,) = (tmp_path / "reports").glob("*/setup-1.log")
    assert one_line(ended) == (
        f"TARGET_DOWN: the set-up command `python -m backend migrate` ended with 1; the last line of {log}:"
        f" {log.read_text().splitlines()[-1]}"
    )
    assert ended.code == 7
