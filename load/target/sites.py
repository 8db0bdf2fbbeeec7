"""The one scanner of error sites: source text in, sites out. Runs alone, too: `python sites.py FILE…`.

    kind       sub                                     one for each
    raise      domain, re-raise, translate             `raise`
    except     timeout, cancel, peer-gone, db,         handler; `with suppress(…)`
               domain, catch-all, suppress
    respond    http-4xx, http-5xx, ws-close            answer with such a status, close with a code
               exception-handler                       function that answers an exception, computed status
    timeout    armed                                   clock that is set: no path, only the beginning of one
               fired                                   its end; a branch under `if scope.cancelled_caught`
    cleanup    finally, __exit__, __aexit__            each of them
    cancel-op  cancel, shield, task group              listed only

An id is `file::qualified name::kind:sub:detail#n`, without a line, so that two commits can be compared. A
trailing comment `# P7` ties the site of that line to that row of docs/errors.md. *catch-all* with the
disposition *swallow* is a smell.

Standard library only, and never imports `load`: it is run by path, also inside somebody's app.
"""

import ast
import importlib.util
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from load.target import kinds
else:
    _SPEC = importlib.util.spec_from_file_location("_streamgauge_kinds", Path(__file__).with_name("kinds.py"))
    kinds = importlib.util.module_from_spec(_SPEC)
    _SPEC.loader.exec_module(kinds)

Where = Literal[
    "body", "raise", "again", "finally", "exits", "handles", "value", "clock", "wait", "suppress", "listed"
]
Function = ast.FunctionDef | ast.AsyncFunctionDef

_ROWS = re.compile(r"#\s+([A-Z]\d{1,2}(?:\s+[A-Z]\d{1,2})*)\s*(?:$|[:;(#])")
_PLAIN_CLOSES = (1000, 1001)
_LEAVES = (ast.Name, ast.Constant, ast.expr_context, ast.operator, ast.cmpop, ast.unaryop, ast.boolop)


@dataclass(frozen=True, slots=True)
class Site:
    """A place where an error or a timeout is raised, caught, answered or cleaned up."""

    id: str
    file: str
    function: str
    """Qualified; `<module>` outside of any."""
    line: int
    kind: str
    sub: str
    detail: str
    """Types, clock, status or close code."""
    disposition: str | None
    """What is done about it; None where that says nothing."""
    row: str | None
    """Rows of docs/errors.md, divided by spaces."""
    armed_by: str | None
    """Id of the clock, for a timeout that fired."""


@dataclass(frozen=True, slots=True)
class Found:
    """A site and where in the tree a probe of it belongs."""

    site: Site
    where: Where
    node: ast.AST
    """What is changed: a handler, a statement, a call, …"""
    block: list[ast.stmt] | None = None
    """The statements it stands among, where one is put before it."""
    key: str | int | None = None
    """The argument or dictionary entry whose value is looked at."""


def scan(source: str, name: str) -> list[Site]:
    """The sites of one file, in the order of its text. Raises SyntaxError."""
    return [found.site for found in find(ast.parse(source), source, name)]


def find(tree: ast.Module, source: str, name: str) -> list[Found]:
    """The same with their nodes. name: the file's, relative to its project."""
    scanner = _Scanner(tree, source, name)
    scanner.block(tree.body)
    return scanner.found


