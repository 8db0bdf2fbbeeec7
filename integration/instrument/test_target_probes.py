"""load/target/probes.py: what reaches a site is counted exactly."""

from __future__ import annotations

import contextvars
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from integration.instrument.probed import probed, ran
from load.target.probes import LABEL, LABEL_CHARS, MORE, MOST_LABELS, Probes

EXCEPTIONS = {
    "a handler that matches": (
        "def f():\n try: raise KeyError\n except ValueError: pass\n except LookupError: pass",
        {"raise:domain:KeyError KeyError": 1, "except:domain:LookupError KeyError": 1},
    ),
    "a code of the class": (
        "def f(): raise Refused()",
        {"raise:domain:Refused Refused refused": 1},
    ),
    "a class that is raised": (
        "def f(): raise Refused",
        {"raise:domain:Refused Refused refused": 1},
    ),
    "a code of the exception": (
        "class E(Exception): pass\ndef f():\n e = E(); e.status_code = 404\n raise e",
        {"raise:domain:e E 404": 1},
    ),
    "a property is not asked": (
        "class E(Exception):\n @property\n def code(self): raise Bug\ndef f(): raise E",
        {"raise:domain:E E": 1},
    ),
    "`__getattr__` is not asked": (
        "class E(Exception):\n def __getattr__(self, name): raise Bug\ndef f(): raise E",
        {"raise:domain:E E": 1},
    ),
    "a code in a slot": (
        "def f(): raise SystemExit(3)",
        {"raise:domain:SystemExit SystemExit 3": 1},
    ),
    "nothing to raise again": ("def f(): raise", {}),
    "what is no exception": ("def f(): raise 1", {"raise:domain:1 int": 1}),
    "arguments that fail": (
        "def f(): raise Refused(1 / 0)",
        {},
    ),
    "re-raise and translation": (
        (
            "def f():\n try:\n  try: {}[1]\n  except KeyError: raise\n"
            " except KeyError as e: raise Refused from e"
        ),
        {
            "except:domain:KeyError KeyError": 1,
            "raise:re-raise: KeyError": 1,
            "except:domain:KeyError#2 KeyError": 1,
            "raise:translate:Refused Refused refused": 1,
        },
    ),
    "an exception group": (
        "def f():\n try: raise ExceptionGroup('', [KeyError(), OSError()])\n except* KeyError: pass",
        {"raise:domain:ExceptionGroup ExceptionGroup": 1, "except:domain:KeyError ExceptionGroup": 1},
    ),
    "suppress": (
        (
            "def f():\n for e in KeyError, IndexError, OSError:\n"
            "  with contextlib.suppress(LookupError): raise e"
        ),
        {
            "raise:domain:e KeyError": 1,
            "raise:domain:e IndexError": 1,
            "raise:domain:e OSError": 1,
            "except:suppress:LookupError KeyError": 1,
            "except:suppress:LookupError IndexError": 1,
        },
    ),
    "an answer": (
        (
            "def JSONResponse(**more): return more\n"
            "class E:\n def __init__(self, status): self.status = status\n"
            "def f():\n for s in 200, 404, 503: JSONResponse(status_code=E(s).status)"
        ),
        {"respond:exception-handler:JSONResponse 404": 1, "respond:exception-handler:JSONResponse 503": 1},
    ),
    "a close": (
        (
            "class W:\n def close(self, code, reason=''): assert code in (1000, 1011)\n"
            "def f():\n ws = W()\n for code in 1000, 1011: ws.close(code)"
        ),
        {"respond:ws-close:code 1011": 1},
    ),
    "a function that handles exceptions": (
        (
            "class Request: pass\ndef f(): return on(Request(), Refused())\n"
            "def on(request: Request, error: Exception):\n '''Doc.'''\n return on.__doc__"
        ),
        {"respond:exception-handler:on Refused refused": 1},
    ),
}


