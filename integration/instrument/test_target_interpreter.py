"""The Python of a base whose lock of packages differs."""

from __future__ import annotations

import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

from load.errors import InvalidRun
from load.target.interpreter import LOCK, Packages, for_base

PYTHON = Path(sys.executable)
INSIDE = Path("src")
DIST_INFO = {
    "METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.5\n",
    "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "RECORD": "",
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where environments are kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "streamgauge"


def tree(folder: Path, **locks: str) -> Path:
    """A tree with a lock in its top folder (`top`) or beside the app (`beside`)."""
    (folder / INSIDE).mkdir(parents=True)
    for where, text in locks.items():
        (folder / (INSIDE if where == "beside" else "") / LOCK).write_text(text)
    return folder


def wheel(folder: Path) -> Path:
    """A package without anything in it, as pip installs it without asking anybody."""
    path = folder / "tiny-1.5-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in DIST_INFO.items():
            archive.writestr(f"tiny-1.5.dist-info/{name}", text)
    return path


@pytest.mark.parametrize(
    ("base", "head"),
    [
        ({}, {}),
        ({}, {"top": "a==1"}),  # base did not lock anything yet
        ({"top": "a==1"}, {"top": "a==1"}),
        ({"top": "a==1"}, {"beside": "a==1"}),  # it was moved
        ({"top": "a==1", "beside": "b==1"}, {"top": "a==2", "beside": "b==1"}),  # that beside the app counts
    ],
)
def test_the_same_packages_run_in_the_same_environment(
    base: dict[str, str], head: dict[str, str], tmp_path: Path, cache: Path
) -> None:
    """Nothing is made."""
    found = for_base(tree(tmp_path / "base", **base), tree(tmp_path / "head", **head), INSIDE, PYTHON)

    assert found == Packages(PYTHON, {})
    assert not cache.exists()


def test_an_environment_that_cannot_be_made_is_one_line(tmp_path: Path, cache: Path) -> None:
    """As with a Python that comes without `venv`; nothing of it is left."""
    bare = tmp_path / "python"
    bare.write_text(
        '#!/bin/sh\n[ "$1" = -c ] && echo 3.13 && exit 0\necho "No module named venv" >&2\nexit 1\n'
    )
    bare.chmod(0o755)
    base, head = tree(tmp_path / "base", top="a==1"), tree(tmp_path / "head", top="a==2")

    with pytest.raises(InvalidRun) as caught:
        for_base(base, head, INSIDE, bare)

    assert str(caught.value) == (
        "base_unusable: the environment of its requirements.lock was not made: No module named venv"
    )
    assert not list(cache.glob("*"))


@pytest.mark.holds
def test_another_lock_gets_an_environment_of_its_own_once(tmp_path: Path, cache: Path) -> None:
    """With its packages and no others; each difference is named."""
    lock = f"tiny @ {wheel(tmp_path).as_uri()}\n"
    base, head = tree(tmp_path / "base", top=lock), tree(tmp_path / "head", top="# none\n")

    found = for_base(base, head, INSIDE, PYTHON)

    (folder,) = cache.iterdir()
    assert found.python == folder / "bin" / "python"
    assert found.changed["tiny"] == ("1.5", None)
    assert found.changed["pytest"] == (None, version("pytest"))
    made = (folder / "complete").stat()
    assert for_base(base, head, INSIDE, PYTHON) == found
    assert (folder / "complete").stat() == made


@pytest.mark.holds
def test_a_package_that_cannot_be_installed_is_one_line(tmp_path: Path, cache: Path) -> None:
    """The next run begins anew."""
    base = tree(tmp_path / "base", top=f"tiny @ {(tmp_path / 'tiny-1.5-py3-none-any.whl').as_uri()}\n")
    head = tree(tmp_path / "head", top="# none\n")

    with pytest.raises(InvalidRun) as caught:
        for_base(base, head, INSIDE, PYTHON)

    prefix = "base_unusable: the environment of its requirements.lock was not made: ERROR: "
    assert str(caught.value).startswith(prefix)
    assert not list(cache.glob("*"))