class _Scanner:
    def __init__(self, tree: ast.Module, source: str, name: str) -> None:
        self.found: list[Found] = []
        self._file = name
        self._lines = source.split("\n")
        self._names = kinds.Names(tree, name.partition("/")[0].removesuffix(".py"))
        self._scope: list[str] = []
        self._handlers: list[ast.ExceptHandler | None] = [None]
        self._in_class = False
        self._statement: ast.stmt = ast.Pass(lineno=1, end_lineno=1)
        self._seen: Counter[str] = Counter()
        self._clocks: dict[str, str] = {}

    def block(self, statements: list[ast.stmt]) -> None:
        for statement in statements:
            outer, self._statement = self._statement, statement
            if isinstance(statement, ast.Raise):
                self._raise(statement, statements)
            self.visit(statement)
            self._statement = outer

    def visit(self, node: ast.AST) -> None:
        # Every target is scanned while it starts: the general visitor takes three times as long.
        getattr(self, f"visit_{type(node).__name__}", self.generic_visit)(node)

    def generic_visit(self, node: ast.AST) -> None:
        for field in node._fields:
            value = getattr(node, field, None)
            if isinstance(value, list):
                if value and isinstance(value[0], ast.stmt):
                    self.block(value)
                else:
                    for item in value:
                        if isinstance(item, ast.AST) and not isinstance(item, _LEAVES):
                            self.visit(item)
            elif isinstance(value, ast.AST) and not isinstance(value, _LEAVES):
                self.visit(value)

    def visit_FunctionDef(self, node: Function) -> None:
        rows = range(node.lineno, node.body[0].lineno + 1)
        is_method = self._in_class
        self._scope.append(node.name)
        if is_method and node.name in ("__exit__", "__aexit__"):
            self._add("exits", node, "cleanup", node.name, self._scope[-2], rows)
        elif not is_method and kinds.handles_exceptions(node):
            self._add("handles", node, "respond", "exception-handler", node.name, rows)
        self._inner(node, in_class=False)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._scope.append(node.name)
        self._inner(node, in_class=True)

    def _inner(self, node: Function | ast.ClassDef, *, in_class: bool) -> None:
        outer, self._in_class = self._in_class, in_class
        clocks, self._clocks = self._clocks, dict(self._clocks)
        self._handlers.append(None)
        self.generic_visit(node)
        self._handlers.pop()
        self._clocks = clocks
        self._in_class = outer
        self._scope.pop()

    def _raise(self, node: ast.Raise, block: list[ast.stmt]) -> None:
        handler = self._handlers[-1]
        rows = range(node.lineno, (node.end_lineno or node.lineno) + 1)
        if node.exc is None:
            self._add("again", node, "raise", "re-raise", "", rows, block=block)
            return
        made = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        sub = "domain"
        if handler is not None:
            sub = "re-raise" if kinds.is_again(node, handler.name) else "translate"
        self._add("raise", node, "raise", sub, ast.unparse(made), rows)

    def visit_Try(self, node: ast.Try | ast.TryStar) -> None:
        self.block(node.body)
        for handler in node.handlers:
            self._handler(handler)
        self.block(node.orelse)
        if node.finalbody:
            line = self._finally_line(node)
            self._add("finally", node, "cleanup", "finally", "", range(line, line + 1), line=line)
            self.block(node.finalbody)

    def visit_TryStar(self, node: ast.TryStar) -> None:
        self.visit_Try(node)

    def _handler(self, node: ast.ExceptHandler) -> None:
        types = self._names.types(node.type)
        rows = range(node.lineno, max(node.lineno + 1, node.body[0].lineno))
        self._add(
            "body",
            node,
            "except",
            kinds.caught(types),
            "|".join(kinds.last(name) for name in types),
            rows,
            disposition=kinds.disposition(node),
        )
        self._handlers.append(node)
        self.block(node.body)
        self._handlers.pop()

    def visit_With(self, node: ast.With | ast.AsyncWith) -> None:
        rows = range(node.lineno, max(node.lineno + 1, node.body[0].lineno))
        for item in node.items:
            call = item.context_expr
            if isinstance(call, ast.Call):
                name = self._names.dotted(call.func)
                if name in kinds.CLOCKS:
                    self._clock("clock", item, name, rows, kinds.CLOCKS[name], item.optional_vars)
                elif name == "contextlib.suppress":
                    types = [kinds.last(t) for one in call.args for t in self._names.types(one)]
                    self._add(
                        "suppress", item, "except", "suppress", "|".join(types), rows, disposition="swallow"
                    )
        self.generic_visit(node)

    visit_AsyncWith = visit_With

    def visit_Await(self, node: ast.Await) -> None:
        call = node.value
        if isinstance(call, ast.Call) and self._names.dotted(call.func) == "asyncio.wait_for":
            self._clock("wait", call, "asyncio.wait_for", self._rows(), "handler", None)
        self.generic_visit(node)

    def _clock(
        self,
        where: Where,
        node: ast.AST,
        name: str,
        rows: Iterable[int],
        end: str,
        bound: ast.expr | None,
    ) -> None:
        """Two sites, one after the other: `probes` knows that the end follows its beginning."""
        armed = self._add("listed", node, "timeout", "armed", name, rows)
        self._add(where, node, "timeout", "fired", name, rows, disposition=end, armed_by=armed)
        if bound is not None:
            self._clocks[ast.unparse(bound)] = armed

    def visit_If(self, node: ast.If) -> None:
        match node.test:
            case (
                ast.Attribute(value=scope, attr="cancelled_caught")
                | ast.Call(func=ast.Attribute(value=scope, attr="expired"))
            ):
                self._add(
                    "body",
                    node,
                    "timeout",
                    "fired",
                    node.test.attr if isinstance(node.test, ast.Attribute) else "expired",
                    range(node.lineno, node.lineno + 1),
                    disposition="silent branch",
                    armed_by=self._clocks.get(ast.unparse(scope)),
                )
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        match node.targets:
            case [ast.Attribute(value=answer, attr="status_code")] if "resp" in ast.unparse(answer).lower():
                self._status(node, "value", node.value, "status_code")
        self.generic_visit(node)

    def visit_Dict(self, node: ast.Dict) -> None:
        entries = {
            key.value: index
            for index, key in enumerate(node.keys)
            if isinstance(key, ast.Constant) and isinstance(key.value, str)
        }
        if "type" in entries and isinstance(kind := node.values[entries["type"]], ast.Constant):
            if str(kind.value).endswith("http.response.start") and "status" in entries:
                index = entries["status"]
                self._status(node, index, node.values[index], str(kind.value))
            elif kind.value == "websocket.close" and "code" in entries:
                self._close(node, entries["code"], node.values[entries["code"]])
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = kinds.last(ast.unparse(node.func))
        keywords = {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
        if name.endswith("Response"):
            if "status_code" in keywords:
                self._status(node, "status_code", keywords["status_code"], name)
            elif len(node.args) > 1 and not isinstance(node.args[1], ast.Starred):
                self._status(node, 1, node.args[1], name)
        elif name == "close" and isinstance(node.func, ast.Attribute):
            if "code" in keywords:
                self._close(node, "code", keywords["code"])
            elif node.args and (
                kinds.is_socket(node.func.value) or (self._names.number(node.args[0]) or 0) >= 1000
            ):
                self._close(node, 0, node.args[0])
        self._listed(node, name, keywords)
        self.generic_visit(node)

    def _status(self, node: ast.AST, key: str | int, value: ast.expr, name: str) -> None:
        status = self._names.number(value)
        if status is not None and status >= 400:
            self._add("value", node, "respond", f"http-{status // 100}xx", str(status), self._rows(), key=key)
        elif status is None and kinds.tells_failure(value):
            self._add("value", node, "respond", "exception-handler", name, self._rows(), key=key)

    def _close(self, node: ast.AST, key: str | int, value: ast.expr) -> None:
        code = self._names.number(value)
        if code not in _PLAIN_CLOSES:
            detail = ast.unparse(value) if code is None else str(code)
            self._add("value", node, "respond", "ws-close", detail, self._rows(), key=key)

    def _listed(self, node: ast.Call, name: str, keywords: dict[str, ast.expr]) -> None:
        def add(kind: str, sub: str, detail: str) -> None:
            self._add("listed", node, kind, sub, detail, self._rows())

        dotted = self._names.dotted(node.func)
        if isinstance(node.func, ast.Attribute) and name == "cancel":
            add("cancel-op", "cancel", ast.unparse(node.func.value))
        elif dotted in ("asyncio.TaskGroup", "anyio.create_task_group"):
            add("cancel-op", "task group", dotted)
        shield = keywords.get("shield")
        if dotted == "asyncio.shield" or (isinstance(shield, ast.Constant) and shield.value is True):
            add("cancel-op", "shield", dotted)
        if dotted not in kinds.CLOCKS and dotted != "asyncio.wait_for" and self._names.foreign(node.func):
            for keyword in keywords:
                if "timeout" in keyword:
                    add("timeout", "armed", f"{dotted}({keyword})")

    def _add(
        self,
        where: Where,
        node: ast.AST,
        kind: str,
        sub: str,
        detail: str,
        rows: Iterable[int],
        *,
        disposition: str | None = None,
        armed_by: str | None = None,
        block: list[ast.stmt] | None = None,
        key: str | int | None = None,
        line: int | None = None,
    ) -> str:
        function = ".".join(self._scope) or "<module>"
        stem = f"{self._file}::{function}::{kind}:{sub}:{detail}"
        self._seen[stem] += 1
        site = Site(
            id=f"{stem}#{self._seen[stem]}",
            file=self._file,
            function=function,
            line=line or getattr(node, "lineno", 0) or self._statement.lineno,
            kind=kind,
            sub=sub,
            detail=detail,
            disposition=disposition,
            row=self._row(rows),
            armed_by=armed_by,
        )
        self.found.append(Found(site, where, node, block, key))
        return site.id

    def _row(self, rows: Iterable[int]) -> str | None:
        ids: list[str] = []
        for number in rows:
            found = _ROWS.search(self._lines[number - 1]) if number <= len(self._lines) else None
            ids += found[1].split() if found else ()
        return " ".join(dict.fromkeys(ids)) or None

    def _rows(self) -> range:
        """The lines of the statement that is looked at; of a compound one, its first."""
        statement = self._statement
        body = getattr(statement, "body", None)
        return range(statement.lineno, statement.lineno + 1 if body else (statement.end_lineno or 0) + 1)

    def _finally_line(self, node: ast.Try | ast.TryStar) -> int:
        """The tree does not say where the word stands."""
        line = node.finalbody[0].lineno
        while line > node.lineno and not self._lines[line - 1].lstrip().startswith("finally"):
            line -= 1
        return line


def main(files: list[str]) -> None:
    found = [asdict(site) for name in files for site in scan(Path(name).read_text(encoding="utf-8"), name)]
    json.dump(found, sys.stdout, indent=1)


if __name__ == "__main__":
    main(sys.argv[1:])
