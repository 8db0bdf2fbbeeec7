"""What else goes on while a block runs: pressure, steal, processor time, and how long fixed work takes.

Each look is cheap and reads files of /proc; where one is missing its value is None, never 0.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PRESSURE: Final = Path("/proc/pressure/cpu")
CANARY_TURNS: Final = 20_000
_TICK_NS: Final = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Look:
    """One moment. waited_ns: of CLOCK_MONOTONIC during which some task had to wait for a processor, so far.
    stolen_ns: taken by the hypervisor so far, over all processors. spent_ns: by each process asked for."""

    at_ns: int
    waited_ns: int | None
    stolen_ns: int | None
    spent_ns: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Noise:
    """Between two looks. psi, steal: shares of the time; steal of all processors together. spent_ns: as in
    `Look`, of processes that both looks know."""

    psi: float | None
    steal: float | None
    spent_ns: Mapping[int, int]


def look(pids: tuple[int, ...] = ()) -> Look:
    """How it stands now."""
    spent = {pid: ns for pid in pids if (ns := _spent_ns(pid)) is not None}
    return Look(time.perf_counter_ns(), _waited_ns(), _stolen_ns(), spent)


def between(before: Look, after: Look) -> Noise:
    """What happened from one look to the other."""
    took_ns = max(1, after.at_ns - before.at_ns)
    return Noise(
        _share(before.waited_ns, after.waited_ns, took_ns),
        _share(before.stolen_ns, after.stolen_ns, took_ns * (os.cpu_count() or 1)),
        {pid: after.spent_ns[pid] - ns for pid, ns in before.spent_ns.items() if pid in after.spent_ns},
    )


def canary_ns() -> int:
    """How long a fixed piece of work takes now; about a millisecond."""
    began = time.perf_counter_ns()
    total = 0
    for number in range(CANARY_TURNS):
        total += number
    return time.perf_counter_ns() - began


def _share(before: int | None, after: int | None, took_ns: int) -> float | None:
    return None if before is None or after is None else max(0.0, (after - before) / took_ns)


def _waited_ns() -> int | None:
    try:
        some = PRESSURE.read_text().splitlines()[0]
    except OSError:
        return None
    return int(some.rpartition("total=")[2]) * 1000


def _stolen_ns() -> int | None:
    try:
        with Path("/proc/stat").open() as stat:
            fields = stat.readline().split()
    except OSError:
        return None
    return int(fields[8]) * _TICK_NS if len(fields) > 8 else None


def _spent_ns(pid: int) -> int | None:
    """By a process, all its threads."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) * _TICK_NS
