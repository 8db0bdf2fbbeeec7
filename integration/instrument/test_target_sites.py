"""load/target/sites.py and kinds.py: which places are error sites, and what each is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from load.target import sites
from load.target.sites import Site, scan

CASES = {
    "raise ValueError('x')": "raise:domain:ValueError",
    "raise errors.NotFound": "raise:domain:errors.NotFound",
    "raise make(1)": "raise:domain:make",
    "return JSONResponse({}, status_code=404)": "respond:http-4xx:404",
    "return Response(b'', 503)": "respond:http-5xx:503",
    "return Response(status_code=status.HTTP_409_CONFLICT)": "respond:http-4xx:409",
    "return Response(status_code=HTTPStatus.BAD_GATEWAY)": "respond:http-5xx:502",
    "return Response(b'', problem.status or 500)": "respond:exception-handler:Response",
    "response.status_code = 410": "respond:http-4xx:410",
    "await send({'type': 'http.response.start', 'status': 413})": "respond:http-4xx:413",
    "await send({'type': 'websocket.close', 'code': 1011})": "respond:ws-close:1011",
    "await ws.close(4401)": "respond:ws-close:4401",
    "await self.websocket.close(code, reason)": "respond:ws-close:code",
    "await connection.close(code=LIMIT)": "respond:ws-close:1013",
    "task.cancel()": "cancel-op:cancel:task",
    "scope = anyio.CancelScope(shield=True)": "cancel-op:shield:anyio.CancelScope",
    "group = asyncio.TaskGroup()": "cancel-op:task group:asyncio.TaskGroup",
    "client = httpx.AsyncClient(timeout=3)": "timeout:armed:httpx.AsyncClient(timeout)",
}
NONE = (
    "return Response(b'', 200)",
    "return Response(b'', status)",
    "await ws.close(1000)",
    "await ws.close()",
    "file.close()",
    "client = Client(timeout=3)",
    "x = {'type': 'http.response.start', 'status': 200}",
)
HANDLERS = {
    "except TimeoutError: pass": "timeout:TimeoutError",
    "except asyncio.TimeoutError: pass": "timeout:TimeoutError",
    "except asyncio.CancelledError: raise": "cancel:CancelledError",
    "except anyio.get_cancelled_exc_class(): raise": "cancel:get_cancelled_exc_class",
    "except WebSocketDisconnect: pass": "peer-gone:WebSocketDisconnect",
    "except (ConnectionResetError, BrokenPipeError): pass": "peer-gone:ConnectionResetError|BrokenPipeError",
    "except IntegrityError: pass": "db:IntegrityError",
    "except (IntegrityError, OSError): pass": "db:IntegrityError|OSError",
    "except Exception: pass": "catch-all:Exception",
    "except BaseException: pass": "catch-all:BaseException",
    "except: pass": "catch-all:bare",
    "except Refused: pass": "domain:Refused",
    "except LOST: pass": "peer-gone:ConnectionError|EOFError",
}
DISPOSITIONS = {
    "pass": "swallow",
    "...": "swallow",
    "log.exception('x')": "log",
    "self.logger.info('x')": "log",
    "return None": "return",
    "return logger.info('x')": "return",
    "raise": "re-raise",
    "raise e": "re-raise",
    "raise Other from e": "translate",
    "answer = e": "translate",
    "answer(e)": "translate",
    "continue": "loop",
    "await ws.close(1011)": "close",
    "self._abort_later()": "close",
    "def later(): raise": "translate",
}
HEAD = """\
import asyncio, anyio, httpx
from http import HTTPStatus
from fastapi import status
from sqlalchemy.exc import IntegrityError
LIMIT = 1013
LOST = (ConnectionError, EOFError)
"""


def in_function(body: str) -> list[Site]:
    indented = "".join(f"    {line}\n" for line in body.splitlines())
    return scan(f"{HEAD}async def f(ws):\n{indented}", "shop/api.py")


def stem(site: Site) -> str:
    return f"{site.kind}:{site.sub}:{site.detail}"


@pytest.mark.parametrize(("statement", "expected"), CASES.items())
def test_what_a_statement_is(statement: str, expected: str) -> None:
    """Kind, sub-kind, detail."""
    assert [expected] == [stem(site) for site in in_function(statement)]


@pytest.mark.parametrize("statement", NONE)
def test_what_is_no_site(statement: str) -> None:
    """Good answers, normal closes, other things that are closed or made."""
    assert in_function(statement) == []


@pytest.mark.parametrize(("handler", "expected"), HANDLERS.items())
def test_what_a_handler_catches(handler: str, expected: str) -> None:
    """By the names, wherever they were imported from; tuples of the module are looked up."""
    site = in_function(f"try: work()\n{handler}")[0]

    assert f"except:{expected}" == stem(site)


@pytest.mark.parametrize(("body", "expected"), DISPOSITIONS.items())
def test_what_a_handler_does(body: str, expected: str) -> None:
    """`swallow` in a handler of everything is the smell; `translate`: another error, a value, an answer."""
    loop = f"while True:\n    try: work()\n    except Exception as e:\n        {body}"

    assert expected == in_function(loop)[0].disposition


def test_a_clock_is_two_sites() -> None:
    """Armed comes right before its end, which knows it; so does a branch that looks at it."""
    armed, fired, branch = in_function(
        "with anyio.move_on_after(1) as scope: await work()\nif scope.cancelled_caught: stop()"
    )

    assert stem(armed) == "timeout:armed:anyio.move_on_after"
    assert stem(fired) == "timeout:fired:anyio.move_on_after"
    assert stem(branch) == "timeout:fired:cancelled_caught"
    assert [armed.id, armed.id] == [fired.armed_by, branch.armed_by]
    assert [fired.disposition, branch.disposition] == ["silent branch", "silent branch"]


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("with anyio.fail_after(1): pass", "anyio.fail_after"),
        ("async with asyncio.timeout(1), lock: pass", "asyncio.timeout"),
        ("async with asyncio.timeout_at(now): pass", "asyncio.timeout_at"),
        ("await asyncio.wait_for(work(), 1)", "asyncio.wait_for"),
    ],
)
def test_every_clock_is_found(statement: str, name: str) -> None:
    """In `with`, in `async with`, awaited; its end shows at a handler."""
    _, fired = in_function(statement)

    assert ("fired", name, "handler") == (fired.sub, fired.detail, fired.disposition)


def test_names_are_followed_through_imports() -> None:
    """`from anyio import fail_after as within` is the same clock."""
    found = scan(
        "from anyio import fail_after as within\nfrom contextlib import suppress as no\n"
        "def f():\n    with no(OSError), within(1): pass\n",
        "shop.py",
    )

    assert [stem(site) for site in found] == [
        "except:suppress:OSError",
        "timeout:armed:anyio.fail_after",
        "timeout:fired:anyio.fail_after",
    ]


def test_cleanups() -> None:
    """`finally`, and the ends of context managers; a plain function of that name is none."""
    source = """\
