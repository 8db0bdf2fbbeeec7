"""What can be done to an error site so that it is wrong, and nothing else is.

    operator            site                                     change
    handler emptied     except                                   its body is `pass`
    no longer caught    `with suppress(…)`                       nothing is suppressed
    raise removed       raise                                    `pass`
    code changed        raise, handler of exceptions             another `ErrorCode`, at best of its status
    status changed      `status=` of a raise, status answered    one more
    close code changed  close with a code                        one more
    limit doubled       a clock with a limit                     twice as much
    cleanup skipped     finally, __exit__, __aexit__             its body is `pass`

Left out is what provably changes nothing: a body that does nothing, and `return` or `continue` in a handler
behind which the function or the loop would end its turn anyway. A handler that is one `raise` is emptied by
removing that: one mutant, not two.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from backend.errors import TABLE, ErrorCode
from load.target.sites import Found, Site, find

Change = tuple[ast.AST, ast.AST, str]
"""First node, last node, and what stands in their place."""


@dataclass(frozen=True, slots=True)
class Mutation:
    """One change at one site. line: where it begins. before, after: the text that goes and that comes."""

    site: Site
    operator: str
    line: int
    before: str
    after: str
    source: str
    """The whole file with it."""


def mutations(source: str, name: str) -> list[Mutation]:
    """All there are of one file, in the order of its sites."""
    tree = ast.parse(source)
    ends = _turn_ends(tree)
    made = []
    for found in find(tree, source, name):
        for operator, (first, last, text) in _changes(found, ends):
            one = _mutation(source, found.site, operator, first, last, text)
            compile(one.source, name, "exec", dont_inherit=True)
            made.append(one)
    return made


def _changes(found: Found, ends: dict[ast.stmt, type[ast.stmt]]) -> Iterator[tuple[str, Change]]:
    node = found.node
    match found.site.kind, node:
        case "except", ast.ExceptHandler():
            if not _does_nothing(node.body) and not _ends_anyway(node, ends) and not _only_raises(node):
                yield "handler emptied", _emptied(node.body)
        case "except", ast.withitem(context_expr=ast.Call() as call) if call.args:
            yield "no longer caught", (call.args[0], call.args[-1], "")
        case "raise", ast.Raise():
            yield "raise removed", (node, node, "pass")
            yield from _codes(node)
            for keyword in (one for one in ast.walk(node) if isinstance(one, ast.keyword)):
                if keyword.arg == "status" and isinstance(keyword.value, ast.Constant):
                    yield "status changed", _more(keyword.value)
        case "respond", _:
            yield from _answers(found)
        case "timeout", _ if found.where in ("clock", "wait"):
            limit = _limit(node)
            if limit is not None:
                yield "limit doubled", (limit, limit, f"2 * ({ast.unparse(limit)})")
        case "cleanup", ast.Try(finalbody=body) | ast.FunctionDef(body=body) | ast.AsyncFunctionDef(
            body=body
        ):
            if not _does_nothing(body):
                yield "cleanup skipped", _emptied(body)


def _answers(found: Found) -> Iterator[tuple[str, Change]]:
    if found.where == "handles":
        yield from _codes(found.node)
        return
    value = _at(found.node, found.key)
    if value is not None:
        yield ("close code changed" if found.site.sub == "ws-close" else "status changed"), _more(value)


def _codes(node: ast.AST) -> Iterator[tuple[str, Change]]:
    for one in ast.walk(node):
        match one:
            case ast.Attribute(value=ast.Name(id="ErrorCode"), attr=attr) if attr in ErrorCode.__members__:
                yield "code changed", (one, one, f"ErrorCode.{_other(ErrorCode[attr]).name}")


def _other(code: ErrorCode) -> ErrorCode:
    """The next one that is answered with the same status, else the next one of all."""
    codes = list(ErrorCode)
    behind = codes[codes.index(code) + 1 :] + codes[: codes.index(code)]
    return next((one for one in behind if TABLE[one].status == TABLE[code].status), behind[0])


def _more(value: ast.expr) -> Change:
    if isinstance(value, ast.Constant) and isinstance(value.value, int):
        return value, value, str(value.value + 1)
    return value, value, f"({ast.unparse(value)}) + 1"


def _at(node: ast.AST, key: str | int | None) -> ast.expr | None:
    match node:
        case ast.Call(args=args) if isinstance(key, int):
            return args[key]
        case ast.Call(keywords=keywords):
            return next((one.value for one in keywords if one.arg == key), None)
        case ast.Dict(values=values) if isinstance(key, int):
            return values[key]
        case ast.Assign(value=value):
            return value
    return None


def _limit(node: ast.AST) -> ast.expr | None:
    """Of a clock. None where it is set later, at another place, or is a moment and no duration."""
    call = node.context_expr if isinstance(node, ast.withitem) else node
    if not isinstance(call, ast.Call) or ast.unparse(call.func).endswith("timeout_at"):
        return None
    place = 1 if ast.unparse(call.func).endswith("wait_for") else 0
    named = [one.value for one in call.keywords if one.arg in ("delay", "timeout")]
    found = call.args[place] if len(call.args) > place else next(iter(named), None)
    return None if isinstance(found, ast.Constant) and found.value is None else found


def _emptied(body: list[ast.stmt]) -> Change:
    return body[0], body[-1], "pass"


def _does_nothing(body: list[ast.stmt]) -> bool:
    return all(
        isinstance(one, ast.Pass) or (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))
        for one in body
    )


def _ends_anyway(handler: ast.ExceptHandler, ends: dict[ast.stmt, type[ast.stmt]]) -> bool:
    match handler.body:
        case [ast.Return(value=None | ast.Constant(value=None)) as only]:
            return ends.get(only) is ast.Return
        case [ast.Continue() as only]:
            return ends.get(only) is ast.Continue
    return False


def _only_raises(handler: ast.ExceptHandler) -> bool:
    return len(handler.body) == 1 and isinstance(handler.body[0], ast.Raise)


def _turn_ends(tree: ast.Module) -> dict[ast.stmt, type[ast.stmt]]:
    """Of the last statements of functions and of loops without `else`, through `if` and `try`: what comes
    behind them by itself."""
    ends: dict[ast.stmt, type[ast.stmt]] = {}

    def mark(body: list[ast.stmt], kind: type[ast.stmt]) -> None:
        if not body:
            return
        ends[body[-1]] = kind
        match body[-1]:
            case ast.If(body=then, orelse=other):
                mark(then, kind)
                mark(other, kind)
            case ast.Try(handlers=handlers, finalbody=[]):
                for handler in handlers:
                    mark(handler.body, kind)

    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            mark(node.body, ast.Return)
        elif isinstance(node, ast.For | ast.AsyncFor | ast.While):
            mark(node.body, ast.Continue)
    return ends


def _mutation(source: str, site: Site, operator: str, first: ast.AST, last: ast.AST, text: str) -> Mutation:
    lines = source.encode().splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    # Columns of the tree count bytes.
    begin = starts[first.lineno - 1] + first.col_offset  # type: ignore[attr-defined]
    end = starts[last.end_lineno - 1] + last.end_col_offset  # type: ignore[attr-defined]
    whole = source.encode()
    return Mutation(
        site=site,
        operator=operator,
        line=first.lineno,  # type: ignore[attr-defined]
        before=whole[begin:end].decode(),
        after=text,
        source=(whole[:begin] + text.encode() + whole[end:]).decode(),
    )
