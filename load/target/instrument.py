"""Puts probes into the modules of the measured packages while they are imported. Loaded by path.

Lines, tracebacks, file names and results stay what they are: each inserted node carries the line of what it
stands before or around, and no call of a probe raises. Nothing is cached on the disk.
"""

import ast
import builtins
import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from load.target.sites import Found

NAME = "__streamgauge__"
"""Under it `builtins` has the object whose methods the inserted calls are."""

_SILENT = (ast.Global, ast.Nonlocal)
"""Statements without code, whose line never runs."""

Look = Callable[[str], tuple[int, "list[Found]", ast.Module] | None]
"""By the absolute name of a file: the number of its first site, its sites, the tree they lie in. None for
one whose sites are not numbered."""


class Finder(MetaPathFinder):
    """Finds the modules of some packages, as the import system would, and loads them with probes in."""

    def __init__(self, packages: Sequence[str], look: Look) -> None:
        self._packages = frozenset(packages)
        self._look = look
        self.failures = 0
        """Files that were loaded without probes because placing them went wrong."""

    def install(self, calls: object) -> None:
        setattr(builtins, NAME, calls)
        sys.meta_path.insert(0, self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] not in self._packages:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = Loader(fullname, spec.loader.path, self)
            return spec
        return None

    def load(self, name: str, path: str) -> ModuleType:
        """One file with probes in, under a name that nobody imports."""
        spec = spec_from_file_location(name, path, loader=Loader(name, path, self))
        assert spec is not None
        module = module_from_spec(spec)
        spec.loader.exec_module(module)  # type: ignore[union-attr]
        return module

    def compiled(self, source: bytes, path: str) -> CodeType:
        try:
            numbered = self._look(path)
            if numbered is not None:
                first, found, tree = numbered
                for number, one in enumerate(found, first):
                    place(number, one)
                code: CodeType = compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True)
                return code
        except Exception:
            self.failures += 1
        plain: CodeType = compile(source, path, "exec", dont_inherit=True)
        return plain


class Loader(SourceFileLoader):
    def __init__(self, fullname: str, path: str, finder: Finder) -> None:
        super().__init__(fullname, path)
        self._finder = finder

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self._finder.compiled(self.get_data(path), path)


def place(number: int, found: "Found") -> None:
    """Changes the tree so that this site is counted under this number."""
    node: Any = found.node
    match found.where:
        case "body":
            branch = found.site.kind == "timeout"
            _first(node.body, _call("branched" if branch else "caught", number), node)
        case "handles":
            _first(node.body, _call("handled", number, _second(node)), node, after_docstring=True)
        case "exits":
            _first(node.body, _call("exits", number, _rest(node)), node, after_docstring=True)
        case "raise":
            node.exc = _around("raised", number, node.exc)
        case "again":
            block: Any = found.block
            statement = ast.Expr(_call("caught", number))
            block.insert(block.index(node), _at(statement, node))
        case "finally":
            before = [*node.body, *node.handlers, *node.orelse]
            lines = (node.lineno, max(one.end_lineno or one.lineno for one in before))
            _first(node.finalbody, _call("ended", number, *map(ast.Constant, lines)), node)
        case "value":
            least = 400 if found.site.sub != "ws-close" else 1002
            _value(node, found.key, lambda value: _around("answered", number, value, ast.Constant(least)))
        case "clock":
            _instead(node.context_expr, "clock", number)
        case "wait":
            _instead(node, "wait", number)
        case "suppress":
            node.context_expr = _around("suppress", number, node.context_expr)


def _call(method: str, number: int, *arguments: ast.expr) -> ast.Call:
    probe = ast.Attribute(ast.Name(NAME, ast.Load()), method, ast.Load())
    return ast.Call(probe, [ast.Constant(number), *arguments], [])


def _around(method: str, number: int, value: ast.expr, *more: ast.expr) -> ast.Call:
    call: ast.Call = _at(_call(method, number, value, *more), value)
    return call


def _instead(call: ast.Call, method: str, number: int) -> None:
    probe = _call(method, number)
    call.args[:0] = [_at(ast.Constant(number), call.func), call.func]
    call.func = _at(probe.func, call.func)


def _first(block: list[ast.stmt], call: ast.Call, owner: ast.AST, *, after_docstring: bool = False) -> None:
    place = 0
    if after_docstring and isinstance(block[0], ast.Expr) and isinstance(block[0].value, ast.Constant):
        place = 1
    while place < len(block) and _is_silent(block[place]):
        place += 1
    before: Any = block[place] if place < len(block) else block[place - 1]
    decorators = getattr(before, "decorator_list", None)
    block.insert(place, _at(ast.Expr(call), decorators[0] if decorators else before))


def _is_silent(statement: ast.stmt) -> bool:
    return isinstance(statement, _SILENT) or (
        isinstance(statement, ast.AnnAssign) and statement.value is None and bool(statement.simple)
    )


def _at(node: Any, place: Any) -> Any:
    """A node with all its new parts on the first line of another; parts that have a place keep it."""
    for part in ast.walk(node):
        if isinstance(part, ast.expr | ast.stmt) and not hasattr(part, "lineno"):
            part.lineno, part.col_offset = place.lineno, place.col_offset
            part.end_lineno, part.end_col_offset = place.lineno, place.col_offset
    return node


def _value(node: Any, key: str | int | None, around: Callable[[ast.expr], ast.expr]) -> None:
    match node:
        case ast.Assign():
            node.value = around(node.value)
        case ast.Dict():
            node.values[key] = around(node.values[key])  # type: ignore[index]  # a dict's key is its index
        case ast.Call(args=arguments) if isinstance(key, int):
            arguments[key] = around(arguments[key])
        case ast.Call(keywords=keywords):
            keyword = next(one for one in keywords if one.arg == key)
            keyword.value = around(keyword.value)


def _second(node: Any) -> ast.expr:
    arguments = [*node.args.posonlyargs, *node.args.args]
    return ast.Name(arguments[1].arg, ast.Load()) if len(arguments) > 1 else ast.Constant(None)


def _rest(node: Any) -> ast.expr:
    """All arguments but `self`, as a tuple."""
    arguments = [*node.args.posonlyargs, *node.args.args][1:]
    names: list[ast.expr] = [ast.Name(one.arg, ast.Load()) for one in arguments]
    if node.args.vararg is not None:
        names.append(ast.Starred(ast.Name(node.args.vararg.arg, ast.Load()), ast.Load()))
    return ast.Tuple(names, ast.Load())
