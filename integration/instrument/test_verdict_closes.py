"""load/verdict/closes.py: close codes that the target sent and clients were not told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from integration.instrument.pathparts import CAUGHT, FULL, hit, part
from load.metrics.paths import Hit
from load.verdict.closes import Close, lost, sent_and_told
from load.verdict.errorpaths import make_map

ENDED = replace(FULL, id="shop/api.py::end::respond:ws-close:1011#1", sub="ws-close", detail="1011")
BELOW = replace(FULL, id="shop/wire.py::close::respond:ws-close:code#1", sub="ws-close", detail="code")
SITES = (ENDED, BELOW, FULL, CAUGHT)


def closes(connections: dict[str, int], *hits: Hit, phase: str = "load") -> tuple[Close, ...]:
    return sent_and_told({"chat": connections}, make_map([part(phase, *hits, sites=SITES)]).paths)


@pytest.mark.parametrize(
    ("connections", "expected"),
    [
        ({"opened": 3, "1011": 2}, ("matched", 2)),
        ({"opened": 3, "1011": 3}, ("matched", 3)),  # one of another place, or of the server's own
        ({"opened": 3, "1011": 1}, ("our end", 1)),  # the others we have ended
        ({"opened": 3, "1011": 1, "cut": 2}, ("lost close", 1)),  # they ended without a word
        ({"opened": 3, "1011": 1, "1012": 2}, ("lost close", 1)),  # they ended with another
        ({"opened": 2}, ("our end", 0)),
        ({"opened": 1}, ("lost close", 0)),
    ],
)
def test_a_close_that_was_sent_twice(connections: dict[str, int], expected: tuple[str, int]) -> None:
    """It was told as often, or the connection was ended by us, or it is lost."""
    (found,) = closes(connections, hit(ENDED, code="1011", count=2))

    assert (found.result, found.client) == expected


def test_a_close_that_passes_two_places_was_sent_once() -> None:
    """The busiest place says how often at least."""
    (found,) = closes(
        {"opened": 3, "1011": 3}, hit(ENDED, code="1011", count=1), hit(BELOW, code="1011", count=3)
    )

    assert (found.server, found.result) == (3, "matched")


def test_only_closes_of_the_load_are_asked_for() -> None:
    """Neither statuses nor exceptions, nor what tests were told, nor what nobody was connected for."""
    others = [hit(FULL, code="503"), hit(CAUGHT, code="1011"), hit(ENDED, "feedback", code="1011")]

    assert closes({"opened": 1, "cut": 1}, *others) == ()
    assert closes({"opened": 1, "cut": 1}, hit(ENDED, code="1011"), phase="integration") == ()


def test_connections_we_ended_explain_as_many_closes_and_no_more() -> None:
    """Of all codes of the label together."""
    found = closes({"opened": 1}, hit(ENDED, code="1011"), hit(ENDED, code="4408"))

    assert [one.result for one in found] == ["lost close", "lost close"]


def test_a_lost_close_is_a_finding() -> None:
    """The other two are none."""
    found = [Close("chat", "1011", 1, 2, result) for result in ("matched", "our end", "lost close")]

    assert [(one.kind.name, one.scenario, one.reason) for one in lost(found)] == [
        ("BEHAVIOUR", "chat", "lost close: 1011 sent 2 times, told 1 times")
    ]