class A:
    def __exit__(self, *exc): pass
    async def __aexit__(self, kind, exc, tb): pass
def __exit__(): pass
def f():
    try:
        work()
    finally:
        done()
"""
    found = [(stem(site), site.function, site.line) for site in scan(source, "a.py")]

    assert found == [
        ("cleanup:__exit__:A", "A.__exit__", 2),
        ("cleanup:__aexit__:A", "A.__aexit__", 3),
        ("cleanup:finally:", "f", 8),
    ]


def test_handlers_of_exceptions() -> None:
    """By decorator, or by what they take: a request and an exception."""
    source = """\
@app.exception_handler(Refused)
async def a(request, exc): ...
async def b(request: Request, exc: Exception): ...
async def c(request: Request, body: Body): ...
"""
    assert [site.detail for site in scan(source, "a.py")] == ["a", "b"]


def test_a_raise_in_a_handler_translates() -> None:
    """Also when it names no cause; one in a function that is defined there does not."""
    source = """\
def f():
    try: work()
    except ValueError as e:
        raise Other
    except KeyError as e:
        def later(): raise Other
"""
    found = [site.sub for site in scan(source, "a.py") if site.kind == "raise"]

    assert found == ["translate", "domain"]


def test_ids_have_no_lines() -> None:
    """File, qualified name, kind, sub, detail, number: what stands above may grow."""
    source = "class A:\n    def f(self):\n        def g():\n            raise X\n            raise X\n"
    ids = [site.id for site in scan(source, "shop/a.py")]

    assert ids == ["shop/a.py::A.f.g::raise:domain:X#1", "shop/a.py::A.f.g::raise:domain:X#2"]
    assert ids == [site.id for site in scan("\n\nimport os\n" + source, "shop/a.py")]


ROWS = """\
def f():
    try:  # P1
        with anyio.fail_after(1):  # P2
            raise X(  # P3
                1,
            )  # P4
    except (  # P5 P6
        KeyError,
        X,
    ):
        pass  # P7
    except OSError: pass  # P8: always
    except ValueError:  # noqa: E501
        pass
    finally:  # P9

        done()
"""


def test_a_trailing_comment_ties_a_site_to_its_rows() -> None:
    """On any line of the statement, or of the head of a compound one."""
    found = {stem(site): site.row for site in scan("import anyio\n" + ROWS, "a.py")}

    assert found == {
        "timeout:armed:anyio.fail_after": "P2",
        "timeout:fired:anyio.fail_after": "P2",
        "raise:domain:X": "P3 P4",
        "except:domain:KeyError|X": "P5 P6",
        "except:domain:OSError": "P8",
        "except:domain:ValueError": None,
        "cleanup:finally:": "P9",
    }


def test_except_groups_and_match_are_looked_into() -> None:
    """Sites in every kind of block."""
    source = """\
def f(x):
    match x:
        case 1:
            raise A
    try: pass
    except* ValueError: pass
    while x: raise B
    else: raise C
    for y in x: raise D
    lambda: [ws.close(4000) for ws in x]
"""
    assert [site.detail for site in scan(source, "a.py")] == ["A", "ValueError", "B", "C", "D", "4000"]


def test_it_runs_alone(tmp_path: Path) -> None:
    """With nothing but the standard library, and prints what `scan` gives."""
    (tmp_path / "shop.py").write_text("raise ValueError\n")
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(Path(sites.__file__)), "shop.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert json.loads(done.stdout) == [
        {
            "id": "shop.py::<module>::raise:domain:ValueError#1",
            "file": "shop.py",
            "function": "<module>",
            "line": 1,
            "kind": "raise",
            "sub": "domain",
            "detail": "ValueError",
            "disposition": None,
            "row": None,
            "armed_by": None,
        }
    ]
