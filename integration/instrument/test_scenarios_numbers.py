"""Numbers of users who come and go."""

from __future__ import annotations

from load.scenarios.numbers import Numbers


def test_a_number_that_was_given_back_comes_before_a_new_one() -> None:
    """The smallest first; it is known how many had it before."""
    numbers = Numbers()
    first = [next(numbers) for _ in range(3)]
    for number in (1, 0):
        numbers.give_back(number)

    assert first == [0, 1, 2]
    assert [next(numbers) for _ in range(3)] == [0, 1, 3]
    assert [numbers.former(number) for number in (0, 2)] == [1, 0]


def test_each_process_has_numbers_of_its_own() -> None:
    """The second of three."""
    numbers = Numbers(1, 3)

    assert [next(numbers) for _ in range(3)] == [1, 4, 7]
