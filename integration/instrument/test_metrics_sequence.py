"""Numbers of frames: what is missing, doubled or late is named, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from load.metrics.sequence import LARGEST_HOLE, Sequence


def facts(numbers: list[int], first: int = 1, garbled: int = 0) -> tuple[int, int, int]:
    sequence = Sequence(first)
    sequence.garbled = garbled
    for number in numbers:
        sequence.take(number)
    return sequence.lost, sequence.duplicates, sequence.late


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([], (0, 0, 0)),
        ([1, 2, 3], (0, 0, 0)),
        ([2, 3], (1, 0, 0)),
        ([1, 3], (1, 0, 0)),
        ([1, 2, 2, 3], (0, 1, 0)),
        ([1, 3, 2], (0, 0, 1)),
        ([1, 4, 3], (1, 0, 1)),
        ([1, 3, 2, 2], (0, 1, 1)),
        ([0, 1], (0, 1, 0)),  # below the first there is no hole to fill
    ],
)
def test_facts(numbers: list[int], expected: tuple[int, int, int]) -> None:
    """(lost, duplicates, late) of short runs."""
    assert facts(numbers) == expected


def test_a_resumed_stream_begins_where_the_former_ended() -> None:
    """The first number is told."""
    assert facts([7, 8], first=7) == (0, 0, 0)


def test_a_garbled_frame_explains_one_missing_number() -> None:
    """Its number could not be read, but it came."""
    assert facts([1, 3, 5], garbled=1) == (1, 0, 0)


def test_a_wild_number_does_not_fill_the_memory() -> None:
    """A huge hole is kept as its size."""
    assert facts([1, 2 + LARGEST_HOLE + 1]) == (LARGEST_HOLE + 1, 0, 0)


@given(st.integers(1, 200), st.data())
def test_each_planted_fault_is_counted(length: int, data: st.DataObject) -> None:
    """Any numbers dropped and any others doubled, at random places."""
    fate = data.draw(st.lists(st.sampled_from(["keep", "drop", "double"]), min_size=length, max_size=length))
    numbers = [n for n, what in enumerate(fate, 1) for _ in range({"keep": 1, "drop": 0, "double": 2}[what])]

    assert facts([*numbers, length + 1]) == (fate.count("drop"), fate.count("double"), 0)


@given(st.integers(2, 200), st.data())
def test_each_swap_is_counted(length: int, data: st.DataObject) -> None:
    """Neighbours swapped at places that do not overlap."""
    numbers = list(range(1, length + 1))
    places = data.draw(st.sets(st.integers(0, length // 2 - 1)))
    for place in places:
        numbers[2 * place], numbers[2 * place + 1] = numbers[2 * place + 1], numbers[2 * place]

    assert facts(numbers) == (0, 0, len(places))
