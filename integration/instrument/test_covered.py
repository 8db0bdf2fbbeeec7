"""integration/covered.py: `pytest --cov` shows what started processes ran."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from load.target.config import ROOT

APPS = Path(__file__).with_name("apps")

SETTINGS = """
[tool.coverage.run]
source_pkgs = ["shop"]
concurrency = ["thread", "greenlet"]
parallel = true
disable_warnings = ["no-data-collected", "module-not-measured", "module-not-imported"]
"""

TESTS = """
import asyncio
import urllib.request
from pathlib import Path
from load.target.config import TargetConfig

SHOP = TargetConfig("shop.api:app", Path(__file__).parent, ready="/ready")

def test_a_server(measured):
    target = measured.launch(SHOP, "server")
    with urllib.request.urlopen(target.url + "/cancel", timeout=10) as answer:
        assert answer.read() == b"cancelled"

def test_a_command(measured):
    done = measured.run(SHOP, "command", "shop.tool", "x", NAME="y")
    assert (done.returncode, done.stdout) == (4, "x y\\n")

def test_this_process():
    from shop import desk
    assert asyncio.run(desk.close()) == 2
"""

TOOL = """import os
import sys

print(sys.argv[1], os.environ["NAME"])
sys.exit(4)
print("never")
"""

DESK = """import asyncio

async def end(task):
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        told = 1
    return told + 1

async def close():
    task = asyncio.create_task(asyncio.sleep(3600))
    await asyncio.sleep(0)
    left = await end(task)
    return left

def never():
    return 3
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A project with an app, a command, and tests that use the plugin."""
    shutil.copytree(APPS / "shop", tmp_path / "shop", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "shop" / "tool.py").write_text(TOOL)
    (tmp_path / "shop" / "desk.py").write_text(DESK)
    (tmp_path / "pyproject.toml").write_text(SETTINGS)
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["integration.covered"]\n')
    (tmp_path / "test_shop.py").write_text(TESTS)
    return tmp_path


def missing(tree: Path, *options: str) -> dict[str, list[int]]:
    """The missing lines of each file, as `pytest --cov` reports them."""
    command = ["-m", "pytest", "-q", "-p", "no:locust", "--cov=shop", "--cov-report=json", *options]
    done = subprocess.run(
        [sys.executable, *command],
        cwd=tree,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tree / "coverage.json").read_text())
    return {name: entry["missing_lines"] for name, entry in report["files"].items()}


def test_lines_of_server_command_and_pytest_itself_are_counted(tree: Path) -> None:
    """Nothing lost behind the cancelled tasks, nothing invented, nothing of the instrument in it."""
    found = missing(tree)

    assert list(found) == [
        "shop/__init__.py",
        "shop/api.py",
        "shop/broken.py",
        "shop/desk.py",
        "shop/tool.py",
    ]
    assert found["shop/tool.py"] == [6]
    assert found["shop/desk.py"] == [18]
    api = (tree / "shop" / "api.py").read_text().splitlines()
    not_run = [api[line - 1].strip() for line in found["shop/api.py"]]
    assert not_run == [
        "return await hold()",
        'return 200, "\\n".join(sorted(os.environ)).encode()',
        'print("holding", flush=True)  # noqa: T201',
        "try:",
        "await asyncio.sleep(3600)",
        'held = "let go"  # the line of a shutdown',
        "return 200, held.encode()",
        "return app",
        "return 1",
    ]


@pytest.mark.holds
def test_branches_can_be_asked_for(tree: Path) -> None:
    """The started processes follow, or pytest-cov could not join the data."""
    found = missing(tree, "--cov-branch", "-k", "server or command")

    assert found["shop/tool.py"] == [6]
