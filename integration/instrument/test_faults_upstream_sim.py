"""What a model named `sim:…` is played as."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from load.faults.upstream.script import Operation, checked
from load.faults.upstream.sim import BEHIND, EVENTS, KINDS, TOO_LONG, parsed, script_of
from load.faults.upstream.wanted import Wanted

DONE = ("done",)
OPENED: list[tuple[Any, ...]] = [("sse_open", {}), ("role",)]
CLOSING: list[tuple[Any, ...]] = [("sse_open", {"Connection": "close"}), ("role",)]


def script(how: str) -> list[Operation]:
    """Of one answer; each of its operations is one that can be played."""
    asked = Wanted(f"sim:{how}", ("Hello",), None, stream=True, usage=False)
    operations = list(script_of(asked, seen=False))
    checked([operations])
    return operations


def played(how: str) -> list[tuple[Any, ...]]:
    """The operations but the waits; deltas without their texts."""
    return [
        ("delta",) if name == "delta" else (name, *arguments)
        for name, *arguments in script(f"n=3,{how}")
        if name != "sleep"
    ]


def raw(operation: tuple[Any, ...]) -> bytes:
    name, encoded = operation
    assert name == "raw"
    return base64.b64decode(encoded)


@pytest.mark.parametrize("kind", sorted(EVENTS))
def test_an_event_that_is_none(kind: str) -> None:
    """Behind one delta, whole as an event, and then the end."""
    *before, event, end = played(f"fail={kind}@1")

    assert before == [*CLOSING, ("delta",)]
    assert raw(event) == b"data: " + EVENTS[kind] + b"\n\n"
    assert end == ("fin",)


@pytest.mark.parametrize(
    ("kind", "lines"),
    [
        ("longline", [b"data: " + 994 * b"x", b"", b""]),
        ("longevent", 2 * [b"data: " + 500 * b"x"] + [b"", b""]),
        ("openline", [b"data: " + 994 * b"x"]),
    ],
)
def test_what_is_too_long(kind: str, lines: list[bytes]) -> None:
    *before, event, end = played(f"fail={kind},long=1000")

    assert before == CLOSING
    assert raw(event).split(b"\n") == lines
    assert end == ("fin",)


@pytest.mark.parametrize(
    ("kind", "behind"),
    [
        ("nodone", []),
        ("late-reset", [("rst",)]),
        ("late-stall", [("stall",)]),
        ("done-stall", [DONE, ("stall",)]),
    ],
)
def test_what_comes_behind_the_finish(kind: str, behind: list[tuple[Any, ...]]) -> None:
    assert played(f"fail={kind}") == [*OPENED, *3 * [("delta",)], ("finish", "stop"), *behind]


def test_every_kind_behind_the_finish_is_tested_here() -> None:
    assert {"nodone", "late-reset", "late-stall", "done-stall"} == BEHIND
    assert {"longline", "longevent", "openline"} == TOO_LONG


def test_an_answer_that_is_filtered() -> None:
    assert played("fail=filter@2") == [*OPENED, *2 * [("delta",)], ("finish", "content_filter"), DONE]


def test_a_page_instead_of_a_stream() -> None:
    ((name, status, headers, page),) = played("fail=page")

    assert (name, status, headers) == ("status", 200, {})
    assert page.startswith("<!doctype html>")


def test_a_stream_that_says_it_is_compressed() -> None:
    assert played("fail=gzip")[0] == ("sse_open", {"Content-Encoding": "gzip"})
    assert played("fail=gzip")[1:] == [("role",), *3 * [("delta",)], ("finish", "stop"), DONE]


def test_a_status_that_says_when_to_come_again() -> None:
    ((name, status, headers, _),) = played("fail=429,retry=soon")

    assert (name, status, headers) == ("status", 429, {"Retry-After": "soon"})


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_can_be_named_and_does_something(kind: str) -> None:
    """In the same answer that is nothing but itself without it."""
    failing, plain = (script(f"n=2,seed=1{fail}") for fail in (f",fail={kind}@1", ""))

    assert parsed(f"sim:fail={kind}@1").fail == kind
    assert failing != plain
