"""The measuring window in clean and rough parts."""

from __future__ import annotations

import math

import pytest

from load.metrics.run import CLEAN, RAMP, ROUGH
from load.scenarios.windows import Windows, planned

S = 1_000_000_000
FROM = 1000 * S


@pytest.mark.parametrize(
    ("at_s", "window", "rough_left_s", "next_rough_s"),
    [
        (-0.5, RAMP, 0.0, 0.5),
        (0.0, ROUGH, 7.0, 14.0),
        (6.5, ROUGH, 0.5, 7.5),
        (7.0, CLEAN, 0.0, 7.0),
        (13.75, CLEAN, 0.0, 0.25),
        (14.0, ROUGH, 7.0, 14.0),
    ],
)
def test_windows_alternate(at_s: float, window: str, rough_left_s: float, next_rough_s: float) -> None:
    """Each instant belongs to one; a border belongs to the window that begins there."""
    windows = Windows(FROM, 7 * S, (ROUGH, CLEAN))
    at = FROM + int(at_s * S)

    assert (windows.at(at), windows.rough_left_s(at), windows.next_rough_s(at)) == (
        window,
        rough_left_s,
        next_rough_s,
    )


@pytest.mark.parametrize(
    ("kinds", "gone_s"),
    [((ROUGH, CLEAN), [0, 0, 6, 7, 7, 13, 14]), ((CLEAN, ROUGH), [0, 0, 0, 1, 7, 7, 7]), ((CLEAN,), [0] * 7)],
    ids=["rough first", "clean first", "never rough"],
)
def test_rough_time_that_has_gone(kinds: tuple[str, ...], gone_s: list[float]) -> None:
    """It stands still in clean windows."""
    windows = Windows(FROM, 7 * S, kinds)

    assert [windows.rough_gone_s(FROM + at_s * S) for at_s in (-1, 0, 6, 8, 14, 20, 21)] == gone_s


@pytest.mark.parametrize(
    ("left_s", "length_s"),
    [
        (28.0, 7.0),
        (24.0, 12.0),  # no more than 12 s
        (24.5, 6.125),  # and then more than half of it
        (11.0, 5.5),
        (4.0, 3.0),  # no less than 3 s, and the last one is cut
        (60.0, 10.0),
        (None, 7.5),  # for ever
    ],
)
def test_as_many_clean_as_rough_windows_fill_the_run(left_s: float | None, length_s: float) -> None:
    windows = planned(FROM, left_s, 1, clean=True, rough=True)

    assert (windows.length_ns, windows.rough_s) == (length_s * S, 15.0 if left_s is None else left_s / 2)


def test_the_seed_says_which_comes_first() -> None:
    """Both occur, and the same seed gives the same."""
    first = [planned(FROM, 28.0, seed, clean=True, rough=True).kinds[0] for seed in range(20)]

    assert set(first) == {CLEAN, ROUGH}
    assert first == [planned(FROM, 28.0, seed, clean=True, rough=True).kinds[0] for seed in range(20)]


@pytest.mark.parametrize(("rough", "window", "left_s"), [(True, ROUGH, math.inf), (False, CLEAN, 0.0)])
def test_one_kind_of_user_alone_has_one_window(rough: bool, window: str, left_s: float) -> None:
    """Nothing alternates where nobody of the other kind comes."""
    windows = planned(FROM, 28.0, 1, clean=not rough, rough=rough)

    assert {windows.at(FROM + n * S) for n in range(100)} == {window}
    assert windows.rough_left_s(FROM + 50 * S) == left_s
    assert windows.next_rough_s(FROM) == math.inf
