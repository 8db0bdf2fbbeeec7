"""Whether all that workers measured has come."""

from __future__ import annotations

from load.verdict.crew import Crew


def crew(*names: str, expected: int = 2) -> Crew:
    made = Crew(expected, "code")
    for name in names:
        made.join(name)
    return made


def test_all_of_it() -> None:
    """Each report once, from each worker its last: nothing to say."""
    found = crew("a", "b")
    counted = [
        found.report(name, number, "code", final=number == 2) for number in range(3) for name in ("a", "b")
    ]

    assert (counted, found.waited_for, list(found.problems())) == ([True] * 6, [], [])


def test_a_report_that_comes_twice_counts_once() -> None:
    """As after a lost connection."""
    found = crew("a", expected=1)

    assert [found.report("a", number, "code", final=False) for number in (0, 0, 1)] == [True, False, True]


def test_a_lost_report() -> None:
    """What came behind it counts."""
    found = crew("a", expected=1)
    for number in (0, 3):
        assert found.report("a", number, "code", final=number == 3)

    assert list(found.problems()) == ["worker 0 (a): 2 of its reports were lost"]


def test_a_worker_without_a_last_report() -> None:
    """What it sent before is kept."""
    found = crew("a", "b")
    found.report("a", 0, "code", final=True)
    found.report("b", 0, "code", final=False)

    assert found.waited_for == ["b"]
    assert list(found.problems()) == [
        "worker 1 (b) sent no last report: it was killed or cut off; what its 1 reports hold is kept"
    ]


def test_a_worker_that_never_came() -> None:
    """One of two."""
    found = crew("a")
    found.report("a", 0, "code", final=True)

    assert list(found.problems()) == ["2 workers were expected, and 1 came"]


def test_more_than_were_expected() -> None:
    """Where a number was named; one is Locust's default."""
    found, unsaid = crew("a", "b", "c"), crew("a", "b", expected=1)
    for one in (found, unsaid):
        for name in one.members:
            one.report(name, 0, "code", final=True)

    assert list(found.problems()) == ["2 workers were expected, and 3 came: another run's?"]
    assert list(unsaid.problems()) == []


def test_a_late_worker_and_one_with_other_code() -> None:
    """Both are named."""
    found = crew("a", expected=1)
    found.join("b", late=True)
    found.report("a", 0, "other", final=True)
    found.report("b", 0, "code", final=True)

    assert list(found.problems()) == [
        "worker 0 (a) has other code or files than the master; start it from the same checkout",
        "worker 1 (b) came when the run had begun; start workers first, or say --expect-workers",
    ]


def test_a_foreign_worker() -> None:
    """Nothing of it counts."""
    found = crew("a", expected=1)
    found.report("a", 0, "code", final=True)
    counted = [found.report("x", number, "code", final=False) for number in (0, 1)]

    assert counted == [False, False]
    assert list(found.problems()) == ["2 reports of a worker that does not belong to this run (x)"]
