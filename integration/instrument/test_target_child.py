"""load/target/child.py: any process of ours."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from integration.timing import MS, PATIENCE_S, eventually
from load.errors import TargetDown
from load.target.child import Child

READY = 'print(\'{"listening": "http://127.0.0.1:1"}\', flush=True)'
WAIT = "import sys; sys.stdin.read()"

Start = Callable[..., Child]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts `python -c program`; what a test leaves running is stopped."""
    children: list[Child] = []

    def started(*program: str, name: str = "the child") -> Child:
        log = tmp_path / f"{len(children)}.log"
        argv = [sys.executable, "-c", "\n".join(program)]
        children.append(Child(name, argv, log=log, cwd=tmp_path, env=os.environ))
        return children[-1]

    yield started
    for child in children:
        child.stop(timeout_s=PATIENCE_S)


def test_the_ready_line_is_found_among_others(start: Start) -> None:
    """Lines of standard error and JSON that says something else come before it."""
    child = start("import sys", "print('{\"level\": 1}')", "print('{broken', file=sys.stderr)", READY, WAIT)

    assert child.ready_line(PATIENCE_S) == {"listening": "http://127.0.0.1:1"}


def test_a_child_that_ends_first_is_down_with_its_last_line(start: Start, tmp_path: Path) -> None:
    """The error is one line; its notes are the end of the log."""
    child = start("import sys", "print('one')", "sys.exit('two')")

    with pytest.raises(TargetDown) as down:
        child.ready_line(PATIENCE_S)

    expected = f"the child ended (exit code 1) before it was ready; the last line of {tmp_path}/0.log: two"
    assert expected == str(down.value)
    assert down.value.__notes__ == ["one", "two"]


def test_a_child_that_says_nothing_is_down_after_the_time(start: Start) -> None:
    """It is stopped then."""
    child = start(WAIT)

    with pytest.raises(TargetDown, match=r"the child did not say where it listens within 0\.2 s"):
        child.ready_line(0.2)

    assert not psutil.pid_exists(child.pid)


def test_a_program_that_is_not_there_is_down(tmp_path: Path) -> None:
    """One line names it."""
    with pytest.raises(TargetDown, match="the child cannot be started: /nowhere/python: No such file"):
        Child("the child", ["/nowhere/python"], log=tmp_path / "log", cwd=tmp_path, env={})


def test_a_killed_child_is_told_with_signal_and_time(start: Start) -> None:
    """The time counts from `mark_ready`, the last lines of the log come along."""
    child = start("print('last words', flush=True)", READY, WAIT, name="target")
    child.ready_line(PATIENCE_S)
    child.mark_ready()
    assert child.death() is None

    os.kill(child.pid, signal.SIGKILL)
    death = eventually(child.death, "the death")

    assert death is not None
    assert str(death) == f"target died {death.after_s:.1f} s into the run (SIGKILL)"
    assert death.log_tail[0] == "last words"
    assert 0 < death.after_s < PATIENCE_S


def test_a_death_before_a_stop_is_still_known_after_it(start: Start) -> None:
    """Nobody looked in time."""
    child = start(READY, WAIT)
    child.ready_line(PATIENCE_S)
    process = psutil.Process(child.pid)
    process.kill()
    eventually(lambda: process.status() == psutil.STATUS_ZOMBIE, "the end")

    child.stop()

    death = child.death()
    assert death is not None
    assert death.signal == "SIGKILL"


def test_stop_may_be_called_again(start: Start) -> None:
    """It says the same, also to threads that call at once, and a stop is no death."""
    child = start(READY, WAIT)
    child.ready_line(PATIENCE_S)
    seen = []
    threads = [threading.Thread(target=lambda: seen.append(child.stop())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)

    assert len(seen) == 4
    assert set(seen) == {child.stop()}
    assert child.stop().signal == "SIGTERM"
    assert child.death() is None


def test_a_child_that_ignores_signals_is_killed(start: Start) -> None:
    """SIGTERM, SIGINT, then SIGKILL."""
    ignore = "[signal.signal(s, signal.SIG_IGN) for s in (signal.SIGTERM, signal.SIGINT)]"
    child = start("import signal", ignore, READY, WAIT)
    child.ready_line(PATIENCE_S)

    ended = child.stop(timeout_s=100 * MS)

    assert (ended.signal, ended.forced) == ("SIGKILL", True)


def test_a_suspended_child_can_be_stopped(start: Start) -> None:
    """It is continued, so that it can obey."""
    child = start(READY, WAIT)
    child.ready_line(PATIENCE_S)
    os.kill(child.pid, signal.SIGSTOP)

    ended = child.stop(timeout_s=PATIENCE_S)

    assert (ended.signal, ended.forced) == ("SIGTERM", False)


def test_what_a_child_started_ends_with_it(start: Start) -> None:
    """The whole process group goes."""
    child = start(
        "import subprocess, sys",
        "inner = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(3600)'])",
        "print(inner.pid, flush=True)",
        READY,
        WAIT,
    )
    child.ready_line(PATIENCE_S)
    inner = psutil.Process(int(child.tail()[0]))

    child.stop()

    eventually(lambda: not inner.is_running() or inner.status() == psutil.STATUS_ZOMBIE, "its end")


def test_nothing_stays_behind(start: Start) -> None:
    """No descriptor, no thread, no zombie; one child at a time or two at once."""
    own = psutil.Process()
    start(READY, WAIT).stop()  # what the first use opens for good is not counted
    before = (own.num_fds(), threading.active_count(), len(own.children()))

    first, second = start(READY, WAIT), start(READY, WAIT)
    first.ready_line(PATIENCE_S)
    second.ready_line(PATIENCE_S)
    first.stop()
    second.stop()

    assert before == (own.num_fds(), threading.active_count(), len(own.children()))


def test_the_tail_is_this_childs_own(start: Start, tmp_path: Path) -> None:
    """A second lifetime in the same log neither reads the ready line nor the words of the first."""
    (tmp_path / "0.log").write_text('{"listening": "http://127.0.0.1:9"}\nold\n')
    child = start(READY, "print('new', flush=True)", WAIT)

    assert child.ready_line(PATIENCE_S) == {"listening": "http://127.0.0.1:1"}
    eventually(lambda: child.tail(1) == ("new",), "the line")
    assert child.tail() == ('{"listening": "http://127.0.0.1:1"}', "new")