@pytest.mark.parametrize("case", EXCEPTIONS)
def test_what_is_raised_caught_and_answered(case: str) -> None:
    """Type and code of what came, at every site it passed."""
    source, expected = EXCEPTIONS[case]

    assert expected == ran(source).counts()


CLEANUPS = {
    "normally": ("def f():\n try: pass\n finally: pass", {"": 1}),
    "by an exception": ("def f():\n try: {}[1]\n finally: pass", {"KeyError": 1}),
    "by a return": ("def f():\n try: return 1\n finally: pass", {"": 1}),
    "by a break": ("def f():\n while True:\n  try: break\n  finally: pass", {"": 1}),
    "by a failing handler": (
        "def f():\n try:\n  try: {}[1]\n  except KeyError: [][1]\n  finally: pass\n except IndexError: pass",
        {"IndexError": 1},
    ),
    "after a handler": ("def f():\n try: {}[1]\n except KeyError: pass\n finally: pass", {"": 1}),
    "within a handler": (
        "def f():\n try: {}[1]\n except KeyError:\n  try: pass\n  finally: pass",
        {"": 1},
    ),
    "within a caller's handler": (
        "def f():\n try: {}[1]\n except KeyError: g()\ndef g():\n try: pass\n finally: pass",
        {"": 1},
    ),
    "within its own caller's handler": (
        "def f(again=True):\n try:\n  try:\n   if again: {}[1]\n  finally: pass\n except KeyError: f(False)",
        {"KeyError": 1, "": 1},
    ),
    "by an else that fails": (
        "def f():\n try: pass\n except KeyError: pass\n else: {}[1]\n finally: pass",
        {"KeyError": 1},
    ),
    "by a re-raise": (
        "def f():\n try: {}[1]\n except KeyError: raise\n finally: pass",
        {"KeyError": 1},
    ),
    "by a close of its generator": (
        "def f():\n g = h()\n next(g)\n g.close()\ndef h():\n try: yield\n finally: pass",
        {"GeneratorExit": 1},
    ),
    "by what is thrown into its generator": (
        (
            "def f():\n g = h()\n next(g)\n try: {}[1]\n except KeyError as e: g.throw(e)\n"
            "def h():\n try: yield\n finally: pass"
        ),
        {"KeyError": 1},
    ),
    "in a generator, while its caller handles": (
        (
            "def f():\n g = h()\n next(g)\n try: {}[1]\n except KeyError: next(g, 0)\n"
            "def h():\n try: yield\n finally: pass"
        ),
        {"": 1},
    ),
    "by what an except* leaves": (
        (
            "def f():\n try: raise ExceptionGroup('', [KeyError(), OSError()])\n except* OSError: pass\n"
            " finally: pass"
        ),
        {"ExceptionGroup": 1},
    ),
    "by what an except* raises": (
        "def f():\n try: raise ExceptionGroup('', [OSError()])\n except* OSError: {}[1]\n finally: pass",
        {"KeyError": 1},
    ),
    "by a cancellation": (
        (
            "async def f():\n task = asyncio.create_task(g())\n await asyncio.sleep(0)\n task.cancel()\n"
            " await asyncio.wait([task])\n"
            "async def g():\n try: await asyncio.sleep(9)\n finally: pass"
        ),
        {"CancelledError cancel": 1},
    ),
    "by the close of an asynchronous generator": (
        (
            "async def f():\n g = h()\n await anext(g)\n await g.aclose()\n"
            "async def h():\n try: yield\n finally: await asyncio.sleep(0)"
        ),
        {"GeneratorExit": 1},
    ),
    "with a name from outside": (
        "x = 0\ndef f():\n try: pass\n finally:\n  global x\n  x = 1",
        {"": 1},
    ),
}


@pytest.mark.parametrize("case", CLEANUPS)
def test_how_a_finally_is_entered(case: str) -> None:
    """By an exception only if that comes out of its own `try`."""
    source, expected = CLEANUPS[case]
    found = {
        key.removeprefix("cleanup:finally:").strip(): count
        for key, count in ran(source).counts().items()
        if key.startswith("cleanup")
    }

    assert expected == found


