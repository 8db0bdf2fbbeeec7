"""load/verdict/gates.py: are enough lines covered?"""

from __future__ import annotations

import pytest

from load.verdict.gates import Miss, missed, shown

LINES = {
    "shop/__main__.py": (0, 10),
    "shop/api/a.py": (10, 10),
    "shop/api/b.py": (8, 10),
    "shop/empty.py": (0, 0),
    "shop/migrations/0001.py": (0, 5),
}


@pytest.mark.parametrize(
    ("minimum", "expected"),
    [
        ({"shop/api/": 90}, ()),  # 18 of 20: the folder as a whole, not each file
        ({"shop/api/": 90.1}, (Miss("shop/api/", 90.1, 90.0),)),
        ({"shop/api/b.py": 80}, ()),
        ({"shop/api/b.py": 81}, (Miss("shop/api/b.py", 81, 80.0),)),
        ({"shop/api/b": 10}, (Miss("shop/api/b", 10, None),)),  # a name is no prefix
        ({"shop/ap": 10}, (Miss("shop/ap", 10, None),)),
        ({"shop/renamed.py": 0}, (Miss("shop/renamed.py", 0, None),)),  # absent fails at any minimum
        ({"shop/gone/": 0}, (Miss("shop/gone/", 0, None),)),
        ({"shop/empty.py": 100}, ()),  # nothing in it can run
        ({"*": 80}, ()),
        ({"*": 85}, (Miss("shop/api/b.py", 85, 80.0),)),
        ({"shop/api/": 95, "*": 85}, (Miss("shop/api/", 95, 90.0), Miss("shop/api/b.py", 85, 80.0))),
        ({}, ()),
    ],
)
def test_a_minimum_holds_or_names_what_missed_it(
    minimum: dict[str, float], expected: tuple[Miss, ...]
) -> None:
    """Folders, files, and each file but `__main__.py` and migrations."""
    assert expected == missed(minimum, LINES, LINES)


def test_a_source_without_data_is_a_miss() -> None:
    """Neither 0 % nor passed over; exempt ones stay exempt."""
    sources = [*LINES, "shop/new.py", "shop/migrations/0002.py"]

    assert missed({"*": 75}, LINES, sources) == (Miss("shop/new.py", 75, None),)


def test_without_any_data_everything_is_missed() -> None:
    """No data is never a pass."""
    assert missed({"shop/": 1, "*": 0}, {}, ["shop/a.py"]) == (
        Miss("shop/", 1, None),
        Miss("shop/a.py", 0, None),
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0, "0 %"),
        (0.01, "0.1 %"),
        (89.999, "89.9 %"),
        (99.999, "99.9 %"),
        (100.0, "100 %"),
    ],
)
def test_a_percentage_is_never_flattered(value: float, expected: str) -> None:
    """0 and 100 only when exactly so, and a miss never looks reached."""
    assert expected == shown(value)


def test_a_miss_is_one_line() -> None:
    """With the figure, or that there is none."""
    assert str(Miss("shop/api/", 90, 89.99)) == "shop/api/ 89.9 % < 90 %"
    assert str(Miss("shop/a.py", 75, None)) == "shop/a.py is not in the coverage data (minimum 75 %)"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("shop/web/a.py", "shop/api/a.py"),  # moved
        ("shop/api/bb.py", "shop/api/b.py"),  # renamed in its folder
        ("shop/api/payments.py", None),
    ],
)
def test_a_file_that_was_renamed_is_named_with_what_it_may_be_now(name: str, expected: str | None) -> None:
    """Its minimum is missed, and the reader sees both names."""
    (miss,) = missed({name: 10}, LINES, LINES)

    assert miss.perhaps == expected
    if expected:
        assert str(miss).startswith(name)
        assert str(miss).endswith(f"was it renamed to {expected}?")
