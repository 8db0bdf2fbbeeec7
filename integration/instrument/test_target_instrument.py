"""load/target/instrument.py: a module with probes in is the same to everybody else."""

from __future__ import annotations

import asyncio
import inspect
import re
import sys
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integration.instrument.probed import probed

TRACED = """\
import asyncio, anyio, contextlib, functools

class Refused(Exception): pass

def thrown(kind):
    try:
        try:
            raise kind(
                "text",
            )
        except LookupError as error:
            raise Refused from error
        finally:
            done = 1
    finally:
        done = 2

def again():
    try:
        thrown(KeyError)
    except Refused:
        raise

async def failing():
    with anyio.fail_after(0.01):
        await asyncio.sleep(9)

async def timed():
    async with asyncio.timeout(0.01):
        await asyncio.sleep(9)

async def waiting():
    await asyncio.wait_for(asyncio.sleep(9), 0.01)

async def inner():
    async with asyncio.timeout(9), contextlib.AsyncExitStack():
        with anyio.fail_after(9), contextlib.suppress(KeyError):
            await asyncio.wait_for(broken(), 9)

async def broken():
    raise ValueError

def wrong():
    with anyio.fail_after("soon"):
        pass

def both():
    try:
        raise ExceptionGroup("two", [KeyError(1), OSError(2)])
    except* KeyError:
        raise ValueError
    except* OSError:
        raise
"""
TRACEBACKS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "thrown": lambda names: names["thrown"](ValueError),
    "translated": lambda names: names["thrown"](KeyError),
    "again": lambda names: names["again"](),
    "fail_after": lambda names: asyncio.run(names["failing"]()),
    "timeout": lambda names: asyncio.run(names["timed"]()),
    "wait_for": lambda names: asyncio.run(names["waiting"]()),
    "inner": lambda names: asyncio.run(names["inner"]()),
    "wrong": lambda names: asyncio.run(asyncio.sleep(0, names["wrong"]())),
    "group": lambda names: names["both"](),
}


def printed(names: dict[str, Any], call: Callable[[dict[str, Any]], Any]) -> str:
    try:
        call(names)
    except Exception as error:  # noqa: BLE001 - whatever it is
        # One message holds the address of a scope.
        return re.sub("[0-9a-f]{9,}", "x", "".join(traceback.format_exception(error)))
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize("case", TRACEBACKS)
def test_tracebacks_are_the_same(case: str) -> None:
    """Line for line, and mark for mark, with causes and contexts; no frame of ours is in them."""
    plain: dict[str, Any] = {"__name__": "probed.py"}
    module = probed(TRACED)
    exec(compile(TRACED, "probed.py", "exec", dont_inherit=True), plain)

    assert printed(plain, TRACEBACKS[case]) == printed(module.names, TRACEBACKS[case])
    assert module.probes.errors == 0


def lines_of(code_names: dict[str, Any], call: Callable[[dict[str, Any]], Any]) -> list[int]:
    """Every line event in the order of its coming, but repeats."""
    seen: list[int] = []

    def trace(frame: Any, event: str, argument: object) -> Any:
        if frame.f_code.co_filename != "probed.py":
            return None
        if event == "line" and (not seen or seen[-1] != frame.f_lineno):
            seen.append(frame.f_lineno)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        printed(code_names, call)
    finally:
        sys.settrace(before)
    return seen


@pytest.mark.parametrize("case", TRACEBACKS)
def test_lines_are_the_same(case: str) -> None:
    """In the same order."""
    plain: dict[str, Any] = {"__name__": "probed.py"}
    exec(compile(TRACED, "probed.py", "exec", dont_inherit=True), plain)

    assert lines_of(plain, TRACEBACKS[case]) == lines_of(probed(TRACED).names, TRACEBACKS[case])


def test_a_module_begins_as_before() -> None:
    """Docstring first, then `__future__`, whose effect it keeps; functions keep theirs."""
    module = probed(
        '"""Doc."""\nfrom __future__ import annotations\n'
        'class A:\n    def __exit__(self, x: Nowhere):\n        """Exit."""\n'
    )
    end = module.names["A"].__exit__

    assert module.names["__doc__"] == "Doc."
    assert (end.__doc__, end.__annotations__) == ("Exit.", {"x": "Nowhere"})


def test_our_own_future_is_not_inherited() -> None:
    """This file has `from __future__ import annotations`, the module has not."""
    module = probed("def f(x: int): raise KeyError\n")

    assert {"x": int} == module.names["f"].__annotations__


# Small functions of every shape


def indented(lines: list[str]) -> list[str]:
    return [f" {line}" for line in lines]


def block(*parts: list[str]) -> list[str]:
    return ["said.append(1)", *(line for part in parts for line in part)]


def trying(body: list[str], caught: str, handler: list[str], last: list[str]) -> list[str]:
    return [
        *("try:", *indented(body)),
        *(f"except {caught} as e:", *indented(handler)),
        *("else:", *indented(last)),
        *("finally:", *indented(last)),
    ]


def looping(body: list[str]) -> list[str]:
    return ["for n in range(2):", *indented(body)]


def within(body: list[str]) -> list[str]:
    return ["with contextlib.suppress(KeyError):", *indented(body)]


CAUGHT = st.sampled_from(["KeyError", "(KeyError, IndexError)", "Exception", "BaseException"])
SIMPLE = st.sampled_from(
    ["pass", "{}[1]", "[][1]", "raise KeyError", "raise IndexError(1)", "raise", "return 1", "yield 2"]
).map(lambda line: [line])
BLOCKS = st.recursive(
    SIMPLE,
    lambda inner: st.one_of(
        st.builds(block, inner, inner),
        st.builds(trying, inner, CAUGHT, inner, inner),
        st.builds(looping, inner),
        st.builds(within, inner),
    ),
    max_leaves=12,
)


def told(names: dict[str, Any]) -> tuple[object, list[int], str]:
    """What a function gives, what it did on its way, and the traceback of what it raised."""
    names["said"] = []
    try:
        result = names["f"]()
        if inspect.isgenerator(result):
            result = list(result)
    except Exception as error:  # noqa: BLE001 - whatever it is
        return None, names["said"], "".join(traceback.format_exception(error))
    return result, names["said"], ""


@given(BLOCKS)
@settings(max_examples=150, deadline=None)
def test_functions_of_every_shape_stay_what_they_are(body: list[str]) -> None:
    """Results, effects and tracebacks are equal with and without probes, and no probe fails."""
    source = "\n".join(["import contextlib", "def f():", *indented(body), ""])
    module = probed(source)
    plain: dict[str, Any] = {"__name__": "probed.py"}
    exec(compile(source, "probed.py", "exec", dont_inherit=True), plain)

    ours, theirs = told(plain), told(module.names)

    assert ours == theirs
    assert module.probes.errors == 0
