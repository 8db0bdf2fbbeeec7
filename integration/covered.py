"""Pytest plugin: processes that tests start are measured, and their lines counted with this process's own.

`python -m integration` names the folder for what they leave in an environment variable and joins it
itself. Under `pytest --cov` the same data is handed to pytest-cov before it combines and reports. Without
either it goes to a temporary folder, and nobody reads it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from load.target.config import TargetConfig
from load.target.launch import Target, environment, launch, measured_command
from load.target.parts import export, find_parts
from load.target.recording import Recorder

FOLDER_VARIABLE = "STREAMGAUGE_INTEGRATION_FOLDER"
PHASE = "integration"


class Measured:
    """Starts subject processes; one folder below `folder` for each name."""

    def __init__(self, folder: Path, *, branch: bool) -> None:
        self.folder = folder
        self._branch = branch
        self._targets: list[Target] = []
        self._recorder: Recorder | None = None

    def launch(self, config: TargetConfig, name: str) -> Target:
        """A running target. The same name again, after a stop, finds the same scratch folder and database."""
        target = launch(self._adapted(config), self.folder / name, PHASE)
        self._targets.append(target)
        return target

    def run(
        self, config: TargetConfig, name: str, module: str, *args: str, timeout_s: float = 60.0, **env: str
    ) -> subprocess.CompletedProcess[str]:
        """`python -m module args…` to its end, in the environment of a target of that name."""
        config = replace(self._adapted(config), env={**config.env, **env})
        folder = self.folder / name
        return subprocess.run(
            measured_command(config, folder, PHASE, module, *args),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=config.app_dir,
            env=environment(config, folder),
            timeout=timeout_s,
            check=False,
        )

    def record_this_process(self, source: list[str], app_dir: Path) -> None:
        """Measures the lines of these packages that run here from now on."""
        folder = self.folder / "pytest" / "coverage"
        self._recorder = Recorder(
            phase=PHASE, folder=str(folder), app_dir=str(app_dir), source=source, mode="auto", asked=False
        )
        self._recorder.start()

    def stop(self) -> None:
        """Ends what still runs; afterwards all data is on the disk."""
        while self._targets:
            self._targets.pop().stop()
        if self._recorder is not None:
            self._recorder.finish()
            self._recorder = None

    def parts(self) -> tuple[Path, ...]:
        return tuple(part for child in sorted(self.folder.iterdir()) for part in find_parts(child))

    def _adapted(self, config: TargetConfig) -> TargetConfig:
        # Lines and branches cannot be joined: the children follow `--cov-branch`.
        return replace(config, coverage="branch") if self._branch else config


MEASURED = pytest.StashKey[Measured]()
TEMPORARY = pytest.StashKey[tempfile.TemporaryDirectory[str]]()


def pytest_configure(config: pytest.Config) -> None:
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder is None:
        config.stash[TEMPORARY] = tempfile.TemporaryDirectory(prefix="streamgauge-")
        folder = config.stash[TEMPORARY].name
    cov = cov_of(config)
    branch = cov is not None and bool(cov.get_option("run:branch"))
    measured = config.stash[MEASURED] = Measured(Path(folder), branch=branch)
    if cov is not None and not branch and sys.version_info < (3, 12):
        # What this process has imported so far is kept; from here on coverage's tracer would be wrong.
        cov.stop()
        measured.record_this_process(list(cov.get_option("run:source_pkgs")), config.rootpath)


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[MEASURED].stop()
    if TEMPORARY in config.stash:
        config.stash[TEMPORARY].cleanup()


@pytest.fixture(scope="session")
def measured(pytestconfig: pytest.Config) -> Iterator[Measured]:
    """Starts what the session tests as it is started for a load run."""
    yield pytestconfig.stash[MEASURED]
    pytestconfig.stash[MEASURED].stop()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Error paths that are reached in this process are labelled as those of the servers are."""
    probes = sys.modules.get("_streamgauge_probes")
    if probes is not None:
        probes.LABEL.set(f"test:{item.nodeid}")


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Innermost of the loop's wrappers: pytest-cov combines when its own, further out, goes on."""
    try:
        return (yield)
    finally:
        started = session.config.stash[MEASURED]
        cov = cov_of(session.config)
        if cov is not None:
            started.stop()  # a run that ends early (-x) has not torn down its session fixtures yet
            hand_over(started.parts(), Path(cov.get_option("run:data_file")).absolute())


def cov_of(config: pytest.Config) -> Any | None:
    """The `Coverage` of pytest-cov, when `--cov` was asked for."""
    plugin = config.pluginmanager.get_plugin("_cov")
    controller = None if plugin is None else plugin.cov_controller
    return None if controller is None else controller.cov


def hand_over(parts: tuple[Path, ...], data_file: Path) -> None:
    """Each part to where pytest-cov's combine finds it: beside its own, by the name of its data file."""
    for number, part in enumerate(parts):
        export(part, data_file.with_name(f"{data_file.name}.{part.name}.{number}"))
