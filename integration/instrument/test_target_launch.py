"""load/target/launch.py and inside.py: a target as a run starts it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from integration.timing import PATIENCE_S, eventually
from load.errors import TargetDown, UsageError
from load.target.config import ROOT, TargetConfig
from load.target.launch import Stopped, Target, last_save_of, launch, measured_command
from load.target.parts import find_parts, load_part
from load.target.pathparts import find_path_parts, read_path_part

APPS = Path(__file__).with_name("apps")
SHOP = TargetConfig("shop.api:app", APPS, ready="/ready")
CORE = "frames" if sys.version_info < (3, 12) else "sysmon"

Launch = Callable[..., Target]


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Launch]:
    """Launches into folders of their own below `tmp_path`; what a test leaves running is stopped."""
    targets: list[Target] = []

    def launched(config: TargetConfig = SHOP, folder: str = "a") -> Target:
        targets.append(launch(config, tmp_path / folder, "load"))
        return targets[-1]

    yield launched
    for target in targets:
        target.stop()


def get(target: Target, path: str) -> bytes:
    with urllib.request.urlopen(target.url + path, timeout=PATIENCE_S) as answer:
        body: bytes = answer.read()
        return body


def lines(target: Target) -> set[int]:
    return load_part(target.part).lines("shop/api.py")


def line_of(text: str) -> int:
    source = (APPS / "shop" / "api.py").read_text().splitlines()
    return 1 + next(number for number, line in enumerate(source) if text in line)


def test_a_target_is_measured_with_the_core_that_is_right_for_its_python(started: Launch) -> None:
    """What really runs is told, before the first user comes."""
    target = started()

    assert target.coverage.core == CORE
    assert target.coverage.mode == "lines"
    assert target.coverage.python == ".".join(map(str, sys.version_info[:3]))
    assert get(target, "/ready") == b"ok"


def test_a_drained_target_keeps_all_lines(started: Launch, tmp_path: Path) -> None:
    """Also those of a request that the shutdown cancels, and what it reached by that."""
    target = started()
    holding = threading.Thread(target=hold, args=(target,))
    holding.start()
    eventually(lambda: "holding" in target.tail(5), "the request")

    stopped = target.stop()
    holding.join(PATIENCE_S)

    assert (stopped.returncode, stopped.forced, stopped.coverage_kept) == (0, False, "complete")
    assert line_of("the line of a shutdown") in lines(target)
    assert line_of("return 1") not in lines(target)
    (path,) = find_path_parts(tmp_path / "a")
    (hit,) = [hit for hit in read_path_part(path).hits if "hold::cleanup:finally" in hit.site]
    assert (hit.exception, hit.code, hit.count, hit.after_stop) == ("CancelledError", "cancel", 1, 1)


def test_an_interrupted_target_keeps_all_lines(started: Launch) -> None:
    """SIGINT is as good as SIGTERM."""
    target = started()
    os.kill(target.pid, signal.SIGINT)
    death = eventually(target.death, "the end")

    assert death is not None
    assert death.returncode == 0
    assert target.stop().coverage_kept == "complete"
    assert line_of("lifespan.shutdown.complete") in lines(target)


def hold(target: Target) -> None:
    with pytest.raises(OSError, match=r".*"):
        get(target, "/hold")


def test_lines_after_a_cancelled_task_are_kept(started: Launch) -> None:
    """Python 3.11 tells tracers of no call there: its own core has to make up for it."""
    target = started()
    get(target, "/cancel")
    target.stop()

    wanted = {line_of("ended = True"), line_of("assert ended"), line_of('after = b"cancelled"')}
    assert wanted <= lines(target)


def test_a_killed_target_keeps_its_last_save(started: Launch) -> None:
    """Only what came after is lost, and the end of the run says so."""
    target = started()
    eventually(last_save_of(target.part).exists, "the first save")
    os.kill(target.pid, signal.SIGKILL)
    death = eventually(target.death, "the death")

    assert "(SIGKILL)" in str(death)
    assert target.stop().coverage_kept == "last save"
    assert line_of('b"ok"') in lines(target)


def test_stop_may_be_called_again(started: Launch) -> None:
    """It says the same."""
    target = started()
    stopped = target.stop()

    assert stopped == target.stop()
    assert stopped == Stopped(0, None, stopped.took_s, forced=False, coverage_kept="complete")
    assert target.death() is None


def test_several_targets_run_at_once(started: Launch) -> None:
    """Own ports, folders, data."""
    first, second = started(folder="a"), started(folder="b")

    assert first.url != second.url
    assert get(first, "/ready") == get(second, "/ready") == b"ok"
    assert first.stop().coverage_kept == second.stop().coverage_kept == "complete"


def test_without_coverage_nothing_is_recorded(started: Launch) -> None:
    """The target says so."""
    target = started(replace(SHOP, coverage="off"))

    assert (target.coverage.core, target.coverage.mode) == ("-", "off")
    assert target.stop().coverage_kept == "off"
    assert not target.part.exists()


def test_branches_take_the_c_tracer(started: Launch) -> None:
    """On every Python."""
    target = started(replace(SHOP, coverage="branch"))

    assert (target.coverage.core, target.coverage.mode) == ("ctrace", "branch")


def test_a_factory_is_called(started: Launch) -> None:
    """A function without required parameters, with or without brackets in its name."""
    assert get(started(replace(SHOP, app="shop.api:make"), "a"), "/ready") == b"ok"
    assert get(started(replace(SHOP, app="shop.api:make()"), "b"), "/ready") == b"ok"


def test_the_environment_is_the_configured_one(started: Launch, monkeypatch: pytest.MonkeyPatch) -> None:
    """`{scratch}` is a folder of this launch; inherited variables with a dropped prefix are not seen."""
    monkeypatch.setenv("SHOP_INHERITED", "1")
    monkeypatch.setenv("COVERAGE_CORE", "pytrace")
    target = started(replace(SHOP, env={"SHOP_DATA": "{scratch}/data"}, drop_env=("SHOP_",)))
    seen = get(target, "/environment").decode().split()

    assert [name for name in seen if name.startswith(("SHOP_", "COVERAGE_"))] == ["SHOP_DATA"]
    assert target.env["SHOP_DATA"] == f"{target.scratch}/data"


def test_set_up_commands_run_first(started: Launch) -> None:
    """Their output is handed on, in order."""
    setup = (
        ("python", "-c", "print('one')"),
        ("python", "-c", "import sys; print(sys.argv[1])", "{scratch}"),
    )
    target = started(replace(SHOP, setup=setup))

    assert target.setup_output == ("one\n", f"{target.scratch}\n")


def test_a_failing_set_up_command_is_one_line(started: Launch, tmp_path: Path) -> None:
    """Nothing is started then."""
    config = replace(SHOP, setup=(("python", "-c", "import sys; sys.exit('no disk')"),))

    with pytest.raises(TargetDown) as down:
        started(config)

    command = "python -c import sys; sys.exit('no disk')"
    log = tmp_path / "a" / "setup-1.log"
    expected = f"the set-up command `{command}` ended with 1; the last line of {log}: no disk"
    assert expected == str(down.value)


def test_an_app_that_cannot_be_imported_is_down(started: Launch) -> None:
    """The last line of its traceback tells."""
    with pytest.raises(TargetDown, match=r"RuntimeError: the shop is closed$"):
        started(replace(SHOP, app="shop.broken:app"))


def test_a_target_that_never_answers_its_ready_path_is_down(started: Launch) -> None:
    """What it answered instead is told, and it is stopped."""
    with pytest.raises(TargetDown, match=r"the target answered GET /nothing with 404 for 4 s"):
        # Most of it is there for the start on a busy machine.
        started(replace(SHOP, ready="/nothing", ready_timeout_s=4.0))


@pytest.mark.parametrize(
    ("config", "line"),
    [
        (replace(SHOP, app="shop.api:sell"), "shop.api has no attribute sell (asked for shop.api:sell)"),
        (
            replace(SHOP, source=("stock",)),
            f"there is no package stock to measure in {APPS}; see --cov-source",
        ),
        (
            replace(SHOP, app_dir=Path("/nowhere")),
            "there is no folder /nowhere to start the target from; see --app-dir",
        ),
        (
            replace(SHOP, workers=2),
            "2 workers cannot be covered: that needs one process; use --coverage off",
        ),
        (
            replace(SHOP, workers=2, coverage="off", server="shop.api:make"),
            "2 workers are uvicorn's, and shop.api:make is another server",
        ),
    ],
    ids=["attribute", "source", "folder", "workers", "server"],
)
def test_what_cannot_be_done_is_a_usage_error(started: Launch, config: TargetConfig, line: str) -> None:
    """One line says what and why."""
    with pytest.raises(UsageError) as usage:
        started(config)

    assert line == str(usage.value)


def test_several_workers_serve_without_coverage(started: Launch) -> None:
    """Each in a process of its own; all of them end."""
    target = started(replace(SHOP, workers=2, coverage="off"))
    supervisor = psutil.Process(target.pid)

    def workers() -> list[psutil.Process]:
        family = supervisor.children(recursive=True)
        return [one for one in family if "spawn_main" in " ".join(one.cmdline())]

    eventually(lambda: len(workers()) == 2, "the second worker")
    family = [supervisor, *workers()]
    assert get(target, "/ready") == b"ok"
    target.stop()
    eventually(lambda: not any(map(is_alive, family)), "their end")


def is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_a_target_ends_with_its_parent(tmp_path: Path) -> None:
    """Even when the parent is killed, and a process that it forked still holds the pipe."""
    program = f"""
