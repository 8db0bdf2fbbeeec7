"""What is compared. A case with a patch has it in the working tree, so on the head side alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from integration.plant import PLANTS

EQUAL: Final = "equal"
AA, PLANTED, NOISY = "aa", "planted", "noisy"
SLOW_PACE: Final = "sim:ttft=25,n=12,gap=20,jit=.25,seed=msg"
"""A gap that is 15 % longer can be planted exactly where it is 20 ms, not where it is 5."""


@dataclass(frozen=True, slots=True)
class Case:
    """series: name of the file of its lines. wanted: comparisons. least: that many found, None where that is
    only told. within_s: found after so much load. breaks: found by a stream that ended otherwise than
    declared. model: of the provider, where it is not that of every comparison. busy: beside two busy loops
    for half of the time."""

    series: str
    name: str
    title: str
    wanted: int
    least: int | None = None
    within_s: float | None = None
    breaks: bool = False
    model: str | None = None
    busy: bool = False

    @property
    def patch(self) -> Path | None:
        """None where both trees are equal."""
        return None if self.name == EQUAL else PLANTS / "evidence" / f"{self.name}.patch"


def _defect(name: str, title: str) -> Case:
    return Case(PLANTED, name, title, 5)


CASES: Final = (
    Case(AA, EQUAL, "equal trees", 100),
    Case(PLANTED, "ttft_10", "first text 10 % later than the provider's 25 ms", 40, 38),
    Case(PLANTED, "ttft_20", "first text 20 % later", 20, 20, within_s=30.0),
    Case(PLANTED, "gap_15", "gaps of 20 ms 15 % longer, each chunk at its due time", 20, 16, model=SLOW_PACE),
    Case(PLANTED, "stall_1", "a stall of 100 ms in 1 % of the streams", 20, 16),
    Case(PLANTED, "on_work", "work per chunk that grows with the answer", 20, 19),
    Case(PLANTED, "lost_delta", "one of 1,000 delta frames is lost", 20, 20, breaks=True),
    Case(PLANTED, "wrong_code", "a wrong error code ends 1 % of the streams", 20, 20, breaks=True),
    _defect("extra_query", "an extra query before each run"),
    _defect("sync_io", "a file is written and synced on the event loop"),
    _defect("second_encode", "every frame is decoded and encoded once more"),
    _defect("long_lock", "one lock around the admission of everybody"),
    _defect("nagle", "TCP_NODELAY is lost"),
    _defect("n_plus_1", "a query for each of a user's last twenty runs"),
    _defect("cache_missed", "the cache of compiled queries never hits"),
    _defect("memory", "4 MB for each run, the last 48 of them kept"),
    Case(NOISY, EQUAL, "equal trees", 10, busy=True),
    Case(NOISY, "ttft_10", "first text 10 % later", 10, busy=True),
)
SERIES: Final = (AA, PLANTED, NOISY)


def of_series(series: str, cases: Iterable[Case] = CASES) -> tuple[Case, ...]:
    """In the order of the tables."""
    return tuple(case for case in cases if case.series == series)