def test_how_a_context_manager_ends() -> None:
    """By what it is told, whatever the names of its arguments."""
    source = """\
class A:
    def __enter__(self): return self
    def __exit__(self, kind, error, tb):
        '''Doc.'''
class B:
    async def __aenter__(self): return self
    async def __aexit__(self, *told): return True
async def f():
    with A(): pass
    async with B(): raise KeyError
    async with B(): raise asyncio.CancelledError
    with A(): raise Refused
"""
    found = {key: count for key, count in ran(source).counts().items() if key.startswith("cleanup")}

    assert found == {
        "cleanup:__exit__:A": 1,
        "cleanup:__aexit__:B KeyError": 1,
        "cleanup:__aexit__:B CancelledError cancel": 1,
        "cleanup:__exit__:A Refused": 1,
    }


def test_labels_and_requests_in_flight() -> None:
    """First time, fewest requests in flight, hits after the stop."""
    module = probed("def f():\n try: raise KeyError\n except KeyError: pass")
    probes, call = module.probes, module.names["f"]
    for in_flight in (3, 2, 4):
        probes.in_flight = in_flight
        call()
    probes.stop()
    first = probes.stopping_ns
    probes.stop()
    call()

    assert [[hit[0], *hit[2:]] for hit in probes.hits.values()] == [[4, 2, 1], [4, 2, 1]]
    assert all(hit[1] < (first or 0) for hit in probes.hits.values())
    assert first == probes.stopping_ns


def test_labels_are_cut_and_limited() -> None:
    """A client cannot fill the memory of the target."""
    module = probed("def f():\n try: pass\n finally: pass")
    for number in range(MOST_LABELS + 10):
        contextvars.copy_context().run(labelled, f"{number:04}" + "x" * 200, module.names["f"])
    found = module.by_label()

    assert (len(found), found[MORE]) == (MOST_LABELS + 1, 10)
    assert max(len(label) for label in found) == LABEL_CHARS
    assert sum(found.values()) == MOST_LABELS + 10


def labelled(label: str, call: Callable[[], Any]) -> Any:
    LABEL.set(label)
    return call()


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads change as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hasty")
def test_no_hit_is_lost_between_threads() -> None:
    """Nothing is locked, and nothing has to be."""
    module = probed("def f():\n for n in range(5000):\n  try: pass\n  finally: pass")
    threads = [threading.Thread(target=module.names["f"]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert module.counts() == {"cleanup:finally:": 20_000}


def test_a_probe_that_fails_disturbs_nobody() -> None:
    """It is counted, and the code goes on."""
    module = probed(
        "class Code(str):\n def __str__(self): return [][1]\nclass E(Exception): code = Code('x')\n"
        "def f():\n try: raise E(1)\n except E as e: return e.args\n finally: pass"
    )

    assert module.names["f"]() == (1,)
    assert (module.probes.errors, module.counts()) == (2, {"cleanup:finally:": 1})


def test_the_document_of_a_part() -> None:
    """Plain values; a site's number is its place."""
    probes = Probes()
    probes.in_flight = 1
    probes.count(7, "KeyError", "x")
    probes.count(-1, "KeyError", None)
    probes.armed(2, 499.9996)
    probes.armed(2, 500.3)
    for elapsed_ms in (501.34, 502.34):
        probes.fired(3, 500.3, elapsed_ms)
    document = probes.document()
    first_ns = document["hits"][0].pop("first_ns")

    assert isinstance(first_ns, int)
    assert document["hits"][0] == {
        "site": 7,
        "label": "-",
        "exception": "KeyError",
        "code": "x",
        "count": 1,
        "min_in_flight": 1,
        "after_stop": 0,
    }
    assert document["armed"] == [{"site": 2, "label": "-", "count": 2, "limit_ms": 499.9996}]
    assert document["fired_ms"] == [{"site": 3, "limit_ms": 500.0, "elapsed_ms": [501.0, 502.0]}]
