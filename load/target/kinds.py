"""What an error site is, read off the syntax alone: names, types, statuses, what a handler does.

Standard library only, and loaded by path (see sites.py).
"""

import ast
import re
from collections.abc import Iterable, Iterator
from http import HTTPStatus

CLOCKS = {
    f"{module}.{name}": "handler" if name != "move_on_after" else "silent branch"
    for module, names in {
        "asyncio": ("timeout", "timeout_at"),
        "anyio": ("fail_after", "move_on_after"),
    }.items()
    for name in names
}
"""What is used in a `with`, and how its end shows."""

_DATABASES = {"sqlalchemy", "sqlite3", "aiosqlite", "asyncpg", "psycopg", "psycopg2", "pymongo", "redis"}
_GONE = {
    "ConnectionError",
    "ConnectionResetError",
    "ConnectionAbortedError",
    "BrokenPipeError",
    "EndOfStream",
    "BrokenResourceError",
    "ClosedResourceError",
    "IncompleteReadError",
}
_CATCH_ALL = {"Exception", "BaseException", "bare"}
_SUBS = ("db", "timeout", "cancel", "peer-gone", "catch-all", "domain")
"""Of several types in one handler, the first of these names it."""

_STATUS = re.compile(r"HTTP_(\d{3})_")
_CLOSING = re.compile(r"_?(close|aclose|abort|disconnect)(_|$)")
_SOCKET = re.compile(r"(^ws|socket|websocket)$", re.IGNORECASE)
_LOGS = re.compile(r"(^|[._])(log|logger|logging|warnings|print)([.(]|$)")
_EXCEPTION = re.compile(r"(Error|Exception|Exit|Problem|Fault|Failure)\b")


class Names:
    """What the names of one module stand for, as far as one look at it tells."""

    def __init__(self, tree: ast.Module, package: str) -> None:
        self._imports: dict[str, str] = {}
        self._bases: dict[str, list[ast.expr]] = {}
        self._constants: dict[str, ast.expr] = {}
        for node in _statements(tree.body):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    top = alias.name.partition(".")[0]
                    self._imports[alias.asname or top] = alias.name if alias.asname else top
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    origin = f"{'.' * node.level}{node.module or ''}.{alias.name}"
                    self._imports[alias.asname or alias.name] = origin
            elif isinstance(node, ast.ClassDef):
                self._bases[node.name] = node.bases
        self._tops = {origin.partition(".")[0] for origin in self._imports.values()} - {"", package}
        for statement in tree.body:
            match statement:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    self._constants[name] = value
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                    self._constants[name] = value

    def dotted(self, node: ast.expr) -> str:
        """`anyio.fail_after`, whatever it was imported as; empty for what is no dotted name."""
        match node:
            case ast.Name(id=name):
                return self._imports.get(name, name)
            case ast.Attribute(value=value, attr=attr):
                before = self.dotted(value)
                return f"{before}.{attr}" if before else ""
        return ""

    def number(self, node: ast.expr) -> int | None:
        """Of a literal, a constant of the module, or a named HTTP status."""
        match node:
            case ast.Constant(value=int(value)):
                return value
            case ast.Name(id=name) if name in self._constants:
                constant = self._constants[name]
                return constant.value if _is_int(constant) else None  # type: ignore[attr-defined]
            case ast.Attribute(value=value, attr=attr):
                if found := _STATUS.match(attr):
                    return int(found[1])
                if last(self.dotted(value)) == "HTTPStatus" and attr in HTTPStatus.__members__:
                    return HTTPStatus[attr].value
        return None

    def types(self, node: ast.expr | None) -> list[str]:
        """The dotted names of what a handler catches."""
        match node:
            case None:
                return ["bare"]
            case ast.Tuple(elts=elements):
                return [name for element in elements for name in self.types(element)]
            case ast.Name(id=name) if isinstance(self._constants.get(name), ast.Tuple):
                return self.types(self._constants[name])
            case ast.Call(func=function):
                return [self.dotted(function) or ast.unparse(node)]
        return [self.dotted(node) or ast.unparse(node)]

    def foreign(self, function: ast.expr) -> str:
        """The dotted name of what another distribution made, or of a class below such; else empty."""
        name = self.dotted(function)
        first = name.partition(".")[0]
        if name in self._bases:
            return next(filter(None, map(self.foreign, self._bases[name])), "") and name
        return name if "." in name and first in self._tops else ""


