"""Mutants are one change each, at the place they say, and leave the rest of the text alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from integration.mutate.draw import drawn
from integration.mutate.ledger import Ledger, entry_of
from integration.mutate.operators import mutations
from integration.mutate.reaching import Reaching
from integration.mutate.report import Share, killed, survivors, table
from load.metrics.paths import Hit, PathPart
from load.target.sites import scan

HANDLER = """\
def take(box):
    try:
        return box.open()
    except KeyError as error:  # L1
        box.log(error)
        raise Problem(ErrorCode.NOT_FOUND, status=410) from error
"""


def changes(source: str) -> list[tuple[str, int, str, str]]:
    return [(one.operator, one.line, one.before, one.after) for one in mutations(source, "shop/box.py")]


def test_a_handler_and_its_raise() -> None:
    """The handler as a whole, the raise alone, its code, its status."""
    assert changes(HANDLER) == [
        (
            "handler emptied",
            5,
            "box.log(error)\n        raise Problem(ErrorCode.NOT_FOUND, status=410) from error",
            "pass",
        ),
        ("raise removed", 6, "raise Problem(ErrorCode.NOT_FOUND, status=410) from error", "pass"),
        ("code changed", 6, "ErrorCode.NOT_FOUND", "ErrorCode.RESUME_NOT_FOUND"),
        ("status changed", 6, "410", "411"),
    ]


def test_the_rest_of_the_text_stays() -> None:
    """Comments, blank lines and letters of several bytes are as they were."""
    source = "def f(é):\n\n    if 'é': raise ValueError('é')  # L4 ö\n    return é\n"

    (one,) = mutations(source, "shop/box.py")

    assert one.source == "def f(é):\n\n    if 'é': pass  # L4 ö\n    return é\n"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("with anyio.fail_after(a + 1):\n    go()\n", ("limit doubled", 1, "a + 1", "2 * (a + 1)")),
        ("with anyio.move_on_after(delay=_S):\n    go()\n", ("limit doubled", 1, "_S", "2 * (_S)")),
        (
            "async def f():\n    await asyncio.wait_for(go(), 3)\n",
            ("limit doubled", 2, "3", "2 * (3)"),
        ),
        ("websocket.close(1011)\n", ("close code changed", 1, "1011", "1012")),
        ("websocket.close(code=_A or 4400)\n", ("close code changed", 1, "_A or 4400", "(_A or 4400) + 1")),
        ("Response(b'', status_code=404)\n", ("status changed", 1, "404", "405")),
        ("Response(b'', a.b or 500)\n", ("status changed", 1, "a.b or 500", "(a.b or 500) + 1")),
        ("try:\n    go()\nfinally:\n    a()\n    b()\n", ("cleanup skipped", 4, "a()\n    b()", "pass")),
        (
            "class A:\n    def __exit__(self, *_):\n        self.close()\n",
            ("cleanup skipped", 3, "self.close()", "pass"),
        ),
        (
            "with contextlib.suppress(KeyError, OSError):\n    go()\n",
            ("no longer caught", 1, "KeyError, OSError", ""),
        ),
    ],
)  # fmt: skip
def test_what_is_done_to_a_site(source: str, expected: tuple[str, int, str, str]) -> None:
    """One operator for each of these."""
    assert changes(source) == [expected]


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    go()\nexcept KeyError:\n    pass\n",
        "try:\n    go()\nfinally:\n    pass\n",
        "def f():\n    try:\n        go()\n    except KeyError:\n        return\n",
        "for a in b:\n    if a:\n        try:\n            c()\n        except A:\n            continue\n",
        "with anyio.fail_after(None) as clock:\n    go()\n",
        "with asyncio.timeout_at(when):\n    go()\n",
        "with contextlib.suppress():\n    go()\n",
    ],
)
def test_what_would_change_nothing_is_left_out(source: str) -> None:
    """A body that does nothing, a turn that ends anyway, a clock without a limit at its place."""
    assert changes(source) == []


@pytest.mark.parametrize(
    "source",
    [
        "def f():\n    try:\n        go()\n    except KeyError:\n        return\n    more()\n",
        "def f():\n    try:\n        go()\n    except KeyError:\n        return 0\n",
        "for a in b:\n    try:\n        c()\n    except A:\n        continue\n    finally:\n        d()\n",
        "while go():\n    try:\n        go()\n    except KeyError:\n        continue\n    more()\n",
    ],
)
def test_what_may_change_something_stays(source: str) -> None:
    """Something follows, or a value is given back, or nobody proved that it is the same."""
    assert changes(source)[0][0] == "handler emptied"


def test_a_handler_of_one_raise_is_one_mutant() -> None:
    """To empty it is to remove the raise."""
    source = "try:\n    go()\nexcept KeyError:\n    raise ValueError from None\n"

    assert [one[0] for one in changes(source)] == ["raise removed"]


def test_a_seed_means_the_same_mutants(tmp_path: Path) -> None:
    """One a site; another seed draws others."""
    (tmp_path / "shop").mkdir()
    for name in "abcdefgh":
        (tmp_path / "shop" / f"{name}.py").write_text(HANDLER)

    first = drawn(tmp_path, "shop", 1, 5)

    assert drawn(tmp_path, "shop", 1, 5) == first
    assert drawn(tmp_path, "shop", 2, 5) != first
    assert len({one.site.id for one in first}) == 5


def part(name: str, *hits: tuple[str, str]) -> PathPart:
    return PathPart(
        name, "integration", "3.13", "sysmon", "", True, 0, 0, None, (), (),
        tuple(Hit(site, label, None, None, 1, 0, 1, 0) for site, label in hits),
    )  # fmt: skip


def test_tests_that_reached_a_site() -> None:
    """The closest first, then their neighbours; of what has no label, those that are named like it."""
    site, other, third = scan("raise KeyError  # L4\nraise KeyError\nraise KeyError\n", "shop/slots.py")
    tests = [
        "s/test_a.py::test_wide",
        "s/test_a.py::test_close",
        "s/test_b.py::test_start",
        "s/c.py::test_L4_x",
        "s/test_shop_bins.py::test_own",
    ]
    parts = [
        part("integration.1-subject", (site.id, f"test:{tests[0]}"), (other.id, f"test:{tests[0]}")),
        part("integration.2-subject", (site.id, f"test:{tests[1]}"), (site.id, "test:s/gone.py::test_gone")),
        part("integration.3-bad-file", (third.id, "-")),
    ]  # fmt: skip

    reaching = Reaching(parts, tests, {"s/test_b.py": 'start(f"bad-{kind}")'})

    assert reaching.of(site) == ["s/test_a.py::test_close", "s/test_a.py::test_wide", "s/c.py::test_L4_x"]
    assert reaching.of(other) == ["s/test_a.py::test_wide", "s/test_a.py::test_close"]
    assert reaching.of(third) == ["s/test_b.py::test_start"]
    assert Reaching([], tests, {}).of(site) == ["s/c.py::test_L4_x"]
    assert reaching.of(replace(third, file="shop/bins.py"))[0] == "s/test_shop_bins.py::test_own"


def test_the_ledger_goes_on_and_tries_survivors_again(tmp_path: Path) -> None:
    """A killed one stays killed; one that survived other tests is not known any more."""
    dead, alive, _, _ = mutations(HANDLER, "shop/box.py")
    ledger = Ledger(tmp_path / "mutate" / "known.jsonl")
    ledger.note(replace(entry_of(dead), tests_hash="a", killed_by="test_x", stage="reaching"))
    ledger.note(replace(entry_of(alive), tests_hash="a", stage="all"))

    again = Ledger(tmp_path / "mutate" / "known.jsonl")

    assert again.known(dead, "b").killed_by == "test_x"
    assert again.known(alive, "a").survived
    assert not again.known(alive, "b").tried


def test_survivors_are_listed_with_their_text() -> None:
    """Place, state in the map, what went and what came."""
    _, alive, _, _ = mutations(HANDLER, "shop/box.py")
    entry = replace(entry_of(alive), stage="all", seconds=90.0)

    assert list(table([entry], {entry.site: "both"})) == [
        "shop/box.py:6 raise removed                                [both] SURVIVED (90 s)"
    ]
    assert list(survivors([entry], {})) == [
        f"survived: shop/box.py:6 raise removed ({alive.site.id}, no map)",
        "  - raise Problem(ErrorCode.NOT_FOUND, status=410) from error",
        "  + pass",
    ]


def test_shares() -> None:
    """19 of 20 are enough for 95 %; none of none is not."""
    dead = replace(entry_of(mutations(HANDLER, "shop/box.py")[0]), stage="all", killed_by="test_x")

    assert not killed([dead] * 19 + [replace(dead, killed_by=None)]).missed
    assert killed([dead] * 18 + [replace(dead, killed_by=None)] * 2).missed
    assert Share(0, 0, 0.95).missed
