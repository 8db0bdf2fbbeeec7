"""What cannot be done: one line, its own exit code, no traceback."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from integration.runs.locust import Ended, headless


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