import os, sys, time
from pathlib import Path
from load.target.config import TargetConfig
from load.target.launch import launch
config = TargetConfig("shop.api:app", Path({str(APPS)!r}), ready="/ready")
target = launch(config, Path({str(tmp_path)!r}), "load")
forked = os.fork()
if forked == 0:
    time.sleep(3600)
print(target.pid, forked, flush=True)
time.sleep(3600)
"""
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    target, forked = (psutil.Process(int(pid)) for pid in parent.stdout.readline().split())
    parent.kill()
    parent.wait(PATIENCE_S)
    try:
        eventually(lambda: ended(target), "the end of the target", within_s=2 * PATIENCE_S)
    finally:
        forked.kill()
        parent.stdout.close()


def ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_a_command_is_measured_like_a_server(tmp_path: Path) -> None:
    """Its exit code, arguments and output are its own."""
    (tmp_path / "tool.py").write_text("import sys\nprint(sys.argv[1:])\nsys.exit(len(sys.argv))\n")
    config = TargetConfig("tool:none", tmp_path)
    command = measured_command(config, tmp_path, "integration", "tool", "a", "b")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)

    assert (done.returncode, done.stdout, done.stderr) == (3, "['a', 'b']\n", "")
    (part,) = find_parts(tmp_path)
    assert load_part(part).lines("tool.py") == {1, 2, 3}


def test_a_command_is_told_its_port_and_asked_until_it_answers(tmp_path: Path) -> None:
    """What Python cannot import is started by its own words; no line of it is measured."""
    (tmp_path / "app").mkdir()
    words = (sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "{port}")
    target = launch(
        TargetConfig("", tmp_path / "app", command=words, coverage="off"), tmp_path / "run", "load"
    )

    try:
        with urllib.request.urlopen(f"{target.url}/") as answer:
            assert answer.status == 200
        assert (target.part.exists(), target.coverage.mode) == (False, "off")
    finally:
        stopped = target.stop()
    assert (stopped.signal, stopped.coverage_kept) == ("SIGTERM", "off")


def test_a_command_that_never_answers_is_down(tmp_path: Path) -> None:
    """The path that was asked and what it said."""
    words = (sys.executable, "-c", "import time; time.sleep(60)")
    config = TargetConfig("", tmp_path, command=words, ready="/up", ready_timeout_s=0.5, coverage="off")

    with pytest.raises(
        TargetDown, match=r"^the target answered GET /up with ConnectionRefusedError for 0.5 s"
    ):
        launch(config, tmp_path / "run", "load")


def test_places_are_filled_in_environment_and_setup(tmp_path: Path) -> None:
    """The scripted provider's address reaches the app as the configuration says."""
    words = (sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "{port}")
    setup = (("python", "-c", "import os; print(os.environ['BASE'])"),)
    config = TargetConfig(
        "", tmp_path, command=words, env={"BASE": "{upstream}/v1"}, setup=setup, coverage="off"
    )
    target = launch(config, tmp_path / "run", "load", {"upstream": "http://127.0.0.1:9"})
    target.stop()

    assert target.setup_output == ("http://127.0.0.1:9/v1\n",)
