"""One process of ours: started in a session of its own, ready by a JSON line, stopped within a deadline.

The child's standard output and error go to one log file, so nothing here needs a thread or a pipe to
drain. Its standard input is a pipe that only we hold: a program of ours ends when that pipe closes, which
happens however this process ends.

Ready line: the first line of the log that is a JSON object with the key `listening`.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from load.errors import TargetDown

POLL_S = 0.02
FORCE_S = 3.0
"""How long the second signal may take before the process group is killed."""
TAIL_LINES = 20
TAIL_BYTES = 65_536
LINE_CHARS = 1_000
_EXCEPTION = re.compile(r"[A-Za-z_][\w.]*(Error|Exception|Exit)\b")


@dataclass(frozen=True, slots=True)
class Death:
    """A process that ended without being asked to."""

    name: str
    returncode: int
    """As `subprocess` gives it: negative for a signal."""
    signal: str | None
    after_s: float
    """Since it was ready; since its start if it never was."""
    was_ready: bool
    log_tail: tuple[str, ...]

    def __str__(self) -> str:
        how = self.signal or f"exit code {self.returncode}"
        when = f"{self.after_s:.1f} s into the run" if self.was_ready else "before it was ready"
        return f"{self.name} died {when} ({how})"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended that was asked to."""

    returncode: int
    signal: str | None
    took_s: float
    forced: bool
    """It did not obey the first signal in time."""


class Child:
    """A running process; every method may be called from any thread and more than once."""

    def __init__(
        self, name: str, argv: Sequence[str], *, log: Path, cwd: Path, env: Mapping[str, str]
    ) -> None:
        """Raises `TargetDown` when the program cannot be started at all."""
        self.name = name
        self.log = log
        self._lock = threading.Lock()
        self._ended: Ended | None = None
        self._death: Death | None = None
        self._ready_at: float | None = None
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as sink:
            self._log_start = sink.tell()
            try:
                self._process = subprocess.Popen(
                    list(argv),
                    stdin=subprocess.PIPE,
                    stdout=sink,
                    stderr=subprocess.STDOUT,
                    cwd=cwd,
                    env=dict(env),
                    start_new_session=True,
                )
            except OSError as error:
                reason = error.strerror or str(error)
                raise TargetDown(
                    f"{name} cannot be started: {error.filename or argv[0]}: {reason}"
                ) from error
        self._started_at = time.monotonic()

    @property
    def pid(self) -> int:
        return self._process.pid

    def ready_line(self, timeout_s: float) -> dict[str, object]:
        """What the child said when it began to listen.

        Raises `TargetDown` when it ends or the time passes first; the child is stopped then.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            # The order matters: a child that ends right after its line has still said it.
            alive = self._process.poll() is None
            line = self._find_ready_line()
            if line is not None:
                return line
            if not alive:
                raise self.down("ended")
            if time.monotonic() >= deadline:
                raise self.down(f"did not say where it listens within {timeout_s:g} s")
            time.sleep(POLL_S)

    def mark_ready(self) -> None:
        """From now on a death is told relative to this moment."""
        self._ready_at = time.monotonic()

    def down(self, what: str) -> TargetDown:
        """Stops the child; the error to raise, its notes hold the end of the log."""
        death = self.death()
        self.stop(timeout_s=1.0)
        tail = self.tail()
        if death is not None:
            what = f"ended ({death.signal or f'exit code {death.returncode}'}) before it was ready"
        error = TargetDown(f"{self.name} {what}; the last line of {self.log}: {telling(tail)}")
        for line in tail:
            error.add_note(line)
        return error

    def death(self) -> Death | None:
        """Not None once the process has ended without `stop`; the time is that of the first look."""
        with self._lock:
            return self._look()

    def stop(self, timeout_s: float = 15.0) -> Ended:
        """SIGTERM, after `timeout_s` SIGINT (uvicorn: leave at once), `FORCE_S` later SIGKILL."""
        with self._lock:
            if self._ended is None:
                self._look()
                self._ended = self._stop(timeout_s)
            return self._ended

    def tail(self, lines: int = TAIL_LINES) -> tuple[str, ...]:
        """The last lines of this child's part of the log; empty if it wrote none."""
        with self.log.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_start, size - TAIL_BYTES))
            text = log.read().decode("utf-8", errors="replace")
        return tuple(line[:LINE_CHARS] for line in text.splitlines()[-lines:])

    def _look(self) -> Death | None:
        if self._death is None and self._ended is None:
            returncode = self._process.poll()
            if returncode is not None:
                since = self._started_at if self._ready_at is None else self._ready_at
                self._death = Death(
                    name=self.name,
                    returncode=returncode,
                    signal=signal_name(returncode),
                    after_s=time.monotonic() - since,
                    was_ready=self._ready_at is not None,
                    log_tail=self.tail(),
                )
        return self._death

    def _stop(self, timeout_s: float) -> Ended:
        began = time.monotonic()
        forced = False
        if self._process.poll() is None:
            # A stopped (SIGSTOP) process would see the other signals only after it is continued.
            self._signal(signal.SIGTERM, signal.SIGCONT)
            if not self._wait(timeout_s):
                forced = True
                self._signal(signal.SIGINT)
                if not self._wait(FORCE_S):
                    self._signal_group(signal.SIGKILL)
        returncode = self._process.wait()
        # What it started itself must not outlive it.
        self._signal_group(signal.SIGKILL)
        if self._process.stdin is not None:
            self._process.stdin.close()
        return Ended(returncode, signal_name(returncode), time.monotonic() - began, forced)

    def _wait(self, timeout_s: float) -> bool:
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _signal(self, *numbers: signal.Signals) -> None:
        for number in numbers:
            self._process.send_signal(number)

    def _signal_group(self, number: signal.Signals) -> None:
        try:
            os.killpg(self._process.pid, number)
        except (ProcessLookupError, PermissionError):
            return  # the group is gone; macOS says EPERM when only zombies are left

    def _find_ready_line(self) -> dict[str, object] | None:
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            for raw in log:
                if raw.startswith(b"{") and raw.endswith(b"\n"):
                    try:
                        line = json.loads(raw)
                    except ValueError:
                        continue
                    if isinstance(line, dict) and isinstance(line.get("listening"), str):
                        return line
        return None


def telling(lines: Sequence[str]) -> str:
    """The last line that names an exception, behind which a program says only that it ends; else the last."""
    named = [line for line in lines if _EXCEPTION.match(line)]
    return (named or list(lines) or ["(nothing)"])[-1]


def signal_name(returncode: int) -> str | None:
    """`SIGKILL` for -9; None when it was not a signal."""
    if returncode >= 0:
        return None
    try:
        return signal.Signals(-returncode).name
    except ValueError:
        return f"signal {-returncode}"