def _statements(block: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """All of a module, at any depth."""
    for statement in block:
        yield statement
        for name in ("body", "orelse", "finalbody"):
            yield from _statements(getattr(statement, name, ()))
        for part in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
            yield from _statements(part.body)


def last(dotted: str) -> str:
    return dotted.rpartition(".")[2]


def caught(types: list[str]) -> str:
    """The sub-kind of a handler of these types."""
    found = {_caught(name) for name in types}
    return next(sub for sub in _SUBS if sub in found)


def _caught(dotted: str) -> str:
    name = last(dotted)
    if dotted.partition(".")[0] in _DATABASES:
        return "db"
    if "Timeout" in name:
        return "timeout"
    if name in ("CancelledError", "get_cancelled_exc_class"):
        return "cancel"
    if name in _GONE or "Disconnect" in name or name.startswith("ConnectionClosed"):
        return "peer-gone"
    return "catch-all" if name in _CATCH_ALL else "domain"


def disposition(handler: ast.ExceptHandler) -> str:
    """What a handler does with what it caught. `translate`: another exception, a value or an answer."""
    nodes = list(own(handler.body))
    raises = [node for node in nodes if isinstance(node, ast.Raise)]
    if raises:
        return "re-raise" if all(is_again(one, handler.name) for one in raises) else "translate"
    calls = [ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)]
    if any(_CLOSING.match(last(call)) for call in calls):
        return "close"
    if any(isinstance(node, ast.Return) for node in nodes):
        return "return"
    if any(isinstance(node, ast.Continue) for node in nodes):
        return "loop"
    if any(_LOGS.search(call) for call in calls):
        return "log"
    does_nothing = all(
        isinstance(one, ast.Pass | ast.Break) or (isinstance(one, ast.Expr) and not calls)
        for one in handler.body
    )
    return "swallow" if does_nothing else "translate"


def is_again(node: ast.Raise, bound: str | None) -> bool:
    """Does it raise what the handler around it caught?"""
    return node.exc is None or (isinstance(node.exc, ast.Name) and node.exc.id == bound)


def own(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """Every node below, but not what another function does."""
    rest: list[ast.AST] = list(body)
    while rest:
        node = rest.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            rest.extend(ast.iter_child_nodes(node))


def tells_failure(status: ast.expr) -> bool:
    """Could this computed status be one of an error? `problem.status or 500`, `error.status_code`."""
    return any(
        (isinstance(node, ast.Attribute) and node.attr in ("status", "status_code"))
        or (_is_int(node) and node.value >= 400)  # type: ignore[attr-defined]
        for node in ast.walk(status)
    )


def is_socket(receiver: ast.expr) -> bool:
    """Is `close` on this one the close of a WebSocket?"""
    return bool(_SOCKET.search(last(ast.unparse(receiver))))


def handles_exceptions(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """A function that a framework calls with a request and what it raised."""
    if any("exception_handler" in ast.unparse(decorator) for decorator in node.decorator_list):
        return True
    arguments = [*node.args.posonlyargs, *node.args.args]
    match arguments:
        case [ast.arg(annotation=ast.expr() as first), ast.arg(annotation=ast.expr() as second)]:
            about = last(ast.unparse(first)) in ("Request", "WebSocket", "HTTPConnection")
            return about and bool(_EXCEPTION.search(ast.unparse(second)))
    return False


def _is_int(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is int
